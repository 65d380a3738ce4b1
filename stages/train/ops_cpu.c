/*
 * ops_cpu.c - the ops of `train` on the CPU.
 */
#include "ops.h"

#include <string.h>

#include "elem.h"

static float load(const struct hf_tensor *t, int64_t i) {
    return t->dtype == HF_U8 ? (float)HF_DATA(uint8_t, t)[i] : HF_DATA(float, t)[i];
}

/* One row of the patch, out of the volume's row that begins at `from`. */
static void take_row(const struct hf_tensor *in, int64_t from, int64_t start, int64_t width,
                     int32_t classes, int32_t channel, float *to) {
    int64_t size = in->shape[3];
    for (int64_t x = 0; x < width; x++)
        to[x] = train_target(load(in, from + train_clamp(start + x, size)), classes, channel);
}

/* What of a weight's patch is outside the volume. */
static void clear_outside(const int64_t start[3], const int64_t *size, const int64_t *patch,
                          float *to) {
    for (int64_t z = 0; z < patch[0]; z++)
        for (int64_t y = 0; y < patch[1]; y++)
            for (int64_t x = 0; x < patch[2]; x++)
                if (!train_inside(start[0] + z, size[0]) || !train_inside(start[1] + y, size[1]) ||
                    !train_inside(start[2] + x, size[2]))
                    to[(z * patch[1] + y) * patch[2] + x] = 0.0f;
}

static enum hf_status take(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)scratch, (void)stream, (void)e;
    const struct train_take_params *p = call->params;
    const int64_t *patch = call->out[0]->shape + 1;
    int64_t voxels = patch[0] * patch[1] * patch[2];
    float *to = HF_DATA(float, call->out[0]) + p->channel * voxels;
    for (int32_t k = 0; k < call->inputs; k++) {
        const struct hf_tensor *in = call->in[k];
        const int64_t *size = in->shape + 1;
        int32_t classes = k == p->labels ? p->classes : 0;
        int32_t channels = classes ? classes : (int32_t)in->shape[0];
        for (int32_t c = 0; c < channels; c++, to += voxels) {
            for (int64_t row = 0; row < patch[0] * patch[1]; row++) {
                int64_t z = train_clamp(p->start[0] + row / patch[1], size[0]);
                int64_t y = train_clamp(p->start[1] + row % patch[1], size[1]);
                int64_t from = (((classes ? 0 : c) * size[0] + z) * size[1] + y) * size[2];
                take_row(in, from, p->start[2], patch[2], classes, c, to + row * patch[2]);
            }
            if (k == p->weight)
                clear_outside(p->start, size, patch, to);
        }
    }
    return HF_OK;
}

static enum hf_status put(const struct hf_op_call *call, void *scratch, void *stream,
                          struct hf_error *e) {
    (void)scratch, (void)stream, (void)e;
    const struct hf_tensor *out = call->out[0];
    const struct train_put_params *p = call->params;
    int64_t voxels = out->shape[2] * out->shape[3] * out->shape[4], row = out->shape[1] * voxels;
    for (int32_t k = 0; k < call->inputs; k++)
        memcpy(HF_DATA(float, out) + (p->n + k) * row,
               HF_DATA(float, call->in[k]) + p->first * voxels, (size_t)row * sizeof(float));
    return HF_OK;
}

static enum hf_status profile(const struct hf_op_call *call, void *scratch, void *stream,
                              struct hf_error *e) {
    (void)scratch, (void)stream, (void)e;
    const struct hf_tensor *in = call->in[0];
    int64_t plane = in->shape[2] * in->shape[3];
    for (int64_t d = 0; d < in->shape[1]; d++) {
        int64_t n = 0;
        for (int64_t i = 0; i < plane; i++)
            n += train_positive(load(in, d * plane + i));
        HF_DATA(float, call->out[0])[d] = (float)n;
    }
    return HF_OK;
}

static int32_t find(const struct hf_tensor *in, struct train_pick draw) {
    int64_t plane = in->shape[2] * in->shape[3];
    for (int64_t i = 0; i < plane; i++)
        if (train_positive(load(in, draw.d * plane + i)) && draw.rank-- == 0)
            return (int32_t)i;
    return -1;
}

static enum hf_status pick(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)scratch, (void)stream, (void)e;
    const struct train_pick_params *p = call->params;
    for (int64_t n = 0; n < call->out[0]->shape[0]; n++)
        HF_DATA(int32_t, call->out[0])[n] = find(call->in[0], p->draw[n]);
    return HF_OK;
}

const struct hf_op train_take_cpu = {"train.take", HF_KIND_CPU, take, NULL};
const struct hf_op train_put_cpu = {"train.put", HF_KIND_CPU, put, NULL};
const struct hf_op train_profile_cpu = {"train.profile", HF_KIND_CPU, profile, NULL};
const struct hf_op train_pick_cpu = {"train.pick", HF_KIND_CPU, pick, NULL};
