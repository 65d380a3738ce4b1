/**
 * synthesis.c - draws lesions of the method `ellipsoid` into a volume, as its peer in NumPy does.
 *
 *   bench-synthesis MODULE FOLDER D H W
 *
 * MODULE is the stage's module. Writes the volume that lesions come into to FOLDER, for the peer:
 * image.f32 (window [-200, 250] HU in 0..1) and liver.u8, couinaud.u8, of D x H x W voxels of 1 mm:
 * an ellipsoid of liver in eight parts, with noise. For each line "TYPE SEED" (0 tiny ... 4
 * mix) on the standard input it draws once and prints one JSON object: milliseconds of the clock
 * and of processor time, and what came out. A line "TYPE SEED FILE" also writes the difference to
 * the image there, as floats.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../stages/tumor_synthesis/ellipsoid.h"
#include <hepaflow/hepaflow.h>

#define HU (1.0f / 450)

enum {
    IMAGE,
    LIVER,
    COUINAUD,
    OUT_IMAGE,
    LESION,
    HOLE,
    DRAWN,
    TENSORS
};

struct bench {
    const struct hf_op *op;
    struct hf_tensor tensor[TENSORS];
    struct hf_op_call call;
    struct ellipsoid_params params;
    void *scratch;
};

static double now(clockid_t clock) {
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void set_params(struct ellipsoid_params *p) {
    static const struct ellipsoid_params standard = {
        .base = {.spacing = {1, 1},
                 .unit = HU,
                 .share = 1,
                 .lesions = {1, 3},
                 .edge = {1, 2},
                 .hyperdense = 0,
                 .extra_segments = {0, 2},
                 .min_area = 110},
        .dims = 3,
        .hide = HIDE_VOLUME,
        .spacing_d = 1,
        .count = {{3, 10}, {3, 10}, {2, 5}, {1, 3}},
        .mix = {{3, 10}, {5, 10}, {2, 5}, {1, 3}},
        .radius = {{3, 5}, {6, 10}, {12, 20}, {24, 40}},
        .shift = {{0.5f, 1}, {1, 2}, {3, 6}, {5, 10}},
        .extent = {0.3f, 0.7f},
        .inset = 2,
        .coarse_grains = 5,
        .fine_grains = 2,
        .coarse_grain = {3, 6, 9, 12, 15},
        .fine_grain = {4, 7},
        .cloud_low = {0.04f, 0.06f},
        .cloud_span = {0.19f, 0.21f},
        .cloud_mean = {0.5f, 0.55f},
        .darker = {65, 145},
        .brighter = {65, 145},
        .rim_width = {1, 3},
        .rim_contrast = {20, 60},
    };
    *p = standard;
}

static int make_tensor(struct hf_tensor *t, enum hf_dtype dtype, int32_t ndim,
                       const int64_t *shape) {
    memset(t, 0, sizeof *t);
    memcpy(t->shape, shape, (size_t)ndim * sizeof *shape);
    t->dtype = dtype;
    t->dl.ndim = ndim;
    t->dl.shape = t->shape;
    t->bytes = (size_t)hf_tensor_count(t) * hf_dtype_size(dtype);
    t->dl.data = malloc(t->bytes);
    return t->dl.data != NULL;
}

static int write_file(const char *folder, const char *name, const struct hf_tensor *t) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    size_t n = f ? fwrite(t->dl.data, 1, t->bytes, f) : 0;
    if (f && fclose(f) != 0)
        n = 0;
    if (n != t->bytes)
        (void)fprintf(stderr, "%s: could not be written\n", path);
    return n == t->bytes;
}

/* Half axes are 0.92 of what there is. */
static void make_volume(struct bench *b) {
    const int64_t *shape = b->tensor[IMAGE].shape + 1;
    struct hf_rng r = hf_rng_init(66, "bench", "healthy", 0);
    int64_t i = 0;
    for (int64_t z = 0; z < shape[0]; z++)
        for (int64_t y = 0; y < shape[1]; y++)
            for (int64_t x = 0; x < shape[2]; x++, i++) {
                float u = ((float)z + 0.5f) / (float)shape[0] - 0.5f;
                float v = ((float)y + 0.5f) / (float)shape[1] - 0.5f;
                float w = ((float)x + 0.5f) / (float)shape[2] - 0.5f;
                int liver = u * u + v * v + w * w <= 0.46f * 0.46f;
                int part = 1 + 4 * (u > 0) + 2 * (v > 0) + (w > 0);
                HF_DATA(uint8_t, &b->tensor[LIVER])[i] = (uint8_t)liver;
                HF_DATA(uint8_t, &b->tensor[COUINAUD])[i] = (uint8_t)(liver ? part : 0);
                HF_DATA(float, &b->tensor[IMAGE])
                [i] = (liver ? 310 : 180) * HU + 20 * HU * (hf_rng_uniform(&r) - 0.5f);
            }
}

static int open_module(struct bench *b, const char *path) {
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct hf_plugin *plugin = module ? dlsym(module, "hf_plugin") : NULL;
    for (const struct hf_op *const *op = plugin ? plugin->ops : NULL; op && *op; op++)
        if (strcmp((*op)->name, "tumor_synthesis.ellipsoid") == 0)
            b->op = *op;
    if (!b->op)
        (void)fprintf(stderr, "%s: no module with the op\n", path);
    return b->op != NULL;
}

static int setup(struct bench *b, char **argv) {
    static const enum hf_dtype dtypes[TENSORS] = {HF_F32, HF_U8, HF_U8, HF_F32,
                                                  HF_F32, HF_U8, HF_U8};
    const int64_t shape[4] = {1, atoll(argv[3]), atoll(argv[4]), atoll(argv[5])};
    for (int i = 0; i < TENSORS; i++)
        if (!make_tensor(&b->tensor[i], dtypes[i], i == DRAWN ? 1 : 4,
                         i == DRAWN ? shape + 1 : shape))
            return 0;
    set_params(&b->params);
    b->call = (struct hf_op_call){
        .in = {&b->tensor[IMAGE], &b->tensor[LIVER], &b->tensor[LIVER], &b->tensor[COUINAUD]},
        .out = {&b->tensor[OUT_IMAGE], &b->tensor[LESION], &b->tensor[HOLE], &b->tensor[DRAWN]},
        .inputs = 4,
        .outputs = 4,
        .params = &b->params,
        .params_size = sizeof b->params};
    b->scratch = aligned_alloc(64, (b->op->scratch(&b->call) + 63) / 64 * 64);
    make_volume(b);
    return b->scratch && write_file(argv[2], "image.f32", &b->tensor[IMAGE]) &&
           write_file(argv[2], "liver.u8", &b->tensor[LIVER]) &&
           write_file(argv[2], "couinaud.u8", &b->tensor[COUINAUD]);
}

static void report(struct bench *b, double ms, double cpu_ms, const char *path) {
    const float *image = HF_DATA(float, &b->tensor[IMAGE]),
                *lesion = HF_DATA(float, &b->tensor[LESION]);
    float *drawn = HF_DATA(float, &b->tensor[OUT_IMAGE]);
    int64_t n = hf_tensor_count(&b->tensor[IMAGE]), voxels = 0;
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        drawn[i] = (drawn[i] - image[i]) / HU;
        if (lesion[i] > 0) {
            voxels++;
            sum += (double)drawn[i];
            squares += (double)drawn[i] * (double)drawn[i];
        }
    }
    double mean = voxels ? sum / (double)voxels : 0;
    (void)printf("{\"ms\": %.3f, \"cpu_ms\": %.3f, \"voxels\": %lld, \"hu\": %.3f, \"sd\": %.3f}\n",
                 ms, cpu_ms, (long long)voxels, mean,
                 voxels ? sqrt(squares / (double)voxels - mean * mean) : 0);
    (void)fflush(stdout);
    FILE *f = path[0] ? fopen(path, "wb") : NULL;
    if (f) {
        (void)fwrite(drawn, sizeof *drawn, (size_t)n, f);
        (void)fclose(f);
    }
}

int main(int argc, char **argv) {
    static struct bench b;
    struct hf_error e;
    char line[4096];
    if (argc != 6) {
        (void)fprintf(stderr, "usage: bench-synthesis MODULE FOLDER D H W\n");
        return 2;
    }
    if (!open_module(&b, argv[1]) || !setup(&b, argv))
        return 1;
    while (fgets(line, sizeof line, stdin)) {
        char path[4096] = "";
        int type = 0;
        unsigned long long seed = 0;
        if (sscanf(line, "%d %llu %4095s", &type, &seed, path) < 2 || type < 0 ||
            type >= GROWN_TYPES)
            return 1;
        memset(b.params.type, 0, sizeof b.params.type);
        b.params.type[type] = 1;
        b.params.base.rng = hf_rng_init(seed, "bench", "volume", 0);
        double start = now(CLOCK_MONOTONIC), cpu_start = now(CLOCK_PROCESS_CPUTIME_ID);
        if (b.op->launch(&b.call, b.scratch, NULL, &e) != HF_OK)
            return 1;
        double cpu_ms = now(CLOCK_PROCESS_CPUTIME_ID) - cpu_start;
        report(&b, now(CLOCK_MONOTONIC) - start, cpu_ms, path);
    }
    return 0;
}
