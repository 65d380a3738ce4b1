/**
 * apply.h - what spot and segment share: a model over a volume, its output as a probability field.
 */
#ifndef HF_STAGES_INFER_APPLY_H
#define HF_STAGES_INFER_APPLY_H

#include "infer.h"

struct apply_options {
    const char *within; /* mask outside which the probability is 0 */
    const char *output; /* field */
    int64_t batch;
    int32_t precision; /* enum hf_precision */
};

struct apply_state {
    struct infer infer;
};

enum hf_status apply_declare(const void *options, struct hf_io *io, struct hf_error *e);

/** `ops` are the names of the stage's survey, gather and scatter. */
enum hf_status apply_process(struct hf_stage *s, const struct hf_sample *in,
                             const char *const ops[3], struct hf_error *e);

void apply_stop(struct hf_stage *s);

#endif
