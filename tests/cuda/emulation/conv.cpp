/*
 * conv.cpp - conv.h without cuDNN: plain loops that sum in double precision, in the stream's turn.
 *
 * Stricter than cuDNN where its users could go wrong: it wants aligned operands, overwrites its
 * workspace, and leaves the bias of a convolution to one channel to the caller.
 */
#include "../../../plugins/cuda/nn/conv.h"

#include <string>
#include <vector>

#include <stdlib.h>
#include <string.h>

#include "cuda_bf16.h"
#include "cuda_runtime.h"

struct cv_choices {
    int unused;
};

struct cv_context {
    cudaStream_t stream;
};

struct cv_conv {
    cv_context *ctx;
    cv_spec spec;
    char name[HF_NET_NAME];
    char engine[CV_PASSES][32];
};

namespace {

float tf32(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    bits = (bits + 0x1000u) & ~0x1FFFu;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* An operand's elements as the arithmetic sees them. */
std::vector<float> read(const void *data, int64_t count, hf_precision precision) {
    std::vector<float> values((size_t)count);
    for (size_t i = 0; i < values.size(); i++)
        if (precision == HF_PRECISION_BF16)
            values[i] = __bfloat162float(((const __nv_bfloat16 *)data)[i]);
        else
            values[i] = precision == HF_PRECISION_TF32 ? tf32(((const float *)data)[i])
                                                       : ((const float *)data)[i];
    return values;
}

void write(void *data, const std::vector<double> &values, hf_precision precision) {
    for (size_t i = 0; i < values.size(); i++)
        if (precision == HF_PRECISION_BF16)
            ((__nv_bfloat16 *)data)[i] = __float2bfloat16_rn((float)values[i]);
        else
            ((float *)data)[i] = (float)values[i];
}

/* Every window of the output, and of each the taps that lie inside the input. */
class windows {
  public:
    explicit windows(const cv_spec &s) : s(s) {
    }
    template <typename F> void each(F body) const { /* (output voxel, tap, input voxel) */
        for (int64_t n = 0; n < s.n; n++)
            for (int64_t d = 0; d < s.out[0]; d++)
                for (int64_t h = 0; h < s.out[1]; h++)
                    for (int64_t w = 0; w < s.out[2]; w++)
                        taps(n, d, h, w, body);
    }
    int64_t inputs() const {
        return s.n * s.in[0] * s.in[1] * s.in[2];
    }
    int64_t outputs() const {
        return s.n * s.out[0] * s.out[1] * s.out[2];
    }
    int64_t tap_count() const {
        return (int64_t)s.kernel[0] * s.kernel[1] * s.kernel[2];
    }

  private:
    template <typename F>
    void taps(int64_t n, int64_t d, int64_t h, int64_t w, const F &body) const {
        const int64_t at[3] = {d, h, w};
        int64_t voxel = ((n * s.out[0] + d) * s.out[1] + h) * s.out[2] + w;
        for (int64_t tap = 0; tap < tap_count(); tap++) {
            const int64_t k[3] = {tap / s.kernel[2] / s.kernel[1], tap / s.kernel[2] % s.kernel[1],
                                  tap % s.kernel[2]};
            int64_t from = n;
            bool inside = true;
            for (int a = 0; a < 3; a++) {
                int64_t i = at[a] * s.stride[a] + k[a] * s.dilation[a] - s.pad_low[a];
                inside = inside && i >= 0 && i < s.in[a];
                from = from * s.in[a] + i;
            }
            if (inside)
                body(voxel, tap, from);
        }
    }

    const cv_spec &s;
};

void run(const cv_spec &s, cv_pass pass, const cv_buffers &b, bool adds_bias) {
    const windows win(s);
    int64_t ci = s.ci, co = s.co, taps = win.tap_count();
    const int64_t count[3] = {win.inputs() * ci, co * taps * ci, win.outputs() * co};
    void *const data[3] = {b.x, b.w, b.y};
    int made = pass == CV_FORWARD ? 2 : pass == CV_DATA ? 0 : 1;
    std::vector<float> values[3];
    for (int i = 0; i < 3; i++)
        if (i != made)
            values[i] = read(data[i], count[i], s.precision);
    const float *x = values[0].data(), *w = values[1].data(), *y = values[2].data();
    std::vector<double> result((size_t)count[made]);
    double *sum = result.data();
    win.each([&](int64_t out, int64_t tap, int64_t in) {
        for (int64_t o = 0; o < co; o++) {
            int64_t row = (o * taps + tap) * ci;
            double dot = 0;
            if (pass == CV_FORWARD) {
                for (int64_t i = 0; i < ci; i++)
                    dot += (double)x[in * ci + i] * w[row + i];
                sum[out * co + o] += dot;
                continue;
            }
            double dy = y[out * co + o], *to = sum + (pass == CV_DATA ? in * ci : row);
            const float *from = pass == CV_DATA ? w + row : x + in * ci;
            for (int64_t i = 0; i < ci; i++)
                to[i] += dy * from[i];
        }
    });
    if (adds_bias) {
        hf_precision p = s.precision == HF_PRECISION_BF16 ? s.precision : HF_PRECISION_F32;
        const std::vector<float> bias = read(b.bias, co, p);
        for (size_t i = 0; i < result.size(); i++)
            sum[i] += bias[i % (size_t)co];
    }
    write(data[made], result, s.precision);
}

bool sizes_agree(const cv_spec &s) {
    bool agree = s.n > 0 && s.ci > 0 && s.co > 0;
    for (int a = 0; a < 3 && agree; a++) {
        int64_t k = (int64_t)s.dilation[a] * (s.kernel[a] - 1) + 1;
        int64_t high = s.pad_high[a] > 0 ? s.pad_high[a] : 0;
        int64_t room = s.in[a] + s.pad_low[a] + high - k;
        agree =
            s.pad_low[a] >= 0 && room >= 0 && s.stride[a] > 0 && s.out[a] == room / s.stride[a] + 1;
    }
    return agree && (s.dims == 3 || (s.dims == 2 && s.in[0] == 1 && s.kernel[0] == 1));
}

} // namespace

hf_status cv_choices_new(const hf_host *host, cv_choices **ret, hf_error *e) {
    (void)host;
    (void)e;
    *ret = new cv_choices();
    return HF_OK;
}

void cv_choices_free(cv_choices *choices) {
    delete choices;
}

hf_status cv_context_new(cv_choices *choices, void *stream, cv_context **ret, hf_error *e) {
    if (!choices || !stream)
        return hf_fail(e, HF_INVALID, "emulation: a context wants choices and a stream");
    *ret = new cv_context{(cudaStream_t)stream};
    return HF_OK;
}

void cv_context_free(cv_context *ctx) {
    delete ctx;
}

const char *cv_describe(char *text, size_t size) {
    (void)snprintf(text, size, "no cuDNN (emulation)");
    return text;
}

hf_status cv_conv_new(cv_context *ctx, const cv_spec *spec, cv_conv **ret, hf_error *e) {
    if (spec->precision <= HF_PRECISION_AUTO || spec->precision >= HF_PRECISIONS)
        return hf_fail(e, HF_INVALID, "network layer \"%s\": a convolution of precision %d",
                       spec->name, (int)spec->precision);
    if (!sizes_agree(*spec))
        return hf_fail(e, HF_INVALID, "network layer \"%s\": the convolution's sizes do not agree",
                       spec->name);
    cv_conv *c = new cv_conv();
    c->ctx = ctx;
    c->spec = *spec;
    (void)snprintf(c->name, sizeof c->name, "%s", spec->name);
    c->spec.name = c->name;
    for (int pass = 0; pass < CV_PASSES; pass++)
        if (spec->passes >> pass & 1)
            (void)snprintf(c->engine[pass], sizeof c->engine[pass], "emulation");
    *ret = c;
    return HF_OK;
}

void cv_conv_free(cv_conv *c) {
    delete c;
}

size_t cv_workspace(const cv_conv *c, cv_pass pass) {
    return c->engine[pass][0] ? 1000 * ((size_t)pass + 1) : 0;
}

int cv_adds_bias(const cv_conv *c) {
    return c->engine[CV_FORWARD][0] && c->spec.bias && c->spec.co > 1;
}

const char *cv_engine(const cv_conv *c, cv_pass pass) {
    return c->engine[pass];
}

hf_status cv_conv_run(cv_conv *c, cv_pass pass, const cv_buffers *b, hf_error *e) {
    bool adds_bias = pass == CV_FORWARD && cv_adds_bias(c);
    const void *operands[] = {b->x, b->w, b->y, b->workspace, adds_bias ? b->bias : b->x};
    if (!c->engine[pass][0])
        return hf_fail(e, HF_INVALID, "network layer \"%s\": that pass was not planned", c->name);
    for (const void *p : operands)
        if (!p || (uintptr_t)p % 16)
            return hf_fail(e, HF_INVALID,
                           "network layer \"%s\": an operand is missing or not aligned to 16 bytes",
                           c->name);
    const cv_spec spec = c->spec; /* the convolution may be gone when its turn comes */
    const cv_buffers buffers = *b;
    size_t workspace = cv_workspace(c, pass);
    emulation::enqueue(c->ctx->stream, [=] {
        memset(buffers.workspace, 0xA5, workspace);
        run(spec, pass, buffers, adds_bias);
    });
    return HF_OK;
}
