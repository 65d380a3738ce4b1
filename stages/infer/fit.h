/**
 * fit.h - which tiles and mirrorings a model takes.
 */
#ifndef HF_STAGES_INFER_FIT_H
#define HF_STAGES_INFER_FIT_H

#include "infer.h"

/** How a model runs over volumes of a size. */
struct infer_plan {
    struct infer_lattice lattice;
    int64_t batch;
    int32_t flips; /* mirrored axes, a bit each; every combination of them runs */
};

/** Checks the options against the model, of `dims` axes (0: not known yet), and the tile that they
 *  come to on volumes of this size; what is not known there is -1 here, too. */
enum hf_status infer_fit(const struct infer_options *o, const struct hf_model_info *m, int32_t dims,
                         const int64_t size[3], int64_t ret_tile[3], struct hf_error *e);

/** Says of an error what size the model was to run on. */
enum hf_status infer_fail_on_size(const struct hf_model *m, const int64_t size[3],
                                  struct hf_error *e);

enum hf_status infer_fit_volume(const struct infer_options *o, const struct hf_model *model,
                                const int64_t size[3], struct infer_plan *ret, struct hf_error *e);

#endif
