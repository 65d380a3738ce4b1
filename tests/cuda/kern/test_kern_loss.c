/*
 * test_kern_loss.c - the CUDA device's losses against float64, their gradients against numeric
 * differences of it, and the optimiser against plain loops.
 */
#include "kern_kit.h"
#include "../../nn/ref64.h"

#include <math.h>

struct problem {
    int64_t n, s, c;
    int32_t weighted, terms;
    struct hf_loss_term term[HF_MAX_LOSS_TERMS];
};

/* z in [N,C,S] from rows of channels, as the reference takes it. */
static void turn(const struct problem *p, const double *rows, double *to) {
    for (int64_t i = 0; i < p->n * p->s * p->c; i++)
        to[(i / p->c / p->s * p->c + i % p->c) * p->s + i / p->c % p->s] = rows[i];
}

static double *wider(const float *f, int64_t count) {
    double *d = kk_doubles(count);
    for (int64_t i = 0; f && i < count; i++)
        d[i] = (double)f[i];
    return d;
}

static void loss(const struct kk_setting *k, const void *arg) {
    const struct problem *p = arg;
    int64_t rows = p->n * p->s, count = rows * p->c;
    struct kk_operand *z = kk_make(k->type, k->lie, rows, p->c);
    struct kk_operand *dz = kk_make(k->type, k->lie, rows, p->c);
    float *target = kk_zeros((size_t)count * sizeof *target);
    float *weight = p->weighted ? kk_zeros((size_t)rows * sizeof *weight) : NULL;
    for (int64_t i = 0; i < count; i++)
        target[i] = (float)(kk_uniform() < 0.5 ? kk_uniform() : floor(kk_uniform() * 2));
    for (int64_t i = 0; weight && i < rows; i++)
        weight[i] = (float)floor(kk_uniform() * 3);
    struct ck_loss a = {.type = k->type,
                        .n = p->n,
                        .s = p->s,
                        .c = p->c,
                        .z = z->view,
                        .target = target,
                        .weight = weight,
                        .scale = p->weighted ? 1.0f : 0.25f, /* as a supervised layer */
                        .tells = 1};
    struct hf_exec_spec spec = {.loss_terms = p->terms};
    memcpy(spec.loss, p->term, sizeof spec.loss);
    float *out = kk_scratch(5 * sizeof *out), *evaluated = kk_scratch(5 * sizeof *evaluated);
    struct loss_group group[HF_MAX_LOSS_TERMS];
    int32_t groups = loss_groups_of(p->term, p->terms, p->c, group);
    for (int gradient = 0; gradient < 2; gradient++)
        for (int32_t i = 0; i < groups; i++) {
            struct hf_error e;
            a.group = group[i];
            a.adds = a.accumulate = i > 0;
            a.scratch = kk_scratch(ck_loss_scratch(p->n, p->s, group[i].channels));
            a.out = gradient ? out : evaluated;
            a.dz = gradient ? dz->view : (struct ck_view){0};
            kk_finish(ck_loss(&a, kk_stream(), &e));
        }

    int64_t shape[5] = {p->n, p->c, 1, 1, p->s};
    double *rows64 = kk_doubles(count), *z64 = kk_doubles(count), expected[5];
    double *t64 = wider(target, count), *w64 = wider(weight, rows);
    for (int64_t i = 0; !weight && i < rows; i++)
        w64[i] = 1;
    turn(p, z->value, z64);
    expected[0] = (double)a.scale * ref64_loss(&spec, shape, z64, t64, w64, expected + 1);
    kk_expect_floats(out, expected, 1 + p->terms, 1e-6);
    assert_memory_equal(out, evaluated, (size_t)(1 + p->terms) * sizeof *out);
    kk_untouched(z);

    /* The gradient: a few numbers by differences, all of them through a random direction. */
    double scale = 0, worst = 0, along = 0, step = 1e-5, side[2];
    for (int64_t i = 0; i < count; i++)
        scale = fmax(scale, fabs(kk_get(dz, i / p->c, i % p->c)));
    for (int64_t probe = 0; probe < 24; probe++) {
        int64_t i = (int64_t)(kk_uniform() * (double)count);
        for (int s = 0; s < 2; s++) {
            memcpy(rows64, z->value, (size_t)count * sizeof *rows64);
            rows64[i] += s ? step : -step;
            turn(p, rows64, z64);
            side[s] = (double)a.scale * ref64_loss(&spec, shape, z64, t64, w64, NULL);
        }
        double d = (side[1] - side[0]) / (2 * step) - kk_get(dz, i / p->c, i % p->c);
        worst = fmax(worst, fabs(d));
    }
    double limit = k->type == CK_F32 ? 2e-5 : 0x1p-8;
    if (!(worst <= limit * scale))
        fail_msg("gradient: %.3g of %.3g", worst, scale);
    double *direction = kk_doubles(count), size = 0;
    for (int64_t i = 0; i < count; i++) {
        direction[i] = kk_normal();
        double g = kk_get(dz, i / p->c, i % p->c);
        along += direction[i] * g;
        size += g * g;
    }
    for (int s = 0; s < 2; s++) {
        for (int64_t i = 0; i < count; i++)
            rows64[i] = z->value[i] + (s ? step : -step) * direction[i];
        turn(p, rows64, z64);
        side[s] = (double)a.scale * ref64_loss(&spec, shape, z64, t64, w64, NULL);
    }
    assert_true(fabs((side[1] - side[0]) / (2 * step) - along) <= limit * sqrt(size) * 4);
    kk_same(dz->memory, dz->bytes);
}

#define TERM(kind_, factor_, ...)                                                                  \
    { .kind = HF_LOSS_##kind_, .factor = factor_, __VA_ARGS__ }
#define L1(f)             TERM(L1, f)
#define BCE(f, p)         TERM(BCE, f, .pos_weight = p)
#define CE(f)             TERM(CE, f)
#define DICE(f)           TERM(DICE, f)
#define FOCAL(f, p, g)    TERM(FOCAL, f, .pos_weight = p, .gamma = g)
#define TVERSKY(f, a, b)  TERM(TVERSKY, f, .alpha = a, .beta = b)
#define PART(kind, at, c) TERM(kind, 1.2f, .first = at, .channels = c, .pos_weight = 2)

static const struct problem problems[] = {
    {2, 130, 1, 1, 1, {L1(1.0f)}},
    {1, 300, 3, 0, 2, {L1(0.5f), BCE(1.5f, 5.0f)}},
    {1, 77, 1, 1, 2, {BCE(1.0f, 3.0f), DICE(2.0f)}},
    {2, 150, 1, 0, 2, {CE(1.0f), DICE(1.0f)}},
    {2, 150, 2, 1, 2, {CE(1.0f), DICE(1.0f)}},
    {1, 2100, 3, 0, 1, {DICE(1.0f)}},
    {1, 90, 9, 1, 4, {CE(0.7f), DICE(1.1f), L1(0.3f), BCE(0.2f, 2.0f)}},
    {1, 40, 17, 0, 2, {CE(1.0f), DICE(1.0f)}},
    {1, 90, 4, 1, 1, {CE(1.0f)}},
    {1, 300, 1, 1, 1, {FOCAL(0.7f, 3.0f, 2.0f)}},
    {2, 90, 3, 0, 2, {FOCAL(1.0f, 1.0f, 0.5f), TVERSKY(1.0f, 0.3f, 0.7f)}},
    {2, 150, 1, 1, 2, {TVERSKY(1.5f, 1.0f, 0.0f), CE(1.0f)}},
    {1, 90, 9, 1, 3, {TVERSKY(0.8f, 0.2f, 2.0f), CE(1.0f), FOCAL(1.0f, 2.0f, 0.0f)}},
    {1, 77, 4, 1, 1, {PART(CE, 1, 2)}},
    {2, 90, 5, 0, 4, {PART(CE, 0, 3), PART(BCE, 3, 0), PART(DICE, 4, 1), DICE(1.0f)}},
    {1, 60, 20, 1, 3, {PART(DICE, 2, 12), PART(CE, 2, 12), TVERSKY(1.0f, 1.0f, 1.0f)}},
    {2, 2100, 2, 1, 3, {BCE(1.0f, 2.0f), BCE(0.5f, 1.0f), FOCAL(1.0f, 1.0f, 1.0f)}},
};

static void losses_are_the_reference(void **state) {
    (void)state;
    static const struct problem large = {2, 30011, 3, 1, 2, {CE(1.0f), DICE(1.0f)}};
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        kk_every(loss, &problems[i], 0);
    if (kk_large())
        kk_every(loss, &large, 0);
}

/* ---- targets of supervised layers ---- */

struct box {
    int64_t n, in[3], out[3];
};

static void shrink(const struct kk_setting *k, const void *arg) {
    const struct box *p = arg;
    if (k->type != CK_F32 || k->lie != KK_DENSE)
        return;
    int64_t voxels = p->in[0] * p->in[1] * p->in[2], count = p->n;
    float *from = kk_floats(p->n * voxels, 1, 0);
    for (int i = 0; i < 3; i++)
        count *= p->out[i];
    struct ck_shrink a = {.n = p->n, .from = from, .to = kk_scratch((size_t)count * sizeof(float))};
    memcpy(a.in, p->in, sizeof a.in);
    memcpy(a.out, p->out, sizeof a.out);
    struct hf_error e;
    kk_finish(ck_shrink(&a, kk_stream(), &e));
    const float *to = a.to;
    for (int64_t n = 0; n < p->n; n++)
        for (int64_t d = 0; d < p->out[0]; d++)
            for (int64_t h = 0; h < p->out[1]; h++)
                for (int64_t w = 0; w < p->out[2]; w++) {
                    int64_t b[3], at[3] = {d, h, w};
                    for (int i = 0; i < 3; i++) {
                        b[i] = p->in[i] / p->out[i];
                        at[i] = at[i] * b[i] + b[i] / 2;
                    }
                    float f = from[n * voxels + (at[0] * p->in[1] + at[1]) * p->in[2] + at[2]];
                    assert_true(*to++ == f);
                }
}

static void shrinks_to_the_middle(void **state) {
    (void)state;
    static const struct box boxes[] = {{1, {1, 4, 4}, {1, 2, 2}},
                                       {3, {8, 9, 10}, {2, 3, 10}},
                                       {2, {1, 60, 35}, {1, 12, 5}},
                                       {5, {3, 3, 3}, {3, 3, 1}}};
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++)
        kk_every(shrink, &boxes[i], 0);
}

/* ---- the optimiser ---- */

struct training {
    int64_t count, start; /* of the vectors: floats away from 16 bytes */
    struct hf_optimizer o;
    int32_t ranges; /* 0: all */
    struct up_range range[2];
};

/* One step in float64, of all parameters. */
static void step64(const struct hf_optimizer *o, int64_t count, int64_t step, double rate,
                   const double *grad, double *p, double *m, double *v) {
    double norm = 0, factor = 1;
    for (int64_t i = 0; i < count; i++)
        norm += grad[i] * grad[i];
    if (o->clip > 0 && sqrt(norm) > (double)o->clip)
        factor = (double)o->clip / sqrt(norm);
    double b1 = (double)o->beta1, b2 = (double)o->beta2, k = (double)step;
    double decay = o->kind == HF_OPT_ADAMW ? 0 : (double)o->weight_decay;
    for (int64_t i = 0; i < count; i++) {
        double g = grad[i] * factor + decay * p[i];
        if (o->kind == HF_OPT_SGD) {
            m[i] = (double)o->momentum * m[i] + g;
            p[i] -= rate * (o->nesterov ? g + (double)o->momentum * m[i] : m[i]);
            continue;
        }
        m[i] = b1 * m[i] + (1 - b1) * g;
        v[i] = b2 * v[i] + (1 - b2) * g * g;
        double mean = m[i] / (1 - pow(b1, k)), variance = v[i] / (1 - pow(b2, k));
        if (o->kind == HF_OPT_ADAMW)
            p[i] *= 1 - rate * (double)o->weight_decay;
        p[i] -= rate * mean / (sqrt(variance) + (double)o->epsilon);
    }
}

static int in_ranges(const struct training *t, int64_t i) {
    int in = t->ranges == 0;
    for (int32_t k = 0; k < t->ranges; k++)
        in |= i >= t->range[k].first && i < t->range[k].first + t->range[k].count;
    return in;
}

static void expect_copy(const uint16_t *copy, const float *param, int64_t i) {
    uint32_t bits = (uint32_t)copy[i] << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    assert_true(fabsf(f - param[i]) <= fabsf(param[i]) * 0x1p-8f);
}

static void train(const struct kk_setting *k, const void *arg) {
    const struct training *t = arg;
    int64_t count = t->count;
    float *param = kk_floats(count + 4, 1, 0) + t->start;
    float *grad = kk_floats(count + 4, 1, 0) + t->start;
    float *m = (float *)kk_zeros((size_t)(count + 4) * sizeof *m) + t->start;
    float *v = (float *)kk_zeros((size_t)(count + 4) * sizeof *v) + t->start;
    float *average = kk_floats(count + 4, 1, 0) + t->start;
    float *rate = kk_zeros(sizeof *rate);
    struct up_done *done = kk_zeros(sizeof *done);
    uint16_t *copy = kk_scratch((size_t)count * sizeof *copy);
    const struct up_range all = {0, count};
    struct ck_update a = {.count = count,
                          .param = param,
                          .m = m,
                          .v = t->o.kind == HF_OPT_SGD ? NULL : v,
                          .average = t->o.average > 0 ? average : NULL,
                          .grad = grad,
                          .range = t->ranges ? t->range : &all,
                          .ranges = t->ranges ? t->ranges : 1,
                          .copy = k->type == CK_BF16 ? copy : NULL,
                          .optimizer = t->o,
                          .done = done,
                          .rate = rate,
                          .scratch = kk_scratch(ck_update_scratch(count))};
    double *p64 = wider(param, count), *g64 = kk_doubles(count), *start = wider(param, count);
    double *m64 = kk_doubles(count), *v64 = kk_doubles(count), *average64 = wider(average, count);
    for (int64_t i = 1; i <= 3; i++) {
        struct hf_error e;
        double decay = fmin((double)t->o.average, (double)(1 + i) / (double)(10 + i));
        *rate = 0.01f * (float)i;
        for (int64_t j = 0; j < count; j++) {
            grad[j] = in_ranges(t, j) ? (float)kk_normal() : 0.0f;
            g64[j] = (double)grad[j];
        }
        kk_finish(ck_update(&a, kk_stream(), &e));
        assert_int_equal(done->steps, i);
        assert_int_equal(done->averaged, i);
        step64(&t->o, count, i, (double)*rate, g64, p64, m64, v64);
        for (int64_t j = 0; j < count; j++) {
            p64[j] = in_ranges(t, j) ? p64[j] : start[j]; /* it would have decayed */
            m64[j] = in_ranges(t, j) ? m64[j] : 0;
            if (a.average && in_ranges(t, j))
                average64[j] += (1 - decay) * (p64[j] - average64[j]);
        }
        kk_expect_floats(param, p64, count, 1e-6);
        kk_expect_floats(m, m64, count, 1e-6);
        if (a.v)
            kk_expect_floats(v, v64, count, 1e-6);
        if (a.average)
            kk_expect_floats(average, average64, count, 1e-6);
        for (int64_t j = 0; a.copy && j < count; j++)
            if (in_ranges(t, j))
                expect_copy(copy, param, j);
    }
}

#define ADAM(decay, limit)                                                                         \
    {                                                                                              \
        .kind = HF_OPT_ADAM, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f,                     \
        .weight_decay = decay, .clip = limit                                                       \
    }
#define ADAMW(decay, limit, mean)                                                                  \
    {                                                                                              \
        .kind = HF_OPT_ADAMW, .beta1 = 0.8f, .beta2 = 0.99f, .epsilon = 1e-6f,                     \
        .weight_decay = decay, .clip = limit, .average = mean                                      \
    }
#define SGD(mass, ahead, decay, limit)                                                             \
    {                                                                                              \
        .kind = HF_OPT_SGD, .momentum = mass, .nesterov = ahead, .weight_decay = decay,            \
        .clip = limit                                                                              \
    }
#define ALL(count, start, ...)                                                                     \
    {                                                                                              \
        count, start, __VA_ARGS__, 0, {                                                            \
            { 0 }                                                                                  \
        }                                                                                          \
    }

static void steps_are_the_reference(void **state) {
    (void)state;
    static const struct hf_optimizer averaged = {
        .kind = HF_OPT_SGD, .momentum = 0.9f, .weight_decay = 0.1f, .average = 0.22f};
    const struct training trainings[] = {
        ALL(1, 0, ADAM(0, 0)),
        ALL(1027, 0, ADAM(0.01f, 0)),
        ALL(9001, 1, ADAM(0, 2.0f)),
        ALL(16390, 0, ADAM(0, 1e6f)),
        ALL(517, 0, SGD(0.9f, 0, 0, 0)),
        ALL(9001, 3, SGD(0.9f, 1, 0.001f, 1.0f)),
        ALL(64, 0, SGD(0, 0, 0, 0)),
        ALL(1027, 0, ADAMW(0.1f, 0, 0)),
        ALL(1027, 1, ADAMW(0.1f, 1.0f, 0.9f)),
        ALL(300, 0, averaged),
        {1000, 0, ADAMW(0.1f, 1.0f, 0.99f), 2, {{64, 64}, {512, 488}}},
        {77, 0, averaged, 2, {{0, 3}, {5, 70}}},
    };
    for (size_t i = 0; i < sizeof trainings / sizeof *trainings; i++)
        kk_every(train, &trainings[i], 0);
    static const struct training large = ALL(1000003, 0, ADAM(0.01f, 1.0f));
    if (kk_large())
        kk_every(train, &large, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_the_reference),
        cmocka_unit_test(shrinks_to_the_middle),
        cmocka_unit_test(steps_are_the_reference),
    };
    return KK_RUN(tests);
}
