/**
 * common.h - what the tests of phantoms share: the stage's defaults and the shipped anatomies.
 */
#ifndef TESTS_PHANTOM_COMMON_H
#define TESTS_PHANTOM_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "phantom.h"

static inline struct phantom_params usual_params(int64_t cases) {
    struct phantom_params p = {
        .cases = cases,
        .test = 0.3333,
        .healthy = 0.3,
        .tumors = {2, 4},
        .spacing = {1.6, 2.4},
        .slice = {3, 5},
        .turned = 1,
        .noise = {7, 11},
        .contrast = {-50, -15},
        .bright = 0.2,
        .min_volume = 200,
        .deform = 1,
    };
    return p;
}

/** The bytes of a shipped anatomy. */
static inline void *anatomy_bytes(const char *name, size_t *ret_size) {
    char path[4096];
    const char *root = getenv("HEPAFLOW_SOURCE");
    (void)snprintf(path, sizeof path, "%s/stages/phantom/anatomy/%s.nii.gz", root ? root : ".",
                   name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    void *bytes = malloc(1 << 20);
    assert_non_null(bytes);
    *ret_size = fread(bytes, 1, 1 << 20, f);
    assert_true(*ret_size > 0 && *ret_size < 1 << 20);
    fclose(f);
    return bytes;
}

static inline struct phantom_case make_case(const struct phantom_params *p, uint64_t seed,
                                            int64_t index) {
    struct phantom_plan plan = phantom_case_plan(p, seed, index);
    const char *name = phantom_anatomy_names[plan.anatomy];
    struct phantom_anatomy anatomy;
    struct phantom_case c;
    struct hf_error e;
    size_t size;
    void *bytes = anatomy_bytes(name, &size);
    assert_int_equal(phantom_anatomy_read(name, bytes, size, &anatomy, &e), HF_OK);
    assert_int_equal(phantom_case_make(p, &anatomy, &plan, seed, &c, &e), HF_OK);
    phantom_anatomy_free(&anatomy);
    free(bytes);
    return c;
}

#endif
