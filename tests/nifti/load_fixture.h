/**
 * load_fixture.h - the stage `load` over a folder of its own with a small scan and its labels.
 */
#ifndef TEST_LOAD_FIXTURE_H
#define TEST_LOAD_FIXTURE_H

#include "harness.h"
#include "raw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "load/load.c"

#define NX 12
#define NY 10
#define NZ 6
#define N  (NX * NY * NZ)

struct fixture {
    struct harness *h;
    char folder[256];
    struct load_options o;
    struct hf_stage *s;
    struct hf_error e;
};

static inline void put(const struct fixture *f, const char *name, const struct raw_image *r,
                       const double *values) {
    char path[512];
    struct raw_bytes all = raw_single(r, values), gz = raw_gzip(all.data, all.size, 1);
    (void)snprintf(path, sizeof path, "%s/%s", f->folder, name);
    raw_write(path, gz.data, gz.size);
    raw_free(&all);
    raw_free(&gz);
}

static inline char *put_csv(struct fixture *f, const char *text) {
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/cases.csv", f->folder);
    raw_write(path, text, strlen(text));
    f->o.dataset = path;
    return path;
}

/** x, y, z of the body's frame: a body, a liver in its right half, and segments along z. */
static inline double hu(int i) {
    return i * 0.5 - 100;
}
static inline double liver(int i) {
    return i % NX >= 7 && i / NX % NY >= 2 && i / NX % NY < 8;
}
static inline double couinaud(int i) {
    return liver(i) > 0 ? 1 + i / (NX * NY) : 0;
}

static inline struct raw_image grid_of_image(void) {
    struct raw_image r = raw_default(NX, NY, NZ);
    r.srow[0][0] = 2;
    r.srow[1][1] = 2;
    r.srow[2][2] = 3;
    r.srow[0][3] = -12;
    return r;
}

static inline int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    double v[N];
    assert_non_null(f);
    f->h = harness_open();
    raw_folder(f->folder);
    f->o.split = SPLIT_ALL;
    f->o.fill = -1024;
    f->o.test_share = 0.2;
    f->o.fields = (struct hf_names){3, {"liver", "couinaud", "tumor"}};
    struct raw_image r = grid_of_image();
    for (int i = 0; i < N; i++)
        v[i] = hu(i);
    r.type = 8;
    put(f, "ct.nii.gz", &r, v);
    r.type = 0;
    for (int i = 0; i < N; i++)
        v[i] = liver(i);
    put(f, "liver.nii.gz", &r, v);
    for (int i = 0; i < N; i++)
        v[i] = couinaud(i);
    put(f, "couinaud.nii.gz", &r, v);
    for (int i = 0; i < N; i++)
        v[i] = i == N - 1 - 2 * NX - 3;
    put(f, "tumor.nii.gz", &r, v);
    *state = f;
    return 0;
}

static inline int teardown(void **state) {
    struct fixture *f = *state;
    if (f->s)
        harness_stage_free(f->s);
    raw_folder_remove(f->folder);
    harness_close(f->h);
    free(f);
    return 0;
}

static inline enum hf_status begin(struct fixture *f) {
    f->s = harness_stage_new(f->h, &load, &f->o, "cases");
    return harness_start(f->s, &f->e);
}

static inline const struct hf_sample *open_first(struct fixture *f) {
    if (begin(f) != HF_OK || harness_open_item(f->s, 0, &f->e) != HF_OK)
        fail_msg("%s", f->e.text);
    assert_int_equal(harness_outs(f->s), 1);
    return harness_out(f->s, 0);
}

/** Starting or opening the first case must fail with a line that holds `text`. */
static inline void expect(struct fixture *f, const char *text) {
    enum hf_status st = begin(f);
    if (st == HF_OK)
        st = harness_open_item(f->s, 0, &f->e);
    assert_int_not_equal(st, HF_OK);
    if (!strstr(f->e.text, text) || strchr(f->e.text, '\n'))
        fail_msg("'%s': expected '%s'", f->e.text, text);
    harness_stage_free(f->s);
    f->s = NULL;
}

static inline const char *data_folder(void) {
    const char *data = getenv("HEPAFLOW_DATA");
    if (!data || !*data)
        skip();
    return data;
}

#endif
