/**
 * adapt.h - test-time training: a network that rebuilds the image from its own answer (see
 * hf_network_class.rebuilt) learns for some more steps how to rebuild what it is run over, within
 * the region of interest, and then answers.
 *
 * Only the part that makes the answer learns, by Adam, on the L1 between image and rebuilt image;
 * the rebuilding part stays as it was trained. Every slice, or every case, begins from the
 * trained parameters and without moments, so that it has no share in what others get.
 */
#ifndef HF_STAGES_INFER_ADAPT_H
#define HF_STAGES_INFER_ADAPT_H

#include "infer.h"

/** Checks a model against the options when the graph is, and reads the field that it rebuilds. */
enum hf_status infer_adapt_declare(const struct infer_adapt *a, struct hf_io *io,
                                   struct hf_error *e);

/** What a network is compiled for that adapts. */
enum hf_status infer_adapt_spec(const struct hf_model *m, struct hf_exec_spec *spec,
                                struct hf_error *e);

/** What is compiled of a model's network: all of it, or if it does not adapt only what makes the
 *  answer, where that comes first. Its parameters are the first of the model's, to which it
 *  belongs. */
struct hf_net infer_net(const struct hf_model *m, const struct infer_adapt *a);

/** What adapting needs of a volume. */
struct infer_adapt_job {
    struct hf_stage *s;
    struct hf_executable *exec;
    const int64_t *shape;      /* of a batch of inputs */
    const char *gather;        /* name of the op */
    struct hf_tensor *rebuilt; /* the field that the model rebuilds */
    struct hf_tensor *within;
};

/** The trained parameters, and an optimiser that has seen nothing. */
enum hf_status infer_adapt_begin(const struct infer_adapt_job *j, struct hf_error *e);

/** Steps on the tiles of a batch, whose inputs are gathered already. */
enum hf_status infer_adapt_steps(const struct infer_adapt_job *j, const struct infer_batch *batch,
                                 const struct hf_tensor *input, int64_t steps, double rate,
                                 struct hf_error *e);

#endif
