/**
 * fields.c - smooth random fields, blurring, distances to borders. See fields.h.
 */
#include "fields.h"

#include <stdlib.h>

#include "elem.h"

enum {
    LONGEST_KERNEL = 10 /* voxels to each side */
};

/** Expands one axis: `rows` x `controls` x `cols` control points to `rows` x `n` x `cols`. */
static void expand(const float *in, float *out, size_t rows, int32_t controls, int32_t n,
                   size_t cols, float step) {
    for (size_t r = 0; r < rows; r++) {
        const float *from = in + r * (size_t)controls * cols;
        for (int32_t i = 0; i < n; i++) {
            float at = (float)i * step, w[4];
            int32_t cell = (int32_t)at;
            phantom_spline(at - (float)cell, w);
            const float *c = from + (size_t)cell * cols;
            float *to = out + (r * (size_t)n + (size_t)i) * cols;
            for (size_t k = 0; k < cols; k++)
                to[k] = w[0] * c[k] + w[1] * c[k + cols] + w[2] * c[k + 2 * cols] +
                        w[3] * c[k + 3 * cols];
        }
    }
}

enum hf_status phantom_field_smooth(const struct phantom_grid *g, float pitch, struct hf_rng rng,
                                    float *out, struct hf_error *e) {
    size_t n[3], c[3];
    float step[3];
    for (int k = 0; k < 3; k++) {
        n[k] = (size_t)g->n[k];
        step[k] = g->mm[k] / pitch;
        c[k] = (size_t)((float)(g->n[k] - 1) * step[k]) + 4;
    }
    float *a = malloc(c[0] * c[1] * c[2] * sizeof *a);
    float *b = malloc(n[0] * c[1] * c[2] * sizeof *b);
    float *d = malloc(n[0] * n[1] * c[2] * sizeof *d);
    enum hf_status st = HF_OK;
    if (a && b && d) {
        /* the mean over positions of the sum of squared weights is 0.4794 an axis */
        const float unit = 1.0f / sqrtf(0.4794f * 0.4794f * 0.4794f);
        for (size_t i = 0; i < c[0] * c[1] * c[2]; i++)
            a[i] = unit * hf_rng_normal(&rng);
        expand(a, b, 1, (int32_t)c[0], g->n[0], c[1] * c[2], step[0]);
        expand(b, d, n[0], (int32_t)c[1], g->n[1], c[2], step[1]);
        expand(d, out, n[0] * n[1], (int32_t)c[2], g->n[2], 1, step[2]);
    } else {
        st = hf_fail(e, HF_NO_MEMORY, "phantom: no memory for a random field");
    }
    free(a);
    free(b);
    free(d);
    return st;
}

static int gaussian(float sigma, float w[2 * LONGEST_KERNEL + 1]) {
    int reach = (int)ceilf(3.0f * sigma);
    if (reach > LONGEST_KERNEL)
        reach = LONGEST_KERNEL;
    float sum = 0.0f;
    for (int i = -reach; i <= reach; i++) {
        w[i + reach] = expf(-0.5f * (float)(i * i) / (sigma * sigma));
        sum += w[i + reach];
    }
    for (int i = 0; i <= 2 * reach; i++)
        w[i] /= sum;
    return reach;
}

/** Blurs `rows` x `n` x `cols` along the middle axis, line by line of `cols` values. */
static void blur_axis(float *data, float *line, size_t rows, int32_t n, size_t cols, const float *w,
                      int reach) {
    for (size_t r = 0; r < rows; r++) {
        float *block = data + r * (size_t)n * cols;
        for (size_t i = 0; i < (size_t)n * cols; i++)
            line[i] = block[i];
        for (int32_t i = 0; i < n; i++) {
            float *to = block + (size_t)i * cols;
            for (size_t k = 0; k < cols; k++)
                to[k] = 0.0f;
            for (int j = -reach; j <= reach; j++) {
                int32_t at = i + j < 0 ? 0 : i + j >= n ? n - 1 : i + j;
                const float *from = line + (size_t)at * cols;
                for (size_t k = 0; k < cols; k++)
                    to[k] += w[j + reach] * from[k];
            }
        }
    }
}

enum hf_status phantom_blur(const struct phantom_grid *g, const float sigma[3], float *data,
                            struct hf_error *e) {
    float *line = malloc(phantom_count(g) * sizeof *line);
    if (!line)
        return hf_fail(e, HF_NO_MEMORY, "phantom: no memory to blur");
    size_t rows = 1, cols = phantom_count(g);
    for (int k = 0; k < 3; k++) {
        float w[2 * LONGEST_KERNEL + 1];
        cols /= (size_t)g->n[k];
        if (sigma[k] > 0.05f)
            blur_axis(data, line, rows, g->n[k], cols, w, gaussian(sigma[k], w));
        rows *= (size_t)g->n[k];
    }
    free(line);
    return HF_OK;
}

enum hf_status phantom_field_noise(const struct phantom_grid *g, const float sigma[3],
                                   struct hf_rng rng, float *out, struct hf_error *e) {
    float unit = 1.0f;
    for (int k = 0; k < 3; k++) {
        float w[2 * LONGEST_KERNEL + 1], squares = 0.0f;
        if (!(sigma[k] > 0.05f))
            continue;
        int reach = gaussian(sigma[k], w);
        for (int i = 0; i <= 2 * reach; i++)
            squares += w[i] * w[i];
        unit /= sqrtf(squares);
    }
    for (size_t i = 0; i < phantom_count(g); i++)
        out[i] = unit * hf_rng_normal(&rng);
    return phantom_blur(g, sigma, out, e);
}

struct neighbour {
    int32_t d, h, w;
    float mm;
};

/** Takes over a shorter way to the border through each of `m` neighbours that are in the grid. */
static void relax(const struct phantom_grid *g, const uint8_t *label, float *out, int32_t d,
                  int32_t h, int32_t w, const struct neighbour *near, int m) {
    size_t at = ((size_t)d * (size_t)g->n[1] + (size_t)h) * (size_t)g->n[2] + (size_t)w;
    float best = out[at];
    for (int i = 0; i < m; i++) {
        int32_t dd = d + near[i].d, hh = h + near[i].h, ww = w + near[i].w;
        if (dd < 0 || dd >= g->n[0] || hh < 0 || hh >= g->n[1] || ww < 0 || ww >= g->n[2])
            continue;
        size_t to = ((size_t)dd * (size_t)g->n[1] + (size_t)hh) * (size_t)g->n[2] + (size_t)ww;
        float way = label[to] == label[at] ? out[to] + near[i].mm : 0.5f * near[i].mm;
        best = way < best ? way : best;
    }
    out[at] = best;
}

void phantom_border_distance(const struct phantom_grid *g, const uint8_t *label, float *out) {
    struct neighbour before[13], after[13];
    int m = 0;
    for (int32_t d = -1; d <= 0; d++)
        for (int32_t h = -1; h <= (d < 0 ? 1 : 0); h++)
            for (int32_t w = -1; w <= (d < 0 || h < 0 ? 1 : -1); w++) {
                float x = (float)d * g->mm[0], y = (float)h * g->mm[1], z = (float)w * g->mm[2];
                before[m] = (struct neighbour){d, h, w, sqrtf(x * x + y * y + z * z)};
                after[m] = (struct neighbour){-d, -h, -w, before[m].mm};
                m++;
            }
    for (size_t i = 0; i < phantom_count(g); i++)
        out[i] = 1e6f;
    for (int32_t d = 0; d < g->n[0]; d++)
        for (int32_t h = 0; h < g->n[1]; h++)
            for (int32_t w = 0; w < g->n[2]; w++)
                relax(g, label, out, d, h, w, before, m);
    for (int32_t d = g->n[0] - 1; d >= 0; d--)
        for (int32_t h = g->n[1] - 1; h >= 0; h--)
            for (int32_t w = g->n[2] - 1; w >= 0; w--)
                relax(g, label, out, d, h, w, after, m);
}
