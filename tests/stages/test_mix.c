/*
 * test_mix.c - mix: samples come out with the same fields.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "harness.h"
#include "io_stub.h"

#include "../../stages/mix/mix.c"

enum {
    D = 2,
    H = 3,
    W = 4,
    N = D * H * W
};

static void test_missing_fields_are_filled(void **state) {
    (void)state;
    struct harness *h = harness_open();
    harness_add(h, &hf_plugin);
    struct hf_error e;
    uint8_t pseudo[N];
    memset(pseudo, 1, sizeof pseudo);
    struct hf_sample *sick = harness_sample(h, "sick", D, H, W, 1);
    struct hf_sample *well = harness_sample(h, "well", D, H, W, 1);
    harness_set_f32(h, sick, "image", 1, NULL);
    harness_set_f32(h, well, "image", 1, NULL);
    harness_set_u8(h, sick, "pseudo", 1, pseudo);
    struct options o = {.fill = {2, {"pseudo", "grade"}, {0, 7}}};
    struct hf_stage *s = harness_stage(h, &mix, &o, "training");
    assert_int_equal(harness_process(s, sick, &e), HF_OK);
    assert_memory_equal(harness_u8(harness_out(s, 0), "pseudo"), pseudo, N);
    assert_int_equal(harness_process(s, well, &e), HF_OK);
    const struct hf_sample *out = harness_out(s, 0);
    assert_string_equal(out->id, "well");
    for (int i = 0; i < N; i++) {
        assert_int_equal(harness_u8(out, "pseudo")[i], 0);
        assert_int_equal(harness_u8(out, "grade")[i], 7);
    }
    assert_true(hf_sample_get(out, "image") == hf_sample_get(well, "image"));
    harness_stage_free(s);

    o = (struct options){.fill = {1, {"weight"}, {0.5}}, .as = 1};
    s = harness_stage(h, &mix, &o, "training");
    assert_int_equal(harness_process(s, well, &e), HF_OK);
    for (int i = 0; i < N; i++)
        assert_true(harness_f32(harness_out(s, 0), "weight")[i] == 0.5f);
    harness_stage_free(s);

    o = (struct options){.fill = {1, {"pseudo"}, {0}}, .as = 1};
    s = harness_stage(h, &mix, &o, "training");
    assert_int_equal(harness_process(s, sick, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "'pseudo' is u8"));
    harness_stage_free(s);
    harness_free_sample(h, sick);
    harness_free_sample(h, well);
    harness_close(h);
}

static void test_fill_is_checked(void **state) {
    (void)state;
    struct io_stub io;
    struct hf_error e;
    struct options o = {.fill = {1, {"pseudo"}, {0}}};
    assert_int_equal(io_stub_declare(&io, &mix, &o, " image ", &e), HF_OK);
    assert_string_equal(io.text, "may read pseudo@0\nwrite pseudo@0 < pseudo\n");
    o.fill.value[0] = 0.5;
    assert_int_equal(io_stub_declare(&io, &mix, &o, " image ", &e), HF_INVALID);
    o.as = 1;
    assert_int_equal(io_stub_declare(&io, &mix, &o, " image ", &e), HF_OK);
    o.fill.name[0] = NULL;
    assert_int_equal(io_stub_declare(&io, &mix, &o, " image ", &e), HF_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_fields_are_filled),
        cmocka_unit_test(test_fill_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
