/*
 * ref64.c - networks and losses in float64, written for clarity: what the device is compared with.
 */
#include "ref64.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct tensor {
    int64_t n, c, d, h, w;
    double *data;
};

static struct tensor make(int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
    struct tensor t = {n, c, d, h, w, calloc((size_t)(n * c * d * h * w), sizeof(double))};
    if (!t.data)
        abort();
    return t;
}

static double *at(const struct tensor *t, int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) {
    return &t->data[(((n * t->c + c) * t->d + d) * t->h + h) * t->w + w];
}

#define EACH(t)                                                                                    \
    for (int64_t n = 0; n < (t).n; n++)                                                            \
        for (int64_t c = 0; c < (t).c; c++)                                                        \
            for (int64_t d = 0; d < (t).d; d++)                                                    \
                for (int64_t h = 0; h < (t).h; h++)                                                \
                    for (int64_t w = 0; w < (t).w; w++)

/* Input position of output `o` and tap `k`, or -1 outside. */
static int64_t tap(const struct hf_layer *l, int a, int64_t o, int64_t k, int64_t size) {
    int64_t low = l->stride[a] == 1 ? l->dilation[a] * (l->kernel[a] - 1) / 2
                                    : (l->kernel[a] - l->stride[a] + 1) / 2;
    int64_t p = o * l->stride[a] + k * l->dilation[a] - low;
    if (l->pad == HF_PAD_REFLECT && p < 0)
        p = -p;
    if (l->pad == HF_PAD_REFLECT && p >= size)
        p = 2 * size - 2 - p;
    return p < 0 || p >= size ? -1 : p;
}

static struct tensor conv(const struct hf_layer *l, const struct tensor *x, const double *weight,
                          const double *bias) {
    struct tensor y =
        make(x->n, l->channels, (x->d + l->stride[0] - 1) / l->stride[0],
             (x->h + l->stride[1] - 1) / l->stride[1], (x->w + l->stride[2] - 1) / l->stride[2]);
    const int32_t *k = l->kernel;
    EACH(y) {
        double sum = bias ? bias[c] : 0;
        for (int64_t i = 0; i < x->c; i++)
            for (int64_t a = 0; a < k[0]; a++)
                for (int64_t b = 0; b < k[1]; b++)
                    for (int64_t e = 0; e < k[2]; e++) {
                        int64_t pd = tap(l, 0, d, a, x->d), ph = tap(l, 1, h, b, x->h);
                        int64_t pw = tap(l, 2, w, e, x->w);
                        if (pd >= 0 && ph >= 0 && pw >= 0)
                            sum += *at(x, n, i, pd, ph, pw) *
                                   weight[(((c * x->c + i) * k[0] + a) * k[1] + b) * k[2] + e];
                    }
        *at(&y, n, c, d, h, w) = sum;
    }
    return y;
}

static struct tensor deconv(const struct hf_layer *l, const struct tensor *x, const double *weight,
                            const double *bias) {
    const int32_t *k = l->kernel;
    struct tensor y = make(x->n, l->channels, x->d * k[0], x->h * k[1], x->w * k[2]);
    EACH(y) {
        double sum = bias ? bias[c] : 0;
        int64_t t = ((d % k[0]) * k[1] + h % k[1]) * k[2] + w % k[2];
        for (int64_t i = 0; i < x->c; i++)
            sum += *at(x, n, i, d / k[0], h / k[1], w / k[2]) *
                   weight[(i * l->channels + c) * k[0] * k[1] * k[2] + t];
        *at(&y, n, c, d, h, w) = sum;
    }
    return y;
}

static struct tensor norm(const struct hf_layer *l, const struct tensor *x, const double *scale,
                          const double *shift) {
    struct tensor y = make(x->n, x->c, x->d, x->h, x->w);
    int64_t s = x->d * x->h * x->w;
    for (int64_t i = 0; i < x->n * x->c; i++) {
        const double *from = x->data + i * s;
        double mean = 0, variance = 0;
        for (int64_t v = 0; v < s; v++)
            mean += from[v] / (double)s;
        for (int64_t v = 0; v < s; v++)
            variance += (from[v] - mean) * (from[v] - mean) / (double)s;
        for (int64_t v = 0; v < s; v++)
            y.data[i * s + v] = (from[v] - mean) / sqrt(variance + (double)l->epsilon) *
                                    (scale ? scale[i % x->c] : 1) +
                                (shift ? shift[i % x->c] : 0);
    }
    return y;
}

static double activate(const struct hf_layer *l, double x) {
    switch (l->act) {
    case HF_ACT_RELU:
        return x > 0 ? x : 0;
    case HF_ACT_LEAKY:
        return x > 0 ? x : (double)l->slope * x;
    case HF_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case HF_ACT_TANH:
        return tanh(x);
    default:
        return x;
    }
}

static struct tensor pool(const struct hf_layer *l, const struct tensor *x) {
    const int32_t *s = l->stride;
    struct tensor y = make(x->n, x->c, x->d / s[0], x->h / s[1], x->w / s[2]);
    EACH(y) {
        double best = -INFINITY;
        for (int64_t a = 0; a < s[0]; a++)
            for (int64_t b = 0; b < s[1]; b++)
                for (int64_t e = 0; e < s[2]; e++)
                    best = fmax(best, *at(x, n, c, d * s[0] + a, h * s[1] + b, w * s[2] + e));
        *at(&y, n, c, d, h, w) = best;
    }
    return y;
}

static struct tensor pointwise(const struct hf_layer *l, const struct tensor *x,
                               const struct tensor *other) {
    struct tensor y = make(x->n, l->channels, x->d, x->h, x->w);
    EACH(y) {
        double v = *at(x, n, c, d, h, w);
        if (l->kind == HF_LAYER_ACT)
            v = activate(l, v);
        else if (l->kind == HF_LAYER_GATE)
            v /= 1 + exp(-*at(x, n, c + l->channels, d, h, w));
        else
            v += *at(other, n, c, d, h, w);
        *at(&y, n, c, d, h, w) = v;
    }
    return y;
}

static struct tensor mask(const struct hf_layer *l, const struct tensor *x) {
    struct tensor y = make(x->n, 1, x->d, x->h, x->w);
    EACH(y) {
        *at(&y, n, c, d, h, w) = (*at(x, n, l->channel, d, h, w) > 0) != (l->invert != 0);
    }
    return y;
}

static struct tensor take(const struct hf_layer *l, const struct tensor *x) {
    struct tensor y = make(x->n, l->channels, x->d, x->h, x->w);
    EACH(y) {
        *at(&y, n, c, d, h, w) = *at(x, n, l->channel + c, d, h, w);
    }
    return y;
}

/* A convolution with ones of what is above 0. */
static struct tensor window(const struct hf_layer *l, const struct tensor *x) {
    double ones[512];
    int64_t all = (int64_t)l->kernel[0] * l->kernel[1] * l->kernel[2];
    struct tensor above = make(x->n, 1, x->d, x->h, x->w);
    for (int64_t i = 0; i < all; i++)
        ones[i] = 1;
    EACH(above) {
        *at(&above, n, c, d, h, w) = *at(x, n, c, d, h, w) > 0;
    }
    struct tensor y = conv(l, &above, ones, NULL);
    EACH(y) {
        double *count = at(&y, n, c, d, h, w);
        *count = *count > 0 ? (double)all / *count : 0;
    }
    free(above.data);
    return y;
}

static struct tensor scale(const struct tensor *x, const struct tensor *by, const double *bias) {
    struct tensor y = make(x->n, x->c, x->d, x->h, x->w);
    EACH(y) {
        double r = *at(by, n, 0, d, h, w);
        *at(&y, n, c, d, h, w) = *at(x, n, c, d, h, w) * r + (bias && r > 0 ? bias[c] : 0);
    }
    return y;
}

static struct tensor up(const struct hf_layer *l, const struct tensor *x) {
    const int32_t *s = l->stride;
    struct tensor y = make(x->n, x->c, x->d * s[0], x->h * s[1], x->w * s[2]);
    EACH(y) {
        *at(&y, n, c, d, h, w) = *at(x, n, c, d / s[0], h / s[1], w / s[2]);
    }
    return y;
}

static struct tensor concat(const struct hf_layer *l, const struct tensor *value) {
    const struct tensor *x = &value[l->input[0]];
    struct tensor y = make(x->n, l->channels, x->d, x->h, x->w);
    int64_t first = 0;
    for (int32_t k = 0; k < l->inputs; k++) {
        x = &value[l->input[k]];
        EACH(*x) {
            *at(&y, n, first + c, d, h, w) = *at(x, n, c, d, h, w);
        }
        first += x->c;
    }
    return y;
}

/* What leaves every layer. */
static struct tensor *run(const struct hf_net *net, const int64_t shape[5], const double *params,
                          const double *input) {
    struct tensor *v = calloc((size_t)net->layers, sizeof *v);
    if (!v)
        abort();
    for (int32_t i = 0; i < net->layers; i++) {
        const struct hf_layer *l = &net->layer[i];
        const struct tensor *x = &v[l->input[0]];
        const double *weight = params, *bias = NULL;
        if (l->kind == HF_LAYER_CONV || l->kind == HF_LAYER_DECONV) {
            params += x->c * l->channels * l->kernel[0] * l->kernel[1] * l->kernel[2];
            bias = l->bias ? params : NULL;
            params += l->bias ? l->channels : 0;
        } else if (l->kind == HF_LAYER_NORM) {
            weight = l->bias ? params : NULL;
            bias = l->bias ? params + l->channels : NULL;
            params += l->bias ? 2 * l->channels : 0;
        } else if (l->kind == HF_LAYER_SCALE) {
            bias = l->bias ? params : NULL;
            params += l->bias ? l->channels : 0;
        }
        if (l->kind == HF_LAYER_INPUT) {
            v[i] = make(shape[0], shape[1], shape[2], shape[3], shape[4]);
            for (int64_t k = 0; k < shape[0] * shape[1] * shape[2] * shape[3] * shape[4]; k++)
                v[i].data[k] = input[k];
        } else if (l->kind == HF_LAYER_CONV) {
            v[i] = conv(l, x, weight, bias);
        } else if (l->kind == HF_LAYER_DECONV) {
            v[i] = deconv(l, x, weight, bias);
        } else if (l->kind == HF_LAYER_NORM) {
            v[i] = norm(l, x, weight, bias);
        } else if (l->kind == HF_LAYER_POOL) {
            v[i] = pool(l, x);
        } else if (l->kind == HF_LAYER_UP) {
            v[i] = up(l, x);
        } else if (l->kind == HF_LAYER_CONCAT) {
            v[i] = concat(l, v);
        } else if (l->kind == HF_LAYER_MASK) {
            v[i] = mask(l, x);
        } else if (l->kind == HF_LAYER_TAKE) {
            v[i] = take(l, x);
        } else if (l->kind == HF_LAYER_WINDOW) {
            v[i] = window(l, x);
        } else if (l->kind == HF_LAYER_SCALE) {
            v[i] = scale(x, &v[l->input[1]], bias);
        } else {
            v[i] = pointwise(l, x, &v[l->input[1]]);
        }
    }
    return v;
}

static void shape_of(const struct tensor *t, int64_t ret[5]) {
    int64_t shape[5] = {t->n, t->c, t->d, t->h, t->w};
    for (int i = 0; i < 5; i++)
        ret[i] = shape[i];
}

double *ref64_forward(const struct hf_net *net, const int64_t shape[5], const double *params,
                      const double *input, int64_t ret_shape[5]) {
    struct tensor *v = run(net, shape, params, input);
    double *y = v[net->layers - 1].data;
    shape_of(&v[net->layers - 1], ret_shape);
    for (int32_t i = 0; i < net->layers - 1; i++)
        free(v[i].data);
    free(v);
    return y;
}

/* ---- losses ---- */

static double softplus(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

/* Probability of channel `c`: softmax over channels, or a sigmoid where there is one. */
static double probability(const double *z, int64_t c, int64_t channels, int64_t s) {
    if (channels == 1)
        return 1 / (1 + exp(-z[0]));
    double sum = 0;
    for (int64_t k = 0; k < channels; k++)
        sum += exp(z[k * s] - z[c * s]);
    return 1 / sum;
}

static double bce(double z, double t, double p) {
    return p * t * softplus(-z) + (1 - t) * softplus(z);
}

static double focal(double z, double t, double p, double gamma) {
    double q = 1 / (1 + exp(-z));
    return p * t * pow(1 - q, gamma) * softplus(-z) + (1 - t) * pow(q, gamma) * softplus(z);
}

/* [n][channels][s] of which a term sees [n][c][s] from channel `first` on. */
struct seen {
    int64_t n, c, s, channels, first;
    const double *z, *t, *w;
};

static int64_t place(const struct seen *k, int64_t n, int64_t c, int64_t v) {
    return (n * k->channels + k->first + c) * k->s + v;
}

static double overlap(const struct seen *k, const struct hf_loss_term *term) {
    double score = 0;
    int64_t first = k->c > 1;
    for (int64_t c = first; c < k->c; c++) {
        double hit = 0, wrong = 0, missed = 0;
        for (int64_t n = 0; n < k->n; n++)
            for (int64_t v = 0; v < k->s; v++) {
                double q = probability(k->z + place(k, n, 0, v), c, k->c, k->s);
                double t = k->t[place(k, n, c, v)], w = k->w[n * k->s + v];
                hit += w * q * t;
                wrong += w * q * (1 - t);
                missed += w * (1 - q) * t;
            }
        score +=
            term->kind == HF_LOSS_DICE
                ? (2 * hit + 1) / (2 * hit + wrong + missed + 1)
                : (hit + 1) / (hit + (double)term->alpha * wrong + (double)term->beta * missed + 1);
    }
    return 1 - score / (double)(k->c - first);
}

static double pointwise_term(const struct seen *k, const struct hf_loss_term *term) {
    double sum = 0, total = 0, p = (double)term->pos_weight;
    for (int64_t i = 0; i < k->n * k->s; i++)
        total += k->w[i];
    for (int64_t n = 0; n < k->n; n++)
        for (int64_t c = 0; c < k->c; c++)
            for (int64_t v = 0; v < k->s; v++) {
                double z = k->z[place(k, n, c, v)], t = k->t[place(k, n, c, v)];
                double w = k->w[n * k->s + v];
                if (term->kind == HF_LOSS_L1)
                    sum += w * fabs(z - t) / (double)k->c;
                else if (term->kind == HF_LOSS_BCE)
                    sum += w * bce(z, t, p) / (double)k->c;
                else if (term->kind == HF_LOSS_FOCAL)
                    sum += w * focal(z, t, p, (double)term->gamma) / (double)k->c;
                else if (k->c == 1)
                    sum += w * bce(z, t, 1);
                else
                    sum -= w * t * log(probability(k->z + place(k, n, 0, v), c, k->c, k->s));
            }
    return sum / fmax(total, 1e-6);
}

double ref64_loss(const struct hf_exec_spec *spec, const int64_t shape[5], const double *z,
                  const double *target, const double *weight, double *terms) {
    double total = 0;
    for (int32_t i = 0; i < spec->loss_terms; i++) {
        const struct hf_loss_term *term = &spec->loss[i];
        struct seen k = {.n = shape[0],
                         .c = term->channels ? term->channels : shape[1] - term->first,
                         .s = shape[2] * shape[3] * shape[4],
                         .channels = shape[1],
                         .first = term->first,
                         .z = z,
                         .t = target,
                         .w = weight};
        double value = term->kind == HF_LOSS_DICE || term->kind == HF_LOSS_TVERSKY
                           ? overlap(&k, term)
                           : pointwise_term(&k, term);
        if (terms)
            terms[i] = value;
        total += (double)term->factor * value;
    }
    return total;
}

/* The voxels at the middle of blocks. */
static struct tensor shrunk(const struct tensor *x, const struct tensor *as) {
    struct tensor y = make(x->n, x->c, as->d, as->h, as->w);
    EACH(y) {
        int64_t b = x->d / as->d, k = x->h / as->h, l = x->w / as->w;
        *at(&y, n, c, d, h, w) = *at(x, n, c, d * b + b / 2, h * k + k / 2, w * l + l / 2);
    }
    return y;
}

double ref64_total(const struct hf_net *net, const struct hf_exec_spec *spec, const double *params,
                   const double *input, const double *target, const double *weight, double *terms) {
    struct tensor *v = run(net, spec->shape, params, input), t = v[net->layers - 1], w = t;
    int64_t shape[5];
    shape_of(&t, shape);
    double total = ref64_loss(spec, shape, t.data, target, weight, terms);
    t.data = malloc((size_t)(t.n * t.c * t.d * t.h * t.w) * sizeof *t.data);
    w.data = malloc((size_t)(t.n * t.d * t.h * t.w) * sizeof *w.data);
    if (!t.data || !w.data)
        abort();
    w.c = 1;
    memcpy(t.data, target, (size_t)(t.n * t.c * t.d * t.h * t.w) * sizeof *t.data);
    memcpy(w.data, weight, (size_t)(t.n * t.d * t.h * t.w) * sizeof *w.data);
    for (int32_t i = 0; i < net->layers; i++) {
        if (net->layer[i].supervise > 0) {
            struct tensor few = shrunk(&t, &v[i]), weights = shrunk(&w, &v[i]);
            shape_of(&v[i], shape);
            total += (double)net->layer[i].supervise *
                     ref64_loss(spec, shape, v[i].data, few.data, weights.data, NULL);
            free(few.data);
            free(weights.data);
        }
        free(v[i].data);
    }
    free(v);
    free(t.data);
    free(w.data);
    return total;
}
