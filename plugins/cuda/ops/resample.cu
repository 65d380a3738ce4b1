/**
 * resample.cu - "resample": a volume onto another grid.
 *
 * Grids whose axes run alike: a first kernel works out, axis by axis, which input voxels each
 * output index is made of; the second averages, in the order of the CPU. Boxes of neighbouring
 * output voxels hardly overlap, so no partial average is kept. Oblique grids are sampled voxel by
 * voxel.
 */
#include <hepaflow/cuda.h>

#include "../../ops/check.h"
#include "../../ops/pieces.h"
#include "../../ops/resample_elem.h"
#include "ops.h"
#include "volume.h"

namespace {

/* For each output index along an axis: its first voxel, how many, and their shares. */
struct taps {
    double scale, offset;
    int64_t in, out;
    int64_t most;
    int32_t *first, *count;
    float *share; /* `most` for each output index */
};

struct plan {
    struct taps axis[3]; /* D, H, W */
};

size_t layout(const struct hf_op_call *call, struct plan *p, void *scratch) {
    const struct hf_resample_params *params = (const struct hf_resample_params *)call->params;
    struct pieces mem = {(char *)scratch, 0};
    for (int a = 0; a < 3; a++) {
        struct taps *t = &p->axis[a];
        t->scale = params->matrix[2 - a][2 - a];
        t->offset = params->matrix[2 - a][3];
        t->in = call->in[0]->shape[1 + a];
        t->out = call->out[0]->shape[1 + a];
        t->most = resample_taps_most(t->scale, params->mode);
        t->first = (int32_t *)piece(&mem, (size_t)t->out * sizeof *t->first);
        t->count = (int32_t *)piece(&mem, (size_t)t->out * sizeof *t->count);
        t->share = (float *)piece(&mem, (size_t)(t->out * t->most) * sizeof *t->share);
    }
    return mem.used;
}

__device__ void put(float *out, int64_t at, float v) {
    out[at] = v;
}

__device__ void put(uint8_t *out, int64_t at, float v) {
    out[at] = resample_round_u8(v);
}

} // namespace

static __global__ void fill_taps(struct taps t, enum hf_resample_mode mode) {
    HF_CUDA_EACH(j, t.out) {
        int32_t first = 0;
        t.count[j] = resample_taps(t.scale, t.offset, j, t.in, mode, &first, t.share + j * t.most);
        t.first[j] = first;
    }
}

template <typename T>
static __global__ void average(struct plan p, const T *in, T *out, int64_t channels, float fill) {
    const struct taps &td = p.axis[0], &th = p.axis[1], &tw = p.axis[2];
    VOLUME_EACH(plane, h, w, channels * td.out, th.out, tw.out) {
        int64_t channel = plane / td.out, d = plane % td.out;
        int32_t nd = td.count[d], nh = th.count[h], nw = tw.count[w];
        const float *sd = td.share + d * td.most, *sh = th.share + h * th.most;
        const float *sw = tw.share + w * tw.most;
        int64_t across = th.in * tw.in;
        const T *box =
            in + (channel * td.in + td.first[d]) * across + th.first[h] * tw.in + tw.first[w];
        float sum = 0;
        for (int32_t c = 0; nd > 0 && nh > 0 && c < nw; c++) {
            float row = 0;
            for (int32_t b = 0; b < nh; b++) {
                const T *at = box + b * tw.in + c;
                float slice = sd[0] * (float)at[0];
                for (int32_t a = 1; a < nd; a++)
                    slice += sd[a] * (float)at[a * across];
                row = b == 0 ? sh[0] * slice : row + sh[b] * slice;
            }
            sum += sw[c] * row;
        }
        put(out, (plane * th.out + h) * tw.out + w, nd > 0 && nh > 0 && nw > 0 ? sum : fill);
    }
}

static __global__ void vote(struct plan p, const uint8_t *in, uint8_t *out, int64_t channels,
                            float fill) {
    const struct taps &td = p.axis[0], &th = p.axis[1], &tw = p.axis[2];
    VOLUME_EACH(plane, h, w, channels * td.out, th.out, tw.out) {
        int64_t channel = plane / td.out, d = plane % td.out;
        struct resample_box box = {
            {td.first[d], th.first[h], tw.first[w]},
            {td.count[d], th.count[h], tw.count[w]},
            {td.share + d * td.most, th.share + h * th.most, tw.share + w * tw.most}};
        int there = box.count[0] > 0 && box.count[1] > 0 && box.count[2] > 0;
        out[(plane * th.out + h) * tw.out + w] =
            there ? resample_box_label(in + channel * td.in * th.in * tw.in, th.in, tw.in, &box)
                  : resample_round_u8(fill);
    }
}

struct lattice {
    int64_t points[3];
};

template <typename T>
static __global__ void sample(struct hf_resample_params params, struct lattice lattice,
                              struct resample_volume in, T *out, int64_t channels, int64_t depth,
                              int64_t height, int64_t width) {
    VOLUME_EACH(plane, h, w, channels * depth, height, width) {
        int64_t voxel[3] = {w, h, plane % depth};
        struct resample_volume from = in;
        from.data = (const T *)in.data + plane / depth * (in.size[0] * in.size[1] * in.size[2]);
        put(out, (plane * height + h) * width + w,
            resample_oblique(&params, &from, voxel, lattice.points));
    }
}

template <typename T>
static void resample(const struct hf_op_call *call, void *scratch, void *stream) {
    const struct hf_resample_params *params = (const struct hf_resample_params *)call->params;
    const struct hf_tensor *from = call->in[0], *to = call->out[0];
    int64_t channels = to->shape[0], depth = to->shape[1];
    int64_t height = to->shape[2], width = to->shape[3];
    const T *in = HF_DATA(const T, from);
    T *out = HF_DATA(T, to);
    dim3 grid = volume_grid(channels * depth, height, width);
    if (!resample_separable(params, to)) {
        struct lattice lattice;
        struct resample_volume volume = {
            in, {from->shape[1], from->shape[2], from->shape[3]}, from->dtype == HF_F32};
        struct hf_resample_params copy = *params;
        resample_lattice(params, lattice.points);
        HF_CUDA_LAUNCH(sample<T>, grid, volume_block(), stream, copy, lattice, volume, out,
                       channels, depth, height, width);
        return;
    }
    struct plan p;
    layout(call, &p, scratch);
    float fill = params->fill;
    for (int a = 0; a < 3; a++) {
        struct taps t = p.axis[a];
        enum hf_resample_mode mode = params->mode;
        HF_CUDA_LAUNCH(fill_taps, hf_cuda_grid(t.out), HF_CUDA_THREADS, stream, t, mode);
    }
    if (params->mode == HF_RESAMPLE_LABELS) {
        const uint8_t *labels = HF_DATA(const uint8_t, from);
        uint8_t *voted = HF_DATA(uint8_t, to);
        HF_CUDA_LAUNCH(vote, grid, volume_block(), stream, p, labels, voted, channels, fill);
        return;
    }
    HF_CUDA_LAUNCH(average<T>, grid, volume_block(), stream, p, in, out, channels, fill);
}

static size_t scratch_bytes(const struct hf_op_call *call) {
    struct plan p;
    return resample_check(call, NULL) == HF_OK ? layout(call, &p, NULL) : 0;
}

static enum hf_status launch(const struct hf_op_call *call, void *scratch, void *stream,
                             struct hf_error *e) {
    enum hf_status st = resample_check(call, e);
    if (st != HF_OK || hf_tensor_count(call->out[0]) == 0)
        return st;
    if (call->out[0]->dtype == HF_F32)
        resample<float>(call, scratch, stream);
    else
        resample<uint8_t>(call, scratch, stream);
    return hf_cuda_launched("resample", e);
}

const struct hf_op cuda_op_resample = {"resample", HF_KIND_CUDA, launch, scratch_bytes};
