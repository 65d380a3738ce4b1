/*
 * kern_kit.c - see kern_kit.h.
 */
#include "kern_kit.h"

#include <math.h>
#include <stdio.h>

#include <cuda_runtime.h>

#define MAX_BLOCKS 64
#define RUBBISH    0x5B

static struct {
    void *block[MAX_BLOCKS];
    int blocks;
    uint64_t random, hash;
    struct kk_setting setting;
    cudaStream_t stream;
} run;

/* What differs between the emulation, whose memory is the host's, and a GPU, which reaches
 * page-locked memory of the host where it lies: no driver must move pages for that. */
#ifdef EMULATION_CUDA_RUNTIME_H
int kk_gpu(void) {
    return 0;
}

static void *memory_new(size_t bytes) {
    return malloc(bytes);
}

static void memory_free(void *p) {
    free(p);
}
#else
int kk_gpu(void) {
    return 1;
}

static void *memory_new(size_t bytes) {
    void *p = NULL;
    return cudaHostAlloc(&p, bytes, cudaHostAllocDefault) == cudaSuccess ? p : NULL;
}

static void memory_free(void *p) {
    (void)cudaFreeHost(p);
}

static void emulation_order(int order) {
    (void)order;
}

static const char *emulation_fault(void) {
    return NULL;
}
#endif

int kk_ready(void) {
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

static void *keep(size_t bytes) {
    void *p = memory_new(bytes ? bytes : 1);
    assert_non_null(p);
    assert_in_range(run.blocks, 0, MAX_BLOCKS - 1);
    run.block[run.blocks++] = p;
    return p;
}

void *kk_zeros(size_t bytes) {
    return memset(keep(bytes), 0, bytes);
}

void *kk_scratch(size_t bytes) {
    return memset(keep(bytes), RUBBISH, bytes);
}

double *kk_doubles(int64_t count) {
    return kk_zeros((size_t)count * sizeof(double));
}

double kk_uniform(void) {
    run.random = run.random * 6364136223846793005u + 1442695040888963407u;
    return (double)(run.random >> 11) * 0x1p-53;
}

double kk_normal(void) {
    return sqrt(-2.0 * log(1.0 - kk_uniform())) * cos(6.283185307179586 * kk_uniform());
}

float *kk_floats(int64_t count, double scale, double shift) {
    float *f = keep((size_t)count * sizeof *f);
    for (int64_t i = 0; i < count; i++)
        f[i] = (float)(kk_normal() * scale + shift);
    return f;
}

/* ---- operands ---- */

static void *place(const struct kk_operand *o, int64_t row, int64_t c) {
    return (char *)o->view.data + (size_t)(row * o->view.step + c) * ck_type_size(o->type);
}

/* Rounds to the nearest even, as the devices do. */
static uint16_t bf16_bits(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    uint32_t half = bits & 0xFFFFu, up = half > 0x8000u || (half == 0x8000u && (bits & 0x10000u));
    return (uint16_t)((bits >> 16) + up);
}

double kk_get(const struct kk_operand *o, int64_t row, int64_t c) {
    uint32_t bits = 0;
    if (o->type == CK_F32)
        memcpy(&bits, place(o, row, c), sizeof bits);
    else
        memcpy((char *)&bits + 2, place(o, row, c), 2);
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

static void put(const struct kk_operand *o, int64_t row, int64_t c, float f) {
    uint16_t bits = bf16_bits(f);
    if (o->type == CK_F32)
        memcpy(place(o, row, c), &f, sizeof f);
    else
        memcpy(place(o, row, c), &bits, sizeof bits);
}

static struct kk_operand *make(enum ck_type type, enum kk_lie lie, int64_t rows, int64_t c,
                               double ties, double share) {
    struct kk_operand *o = keep(sizeof *o);
    int64_t wide = 16 / (int64_t)ck_type_size(type);
    int64_t start = lie == KK_DENSE ? 0 : lie == KK_SLICE ? wide : 1;
    int64_t step = lie == KK_DENSE   ? c
                   : lie == KK_SLICE ? (c + wide - 1) / wide * wide + 2 * wide
                                     : c + 3 - c % 2;
    *o = (struct kk_operand){.type = type, .rows = rows, .c = c};
    o->bytes = (size_t)((rows - 1) * step + start + c) * ck_type_size(type);
    o->memory = kk_scratch(o->bytes);
    o->view = (struct ck_view){o->memory + (size_t)start * ck_type_size(type), step};
    o->value = kk_doubles(rows * c);
    for (int64_t i = 0; i < rows * c; i++) {
        double v = kk_normal();
        if (share >= 0)
            v = kk_uniform() < share ? fabs(v) + 0.1 : 0;
        put(o, i / c, i % c, (float)(ties > 0 ? floor(v * ties) : v));
        o->value[i] = kk_get(o, i / c, i % c);
    }
    o->before = keep(o->bytes);
    memcpy(o->before, o->memory, o->bytes);
    return o;
}

struct kk_operand *kk_make(enum ck_type type, enum kk_lie lie, int64_t rows, int64_t c) {
    return make(type, lie, rows, c, 0, -1);
}

struct kk_operand *kk_make_ties(enum ck_type type, enum kk_lie lie, int64_t rows, int64_t c) {
    return make(type, lie, rows, c, 2, -1);
}

struct kk_operand *kk_make_map(enum ck_type type, enum kk_lie lie, int64_t rows, double share) {
    return make(type, lie, rows, 1, 0, share);
}

/* ---- comparing ---- */

void kk_same(const void *data, size_t bytes) {
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++)
        run.hash = (run.hash ^ p[i]) * 1099511628211u;
}

static void compare(double difference, double size, double limit, const char *what) {
    double error = sqrt(difference / (size > 0 ? size : 1));
    if (!(error <= limit))
        fail_msg("%s, lie %d, accumulate %d: relative error %.3g, limit %.3g", what,
                 (int)run.setting.lie, (int)run.setting.accumulate, error, limit);
}

void kk_expect(const struct kk_operand *o, const double *expected, double limit) {
    double difference = 0, size = 0;
    for (int64_t i = 0; i < o->rows * o->c; i++) {
        double d = kk_get(o, i / o->c, i % o->c) - expected[i];
        difference += d * d;
        size += expected[i] * expected[i];
    }
    /* Rounding to 8 bits of mantissa: at most 2^-8 each. */
    compare(difference, size, o->type == CK_F32 ? limit : limit + 0x1p-8,
            o->type == CK_F32 ? "f32" : "bf16");
    kk_same(o->memory, o->bytes);
    unsigned char *now = keep(o->bytes);
    memcpy(now, o->memory, o->bytes);
    for (int64_t i = 0; i < o->rows; i++) { /* all but the view itself */
        size_t at = (size_t)((unsigned char *)place(o, i, 0) - o->memory);
        memcpy(now + at, o->before + at, (size_t)o->c * ck_type_size(o->type));
    }
    assert_memory_equal(now, o->before, o->bytes);
}

void kk_expect_floats(const float *got, const double *expected, int64_t count, double limit) {
    double difference = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        difference += ((double)got[i] - expected[i]) * ((double)got[i] - expected[i]);
        size += expected[i] * expected[i];
    }
    compare(difference, size, limit, "floats");
    kk_same(got, (size_t)count * sizeof *got);
}

void kk_untouched(const struct kk_operand *o) {
    assert_memory_equal(o->memory, o->before, o->bytes);
}

/* ---- running ---- */

void *kk_stream(void) {
    if (!run.stream)
        assert_int_equal(cudaStreamCreateWithFlags(&run.stream, cudaStreamNonBlocking),
                         cudaSuccess);
    return run.stream;
}

void kk_finish(enum hf_status status) {
    assert_int_equal(status, HF_OK);
    cudaError_t error = cudaStreamSynchronize(run.stream);
    const char *fault = emulation_fault();
    if (error != cudaSuccess || fault)
        fail_msg("%s", fault ? fault : cudaGetErrorString(error));
}

static uint64_t once(void (*body)(const struct kk_setting *k, const void *arg), const void *arg,
                     int order) {
    emulation_order(order);
    run.random = 1;
    run.hash = 14695981039346656037u;
    body(&run.setting, arg);
    while (run.blocks > 0)
        memory_free(run.block[--run.blocks]);
    return run.hash;
}

void kk_every(void (*body)(const struct kk_setting *k, const void *arg), const void *arg,
              int accumulates) {
    for (int type = CK_F32; type <= CK_BF16; type++)
        for (int lie = 0; lie < KK_LIES; lie++)
            for (int add = 0; add <= accumulates; add++) {
                run.setting = (struct kk_setting){(enum ck_type)type, (enum kk_lie)lie, add};
                uint64_t first = once(body, arg, 0);
                for (int order = 1; order < 3; order++)
                    assert_true(once(body, arg, order) == first);
            }
}
