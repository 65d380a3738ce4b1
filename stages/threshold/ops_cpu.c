/**
 * ops_cpu.c - the ops of threshold on the CPU.
 */
#include <string.h>

#include "ops.h"

static int passes(const struct hf_op_call *call, int32_t first_gate, int64_t i) {
    for (int32_t k = first_gate; k < call->inputs; k++)
        if (!HF_DATA(uint8_t, call->in[k])[i])
            return 0;
    return 1;
}

static enum hf_status cut(const struct hf_op_call *call, void *scratch, void *stream,
                          struct hf_error *e) {
    (void)scratch;
    (void)stream;
    (void)e;
    const struct cut_params *p = call->params;
    const float *field = HF_DATA(float, call->in[0]);
    uint8_t *mask = HF_DATA(uint8_t, call->out[0]);
    int64_t n = hf_tensor_count(call->out[0]);
    for (int64_t i = 0; i < n; i++)
        mask[i] = cut_voxel(field[i], p->value, p->side) && passes(call, 1, i);
    return HF_OK;
}

static size_t otsu_scratch(const struct hf_op_call *call) {
    const struct otsu_params *p = call->params;
    return (size_t)p->bins * sizeof(int32_t);
}

static enum hf_status otsu(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)stream;
    (void)e;
    const struct otsu_params *p = call->params;
    const float *field = HF_DATA(float, call->in[0]);
    float low = INFINITY, high = -INFINITY;
    int64_t n = hf_tensor_count(call->in[0]);
    int32_t *count = scratch;
    memset(count, 0, (size_t)p->bins * sizeof *count);
    for (int64_t i = 0; i < n; i++) {
        float v = otsu_measure(field[i], p->side);
        if (otsu_counts(v) && passes(call, 1, i)) {
            low = v < low ? v : low;
            high = v > high ? v : high;
        }
    }
    if (low < high) {
        for (int64_t i = 0; i < n; i++) {
            float v = otsu_measure(field[i], p->side);
            if (otsu_counts(v) && passes(call, 1, i))
                count[otsu_bin(v, low, high, p->bins)]++;
        }
    }
    HF_DATA(float, call->out[0])[0] = low < high ? otsu_level(count, p->bins, low, high) : INFINITY;
    return HF_OK;
}

/* A component has at least one voxel. */
static size_t keep_most(const struct hf_op_call *call) {
    return (size_t)hf_tensor_count(call->in[0]) + 1;
}

static size_t keep_scratch(const struct hf_op_call *call) {
    return keep_most(call) * (sizeof(int32_t) + (call->inputs > 2));
}

static enum hf_status keep(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)stream;
    (void)e;
    const struct keep_params *p = call->params;
    const int32_t *label = HF_DATA(int32_t, call->in[0]);
    int32_t labels = HF_DATA(int32_t, call->in[1])[0], *size = scratch;
    uint8_t *mask = HF_DATA(uint8_t, call->out[0]);
    const uint8_t *strong = call->inputs > 2 ? HF_DATA(uint8_t, call->in[2]) : NULL;
    uint8_t *has_strong = (uint8_t *)(size + keep_most(call));
    int64_t n = hf_tensor_count(call->in[0]);
    memset(size, 0, ((size_t)labels + 1) * sizeof *size);
    if (strong)
        memset(has_strong, 0, (size_t)labels + 1);
    for (int64_t i = 0; i < n; i++) {
        size[label[i]]++;
        if (strong && strong[i])
            has_strong[label[i]] = 1;
    }
    for (int64_t i = 0; i < n; i++)
        mask[i] = label[i] > 0 && size[label[i]] >= p->least && (!strong || has_strong[label[i]]);
    return HF_OK;
}

static size_t best_scratch(const struct hf_op_call *call) {
    return (size_t)hf_tensor_count(call->in[0]) * sizeof(int32_t);
}

/* Adds to the mask what hangs together with voxel `seed` in the segment and is not below `level`.
 */
static void grow(const struct hf_op_call *call, int64_t seed, float level, int32_t *stack) {
    const struct best_params *p = call->params;
    const float *field = HF_DATA(float, call->in[0]);
    const uint8_t *couinaud = HF_DATA(uint8_t, call->in[2]);
    uint8_t *mask = HF_DATA(uint8_t, call->out[0]);
    const int64_t *shape = call->in[0]->shape;
    int64_t step[3] = {shape[2] * shape[3], shape[3], 1}, top = 0;
    stack[top++] = (int32_t)seed;
    mask[seed] = 1;
    while (top > 0) {
        int64_t at = stack[--top];
        for (int axis = 0; axis < 3; axis++) {
            int64_t place = at / step[axis] % shape[axis + 1];
            for (int dir = -1; dir <= 1; dir += 2) {
                int64_t next = at + dir * step[axis];
                if (place + dir < 0 || place + dir >= shape[axis + 1] || mask[next] ||
                    couinaud[next] != couinaud[seed] ||
                    !best_joins(cut_measure(field[next], p->side), level) || !passes(call, 3, next))
                    continue;
                mask[next] = 1;
                stack[top++] = (int32_t)next;
            }
        }
    }
}

static enum hf_status best(const struct hf_op_call *call, void *scratch, void *stream,
                           struct hf_error *e) {
    (void)stream;
    (void)e;
    const struct best_params *p = call->params;
    const float *field = HF_DATA(float, call->in[0]);
    const uint8_t *couinaud = HF_DATA(uint8_t, call->in[2]);
    uint8_t *mask = HF_DATA(uint8_t, call->out[0]);
    int64_t n = hf_tensor_count(call->in[0]), seed[BEST_SEGMENTS];
    uint32_t found = 0;
    memcpy(mask, call->in[1]->dl.data, (size_t)n);
    for (int k = 0; k < BEST_SEGMENTS; k++)
        seed[k] = -1;
    for (int64_t i = 0; i < n; i++) {
        int k = best_segment(couinaud[i]);
        float v = cut_measure(field[i], p->side);
        if (k == 0)
            continue;
        if (mask[i])
            found |= 1u << k;
        if (passes(call, 3, i) && !isnan(v) &&
            (seed[k] < 0 || v > cut_measure(field[seed[k]], p->side)))
            seed[k] = i;
    }
    for (int k = 1; k < BEST_SEGMENTS; k++) {
        if (!best_misses(p, k, found) || seed[k] < 0)
            continue;
        float most = cut_measure(field[seed[k]], p->side);
        if (best_grows(most, p->side))
            grow(call, seed[k], best_level(most), scratch);
    }
    return HF_OK;
}

const struct hf_op threshold_cut_cpu = {"threshold.cut", HF_KIND_CPU, cut, NULL};
const struct hf_op threshold_otsu_cpu = {"threshold.otsu", HF_KIND_CPU, otsu, otsu_scratch};
const struct hf_op threshold_keep_cpu = {"threshold.keep", HF_KIND_CPU, keep, keep_scratch};
const struct hf_op threshold_best_cpu = {"threshold.best", HF_KIND_CPU, best, best_scratch};
