/*
 * test_pair.c - pairs of the image and a field: `inpainted` and `difference`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "harness.h"
#include "io_stub.h"

#include "../../stages/pair/pair.c"

enum {
    N = 3 * 5 * 7
};

static void test_the_field_becomes_inpainted(void **state) {
    (void)state;
    float image[N], healthy[N];
    struct harness *h = harness_open();
    struct hf_error e;
    harness_add(h, &hf_plugin);
    for (int i = 0; i < N; i++) {
        healthy[i] = 0.01f * (float)i;
        image[i] = healthy[i] - (i % 4 == 0 ? 0.1f : 0);
    }
    struct hf_sample *in = harness_sample(h, "case", 3, 5, 7, 1);
    harness_set_f32(h, in, "image", 1, image);
    harness_set_f32(h, in, "healthy", 1, healthy);
    harness_set_f32(h, in, "twice", 2, NULL);
    struct options o = {.with = "healthy"};
    struct hf_stage *s = harness_stage(h, &pair, &o, "pairs");
    assert_int_equal(harness_process(s, in, &e), HF_OK);
    const struct hf_sample *out = harness_out(s, 0);
    assert_memory_equal(harness_f32(out, "inpainted"), healthy, sizeof healthy);
    assert_memory_equal(harness_f32(out, "image"), image, sizeof image);
    for (int i = 0; i < N; i++)
        assert_true(harness_f32(out, "difference")[i] == image[i] - healthy[i]);
    o.with = "image";
    assert_int_equal(harness_process(s, in, &e), HF_OK);
    for (int i = 0; i < N; i++)
        assert_true(harness_f32(harness_out(s, 0), "difference")[i] == 0);
    o.with = "twice";
    assert_int_equal(harness_process(s, in, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "'twice' has 2 channels"));
    harness_stage_free(s);
    harness_free_sample(h, in);
    harness_close(h);
}

static void test_what_is_declared(void **state) {
    (void)state;
    struct io_stub io;
    struct hf_error e;
    struct options o = {.with = "healthy"};
    assert_int_equal(io_stub_declare(&io, &pair, &o, " image healthy ", &e), HF_OK);
    assert_string_equal(io.text, "read image@0\nread healthy@0\nwrite inpainted@0 < healthy\n"
                                 "write difference@0 < image healthy\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_field_becomes_inpainted),
        cmocka_unit_test(test_what_is_declared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
