/**
 * ops.h - between volumes and batches of tiles: the four ops that each stage which runs networks
 * brings under its own name, "<stage>.survey", "<stage>.gather", "<stage>.add", "<stage>.finish".
 *
 * "survey": in[0] u8 [1,D,H,W]; out[0] u8 [tiles]: 1 where a tile has a nonzero voxel; out[1] f32
 * [C,D,H,W] is set to 0. Parameters: struct infer_lattice.
 * "gather": in[] f32 or u8 [C,D,H,W]; out[0] f32 [B,sum of C,d,h,w]: tiles, mirrored as asked for.
 * Beyond the volume they repeat its border, as patches do in training, or with `ends` are 0.
 * "add": in[0] f32 [B,C,d,h,w], in[1] f32 weights (see infer_weights); out[0] f32 [C',D,H,W], C' at
 * most C: the first C' channels of the tiles, mirrored back, times their weights, are added in the
 * order of the batch.
 * "finish": in[0] f32 [C,D,H,W], in[1] u8 [1,D,H,W]; out[0] f32 [C',D,H,W]: values where in[1] is
 * set, 0 elsewhere. C' = C, and out[0] may be in[0]; with softmax C' = C - 1: its first channel is
 * the background.
 */
#ifndef HF_STAGES_INFER_OPS_H
#define HF_STAGES_INFER_OPS_H

#include <hepaflow/device.h>

#include "elem.h"

#define INFER_MAX_BATCH 64

/** A tile in a batch. */
struct infer_piece {
    int32_t place[3]; /* along D, H, W of the lattice; place[0] -1: no tile, zeros */
    int32_t flip;     /* enum infer_flip */
};

/** Of "gather" and "add". */
struct infer_batch {
    struct infer_lattice lattice;
    struct infer_piece piece[INFER_MAX_BATCH];
    float share;  /* "add": times each weight */
    int32_t ends; /* "gather": a field ends with the volume */
};

struct infer_finish_params {
    int32_t activation; /* enum infer_activation */
};

enum hf_status infer_survey_cpu(const struct hf_op_call *call, void *scratch, void *stream,
                                struct hf_error *e);
enum hf_status infer_gather_cpu(const struct hf_op_call *call, void *scratch, void *stream,
                                struct hf_error *e);
enum hf_status infer_add_cpu(const struct hf_op_call *call, void *scratch, void *stream,
                             struct hf_error *e);
enum hf_status infer_finish_cpu(const struct hf_op_call *call, void *scratch, void *stream,
                                struct hf_error *e);

/** The names of a stage's ops, for the list `ops` of its class. */
#define INFER_OP_NAMES(stage) stage ".survey", stage ".gather", stage ".add", stage ".finish"

/** The CPU ops of a stage, as constants named `survey`, `gather`, `add` and `finish`. */
#define INFER_OPS(stage)                                                                           \
    static const struct hf_op survey = {stage ".survey", HF_KIND_CPU, infer_survey_cpu, NULL};     \
    static const struct hf_op gather = {stage ".gather", HF_KIND_CPU, infer_gather_cpu, NULL};     \
    static const struct hf_op add = {stage ".add", HF_KIND_CPU, infer_add_cpu, NULL};              \
    static const struct hf_op finish = {stage ".finish", HF_KIND_CPU, infer_finish_cpu, NULL}

#endif
