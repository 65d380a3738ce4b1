/**
 * load.c - the program of `tools/bench load`: reads one NIfTI image as the stage `load` does, from
 * the file's bytes to canonical float32, and says how long each read takes.
 *
 *     bench-load FILE
 *
 * Each line `read` of the standard input is one read into memory that is there already, as in a run
 * a case goes where one before it was; `fresh` one into new memory. Both are answered with
 * milliseconds, of the clock and of the processor, as JSON. `write PATH` writes the voxels there,
 * answered with the shape.
 */
#include "read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(clockid_t clock) {
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/** Reads the image into *voxels, which is allocated if it is NULL. */
static enum hf_status read_image(const char *path, float **voxels, struct hf_grid *ret_grid,
                                 struct hf_error *e) {
    struct hf_nifti_bytes file = {NULL, 0};
    struct hf_nifti n;
    enum hf_status st = hf_nifti_bytes_read(path, &file, e);
    if (st != HF_OK)
        return st;
    st = hf_nifti_open(file.data, file.size, NULL, 0, path, &n, e);
    if (st == HF_OK) {
        if (!*voxels)
            *voxels = malloc((size_t)hf_grid_count(&n.canonical) * sizeof **voxels);
        st = *voxels ? hf_nifti_read_f32(&n, HF_NONFINITE_REFUSE, 0, *voxels, e)
                     : hf_fail(e, HF_NO_MEMORY, "%s: no memory for its voxels", path);
        *ret_grid = n.canonical;
        hf_nifti_close(&n);
    }
    hf_nifti_bytes_free(&file);
    return st;
}

static enum hf_status write_voxels(const char *path, const float *voxels, const struct hf_grid *g,
                                   struct hf_error *e) {
    size_t count = (size_t)hf_grid_count(g);
    FILE *f = fopen(path, "wb");
    int good = f && fwrite(voxels, sizeof *voxels, count, f) == count;
    good = f && fclose(f) == 0 && good;
    if (!good)
        return hf_fail(e, HF_IO, "%s: cannot write it", path);
    (void)printf("[%lld, %lld, %lld]\n", (long long)g->size[0], (long long)g->size[1],
                 (long long)g->size[2]);
    return HF_OK;
}

static enum hf_status answer(const char *path, const char *line, float **kept, struct hf_error *e) {
    struct hf_grid g = {.size = {0, 0, 0}};
    float *fresh = NULL;
    int is_fresh = strcmp(line, "fresh") == 0;
    double clock = now(CLOCK_MONOTONIC), processor = now(CLOCK_PROCESS_CPUTIME_ID);
    enum hf_status st = read_image(path, is_fresh ? &fresh : kept, &g, e);
    clock = now(CLOCK_MONOTONIC) - clock;
    processor = now(CLOCK_PROCESS_CPUTIME_ID) - processor;
    free(fresh);
    if (st == HF_OK && strncmp(line, "write ", 6) == 0)
        st = write_voxels(line + 6, *kept, &g, e);
    else if (st == HF_OK)
        (void)printf("[%.3f, %.3f]\n", clock, processor);
    (void)fflush(stdout);
    return st;
}

int main(int argc, char **argv) {
    char line[4096];
    float *kept = NULL;
    struct hf_error e = {.text = ""};
    if (argc != 2) {
        (void)fprintf(stderr, "usage: bench-load FILE\n");
        return 2;
    }
    enum hf_status st = HF_OK;
    while (st == HF_OK && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        st = answer(argv[1], line, &kept, &e);
    }
    if (st != HF_OK)
        (void)fprintf(stderr, "bench-load: %s\n", e.text);
    free(kept);
    return st != HF_OK;
}
