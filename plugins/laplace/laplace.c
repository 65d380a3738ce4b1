/**
 * laplace.c - the stage `laplace`, in place of `inpaint`: fills a region with the harmonic function
 * that has the values of the tissue around it, the smoothest there is, without a network.
 *
 * The Laplace equation holds inside, with the tissue that touches the region as its boundary; at
 * the tissue's own edge, and at the image's, nothing flows. A part of the region that touches no
 * tissue gets the mean of all tissue outside the region.
 */
#include "../../stages/geometry/geometry.h"
#include "../fill/fill.h"
#include "multigrid.h"
#include "ops.h"

/* Some ten are enough for any shape: more say that there is something wrong. */
#define MOST_ROUNDS 500

struct options {
    struct fill_options fill;
    int32_t dims; /* 0: 2, 1: 3 */
    double tolerance;
};

/* How many voxels of the region are filled at once, at most. */
static enum hf_status find_most(struct hf_stage *s, const struct hf_op_call *fill, int dims,
                                int32_t *ret, struct hf_error *e) {
    struct hf_tensor *counts = NULL, *read = NULL;
    int64_t most = 0;
    enum hf_status st = hf_tensor_new(s, HF_I32, 1, fill->in[1]->shape + 1, &counts, e);
    if (st == HF_OK) {
        struct hf_op_call call = {.in = {fill->in[1]}, .out = {counts}, .inputs = 1, .outputs = 1};
        st = hf_launch(s, "laplace.count", &call, e);
    }
    if (st == HF_OK)
        st = hf_tensor_read(s, counts, &read, e);
    for (int64_t d = 0; st == HF_OK && d < counts->shape[0]; d++) {
        int64_t n = HF_DATA(int32_t, read)[d];
        most = dims == 3 ? most + n : n > most ? n : most;
    }
    s->host->tensor_unref(counts);
    s->host->tensor_unref(read);
    if (st == HF_OK)
        *ret = (int32_t)most; /* not more than are filled at once */
    return st;
}

static enum hf_status process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    const struct options *o = s->options;
    struct laplace_params params = {.dims = o->dims + 2,
                                    .rounds = MOST_ROUNDS,
                                    .tolerance = (float)o->tolerance,
                                    .unknown = (float)o->fill.unknown};
    struct hf_op_call call;
    double spacing[3];
    geometry_spacing(&in->grid, spacing);
    for (int a = 0; a < 3; a++)
        params.spacing[a] = (float)spacing[a];
    enum hf_status st = fill_inputs(&o->fill, params.dims, in, &call, e);
    if (st == HF_OK)
        st = find_most(s, &call, params.dims, &params.most, e);
    if (st != HF_OK)
        return st;
    call.params = &params;
    call.params_size = sizeof params;
    return fill_run(s, in, "laplace.fill", &call, e);
}

/* Two volumes, and what a region as large as a slice, or the volume, takes. */
static enum hf_status memory(struct hf_stage *s, const struct hf_memory_query *q,
                             struct hf_memory *ret, struct hf_error *e) {
    const struct options *o = s->options;
    const int64_t *size = q->largest->grid.size;
    int64_t volume = size[0] * size[1] * size[2], box = o->dims == 1 ? volume : size[1] * size[2];
    enum hf_status st = fill_check_size(size, o->dims + 2, e);
    if (st != HF_OK)
        return st;
    ret->work = 2 * volume * (int64_t)sizeof(float) + (int64_t)grid_bytes(box, box) +
                2 * box * (int64_t)sizeof(int32_t);
    ret->held = 0;
    return HF_OK;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct options *o = options;
    return fill_declare(&o->fill, io, e);
}

#define OFFSET(member) offsetof(struct options, member)

static const struct hf_option option_table[] = {
    FILL_OPTION_TABLE(OFFSET(fill)),
    {.name = "dims",
     .type = HF_OPTION_ENUM,
     .offset = OFFSET(dims),
     .initial = "2",
     .choices = "2|3",
     .help = "2: each slice is filled from what is around the region in it; 3: through the volume, "
             "by the distances in mm."},
    {.name = "tolerance",
     .type = HF_OPTION_REAL,
     .offset = OFFSET(tolerance),
     .initial = "1e-4",
     .min = 1e-9,
     .max = 1,
     .help = "How far a filled voxel may be from the solution, in the image's units."},
    {.name = NULL}};

static const char *const ops_used[] = {"laplace.count", "laplace.fill", NULL};

static const struct hf_stage_class laplace = {
    .name = "laplace",
    .help = "Fills a region smoothly from the tissue around it, in place of `inpaint`.",
    .kind = HF_MAP,
    .options_size = sizeof(struct options),
    .options = option_table,
    .ops = ops_used,
    .declare = declare,
    .process = process,
    .memory = memory,
};

static const struct hf_stage_class *const stages[] = {&laplace, NULL};
static const struct hf_op *const ops[] = {&laplace_count_cpu, &laplace_fill_cpu, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "laplace",
    .version = "0.1.0",
    .stages = stages,
    .ops = ops,
};
