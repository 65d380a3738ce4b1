/**
 * blur.cu - "blur": a separable Gaussian, optionally over the voxels of a mask alone.
 *
 * A pass for each axis, W, H, D, from one volume to another: results alternate between the output
 * and scratch, so that the last pass ends in the output. Across rows a thread makes four voxels in
 * a line from one walk over their neighbours. Without a mask a pass divides by the part of the
 * kernel that lies inside; with one, image times mask and mask are blurred alike and divided by the
 * last pass. The kernel's entries come from the host: its expf, not the GPU's.
 */
#include <hepaflow/cuda.h>

#include "../../ops/blur_elem.h"
#include "../../ops/check.h"
#include "../../ops/pieces.h"
#include "ops.h"
#include "volume.h"

#define RUN     4
#define ENTRIES 512 /* of a kernel that travel with one launch */

namespace {

enum source {
    SOURCE_IMAGE,
    SOURCE_MASKED, /* image, 0 off the mask */
    SOURCE_MASK    /* 1 on the mask, 0 off it */
};

/* An axis: `outer` times n voxels, `inner` apart, times `inner` neighbours. */
struct axis {
    int64_t outer, n, inner;
    float sigma;
    int64_t reach; /* of the kernel, within the volume */
    float *kernel; /* entries 0..reach */
    float *norm;   /* for each voxel of a line, 1 / the part of the kernel that lies inside */
};

struct work {
    struct axis axis[3]; /* those with a blur, in the order of their passes */
    int passes;
    int64_t voxels;
    float *share; /* blurred mask */
    float *other; /* where passes alternate with the output */
};

struct pass {
    const float *from;
    float *to;
    const uint8_t *mask;   /* of the source */
    const float *share;    /* of the last pass with a mask: divides by it, */
    const float *original; /* and this is what stays off the mask */
    int32_t normalise;
};

struct entries {
    float value[ENTRIES];
};

size_t layout(const struct hf_op_call *call, struct work *w, void *scratch) {
    const struct hf_blur_params *params = (const struct hf_blur_params *)call->params;
    const int64_t *size = call->in[0]->shape + 1;
    struct pieces mem = {(char *)scratch, 0};
    w->passes = 0;
    w->voxels = size[0] * size[1] * size[2];
    for (int a = 2; a >= 0; a--) {
        int64_t radius = blur_radius(params->sigma[a]);
        if (radius == 0 || w->voxels == 0)
            continue;
        struct axis *x = &w->axis[w->passes++];
        x->sigma = params->sigma[a];
        x->n = size[a];
        x->inner = a == 2 ? 1 : a == 1 ? size[2] : size[1] * size[2];
        x->outer = w->voxels / x->n / x->inner;
        x->reach = radius < x->n ? radius : x->n - 1;
        x->kernel = (float *)piece(&mem, (size_t)(x->reach + 1) * sizeof(float));
        x->norm = (float *)piece(&mem, (size_t)x->n * sizeof(float));
    }
    size_t bytes = (size_t)w->voxels * sizeof(float);
    w->share = call->inputs > 1 && w->passes > 0 ? (float *)piece(&mem, bytes) : NULL;
    w->other = w->passes > 1 ? (float *)piece(&mem, bytes) : NULL;
    return mem.used;
}

template <int SOURCE> __device__ float take(const struct pass &p, int64_t at) {
    if (SOURCE == SOURCE_IMAGE)
        return p.from[at];
    if (SOURCE == SOURCE_MASK)
        return p.mask[at] ? 1.0f : 0.0f;
    return p.mask[at] ? p.from[at] : 0.0f;
}

__device__ void finish(const struct pass &p, const struct axis &x, int64_t i, int64_t at, float v) {
    if (p.normalise)
        v *= x.norm[i];
    if (p.share)
        v = p.mask[at] ? v / p.share[at] : p.original[at];
    p.to[at] = v;
}

} // namespace

static __global__ void store_entries(float *kernel, struct entries e, int64_t n) {
    HF_CUDA_EACH(i, n)
        kernel[i] = e.value[i];
}

static __global__ void normalise(struct axis x) {
    HF_CUDA_EACH(i, x.n)
        x.norm[i] = 1.0f / blur_inside(x.kernel, x.reach, i, x.n);
}

template <int SOURCE> static __global__ void along_rows(struct pass p, struct axis x) {
    VOLUME_EACH(plane, row, i, 1, x.outer, x.n) {
        int64_t first = i < x.reach ? -i : -x.reach;
        int64_t last = x.n - 1 - i < x.reach ? x.n - 1 - i : x.reach;
        int64_t at = row * x.n + i;
        float sum = 0;
        for (int64_t k = first; k <= last; k++)
            sum += x.kernel[k < 0 ? -k : k] * take<SOURCE>(p, at + k);
        finish(p, x, i, at, sum);
    }
}

/* RUN voxels in a line: each entry of the kernel is read once and handed on from one to the next.
 */
template <int SOURCE> static __global__ void across_rows(struct pass p, struct axis x) {
    VOLUME_EACH(outer, group, w, x.outer, (x.n + RUN - 1) / RUN, x.inner) {
        int64_t i = group * RUN, start = outer * x.n * x.inner + w;
        int64_t first = i < x.reach ? 0 : i - x.reach;
        int64_t last = i + RUN - 1 + x.reach < x.n ? i + RUN - 1 + x.reach : x.n - 1;
        float sum[RUN], entry[RUN];
        for (int r = 0; r < RUN; r++) {
            sum[r] = 0;
            int64_t k = first - 1 - i - r < 0 ? i + r - (first - 1) : first - 1 - i - r;
            entry[r] = k <= x.reach ? x.kernel[k] : 0;
        }
        for (int64_t j = first; j <= last; j++) {
            float v = take<SOURCE>(p, start + j * x.inner);
            for (int r = RUN - 1; r > 0; r--)
                entry[r] = entry[r - 1];
            int64_t k = j < i ? i - j : j - i;
            entry[0] = k <= x.reach ? x.kernel[k] : 0;
            for (int r = 0; r < RUN; r++)
                if (j - i - r <= x.reach && i + r - j <= x.reach)
                    sum[r] += entry[r] * v;
        }
        for (int r = 0; r < RUN; r++)
            if (i + r < x.n)
                finish(p, x, i + r, start + (i + r) * x.inner, sum[r]);
    }
}

static __global__ void copy(const float *from, float *to, int64_t n) {
    HF_CUDA_EACH(i, n)
        to[i] = from[i];
}

template <int SOURCE>
static void run_pass(const struct pass &p, const struct axis &x, void *stream) {
    if (x.inner == 1)
        HF_CUDA_LAUNCH(along_rows<SOURCE>, volume_grid(1, x.outer, x.n), volume_block(), stream, p,
                       x);
    else
        HF_CUDA_LAUNCH(across_rows<SOURCE>, volume_grid(x.outer, (x.n + RUN - 1) / RUN, x.inner),
                       volume_block(), stream, p, x);
}

/* All passes, the first one from `source`; the result ends in `to`. */
static void blur_volume(const struct work *w, enum source source, const float *from,
                        const uint8_t *mask, float *to, void *stream) {
    const float *original = from;
    for (int i = 0; i < w->passes; i++) {
        int last = i == w->passes - 1;
        struct pass p = {};
        p.from = from;
        p.to = (w->passes - 1 - i) % 2 == 0 ? to : w->other;
        p.mask = mask;
        p.normalise = source == SOURCE_IMAGE;
        if (source == SOURCE_MASKED && last)
            p.share = w->share;
        p.original = original;
        if (i > 0 || source == SOURCE_IMAGE)
            run_pass<SOURCE_IMAGE>(p, w->axis[i], stream);
        else if (source == SOURCE_MASKED)
            run_pass<SOURCE_MASKED>(p, w->axis[i], stream);
        else
            run_pass<SOURCE_MASK>(p, w->axis[i], stream);
        from = p.to;
    }
}

static void make_kernel(const struct axis &x, void *stream) {
    for (int64_t first = 0; first <= x.reach; first += ENTRIES) {
        struct entries e = {};
        int64_t n = x.reach + 1 - first < ENTRIES ? x.reach + 1 - first : ENTRIES;
        for (int64_t i = 0; i < n; i++)
            e.value[i] = blur_entry(x.sigma, first + i);
        float *kernel = x.kernel + first;
        HF_CUDA_LAUNCH(store_entries, hf_cuda_grid(n), HF_CUDA_THREADS, stream, kernel, e, n);
    }
    HF_CUDA_LAUNCH(normalise, hf_cuda_grid(x.n), HF_CUDA_THREADS, stream, x);
}

static size_t scratch_bytes(const struct hf_op_call *call) {
    struct work w;
    return blur_check(call, NULL) == HF_OK ? layout(call, &w, NULL) : 0;
}

static enum hf_status launch(const struct hf_op_call *call, void *scratch, void *stream,
                             struct hf_error *e) {
    enum hf_status st = blur_check(call, e);
    if (st != HF_OK || hf_tensor_count(call->out[0]) == 0)
        return st;
    struct work w;
    layout(call, &w, scratch);
    const uint8_t *mask = call->inputs > 1 ? HF_DATA(const uint8_t, call->in[1]) : NULL;
    const float *in = HF_DATA(const float, call->in[0]);
    float *out = HF_DATA(float, call->out[0]);
    int64_t channels = call->in[0]->shape[0], n = channels * w.voxels;
    if (w.passes == 0)
        HF_CUDA_LAUNCH(copy, hf_cuda_grid(n), HF_CUDA_THREADS, stream, in, out, n);
    for (int i = 0; i < w.passes; i++)
        make_kernel(w.axis[i], stream);
    if (mask && w.passes > 0)
        blur_volume(&w, SOURCE_MASK, NULL, mask, w.share, stream);
    for (int64_t c = 0; w.passes > 0 && c < channels; c++)
        blur_volume(&w, mask ? SOURCE_MASKED : SOURCE_IMAGE, in + c * w.voxels, mask,
                    out + c * w.voxels, stream);
    return hf_cuda_launched("blur", e);
}

const struct hf_op cuda_op_blur = {"blur", HF_KIND_CUDA, launch, scratch_bytes};
