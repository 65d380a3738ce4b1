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

/** Checks the options against the model; `dims` 0: not known yet. */
enum hf_status infer_fit(const struct infer_options *o, const struct hf_model_info *m, int32_t dims,
                         struct hf_error *e);

enum hf_status infer_fit_volume(const struct infer_options *o, const struct hf_model *model,
                                const int64_t size[3], struct infer_plan *ret, struct hf_error *e);

#endif
