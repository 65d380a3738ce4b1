/**
 * distance.cu - "distance": the exact Euclidean distance to the nearest voxel of a mask.
 *
 * Separable: along rows by two scans, a warp a row; then along H and D by lower envelopes, a thread
 * a line, in place. A line's envelope is kept in a slot of scratch, as many slots as keep a GPU
 * busy; neighbouring threads work on neighbouring lines and slots.
 */
#include <hepaflow/cuda.h>

#include "../../ops/check.h"
#include "../../ops/distance_elem.h"
#include "../../ops/pieces.h"
#include "ops.h"
#include "volume.h"

#define THREADS   128
#define SLOTS_MAX 32768

namespace {

/* Lines of n voxels, `stride` apart. Line l begins at l / wide * skip + l % wide. */
struct lines {
    int64_t count, n, stride, wide, skip;
};

struct lines lines_along(const int64_t *size, int axis) {
    struct lines l = {};
    l.n = size[axis];
    l.count = l.n > 0 ? size[0] * size[1] * size[2] / l.n : 0;
    l.stride = axis == 1 ? size[2] : size[1] * size[2];
    l.wide = l.stride;
    l.skip = l.stride * l.n;
    return l;
}

int64_t slots_of(const struct lines &l) {
    int64_t whole = (l.count + THREADS - 1) / THREADS * THREADS;
    return whole < SLOTS_MAX ? whole : SLOTS_MAX;
}

size_t layout(const struct lines &l, struct distance_room *r, void *scratch) {
    struct pieces mem = {(char *)scratch, 0};
    size_t n = (size_t)(slots_of(l) * l.n);
    r->from = (double *)piece(&mem, n * sizeof *r->from);
    r->height = (float *)piece(&mem, n * sizeof *r->height);
    r->site = (int32_t *)piece(&mem, n * sizeof *r->site);
    r->stride = slots_of(l);
    return mem.used;
}

} // namespace

static __global__ void along_rows(const uint8_t *mask, float *out, int64_t rows, int64_t width,
                                  double step) {
    int lane = (int)threadIdx.x;
    for (int64_t row = (int64_t)blockIdx.x * VOLUME_HIGH + threadIdx.y; row < rows;
         row += (int64_t)gridDim.x * VOLUME_HIGH) {
        const uint8_t *from = mask + row * width;
        float *to = out + row * width;
        int64_t last = -1, next = -1; /* set voxels in the chunks before, and after */
        for (int64_t w = 0; w < width; w += VOLUME_WIDE) {
            int64_t i = w + lane;
            unsigned set = __ballot_sync(0xFFFFFFFFu, i < width && from[i]);
            unsigned before = set & (0xFFFFFFFFu >> (31 - lane));
            if (i < width)
                to[i] = distance_before(i, before ? w + 31 - __clz((int)before) : last);
            last = set ? w + 31 - __clz((int)set) : last;
        }
        for (int64_t w = (width - 1) / VOLUME_WIDE * VOLUME_WIDE; w >= 0; w -= VOLUME_WIDE) {
            int64_t i = w + lane;
            unsigned set = __ballot_sync(0xFFFFFFFFu, i < width && from[i]);
            unsigned after = set & (0xFFFFFFFFu << lane);
            if (i < width)
                to[i] = distance_in_row(to[i], i, after ? w + __ffs((int)after) - 1 : next, step);
            next = set ? w + __ffs((int)set) - 1 : next;
        }
    }
}

static __global__ void across_rows(float *value, struct lines l, double step,
                                   struct distance_room room) {
    int64_t slot = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    room.from += slot;
    room.height += slot;
    room.site += slot;
    for (int64_t line = slot; line < l.count; line += room.stride)
        distance_line(value + line / l.wide * l.skip + line % l.wide, l.n, l.stride, step, room);
}

static __global__ void take_roots(float *value, int64_t n) {
    HF_CUDA_EACH(i, n)
        value[i] = sqrtf(value[i]);
}

static size_t scratch_bytes(const struct hf_op_call *call) {
    if (distance_check(call, NULL) != HF_OK)
        return 0;
    size_t most = 0;
    for (int axis = 0; axis < 2; axis++) {
        struct distance_room room;
        size_t bytes = layout(lines_along(call->in[0]->shape + 1, axis), &room, NULL);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static enum hf_status launch(const struct hf_op_call *call, void *scratch, void *stream,
                             struct hf_error *e) {
    enum hf_status st = distance_check(call, e);
    if (st != HF_OK || hf_tensor_count(call->out[0]) == 0)
        return st;
    const struct hf_distance_params *params = (const struct hf_distance_params *)call->params;
    const int64_t *size = call->in[0]->shape + 1;
    const uint8_t *mask = HF_DATA(const uint8_t, call->in[0]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t rows = size[0] * size[1], width = size[2], n = rows * width;
    double step = params->spacing[2];
    HF_CUDA_LAUNCH(along_rows, hf_cuda_grid(rows * 32), volume_block(), stream, mask, out, rows,
                   width, step);
    for (int axis = 1; axis >= 0; axis--) {
        struct lines l = lines_along(size, axis);
        struct distance_room room;
        layout(l, &room, scratch);
        step = params->spacing[axis];
        if (l.n > 1)
            HF_CUDA_LAUNCH(across_rows, (unsigned)(room.stride / THREADS), THREADS, stream, out, l,
                           step, room);
    }
    HF_CUDA_LAUNCH(take_roots, hf_cuda_grid(n), HF_CUDA_THREADS, stream, out, n);
    return hf_cuda_launched("distance", e);
}

const struct hf_op cuda_op_distance = {"distance", HF_KIND_CUDA, launch, scratch_bytes};
