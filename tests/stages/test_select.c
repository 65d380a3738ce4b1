/**
 * test_select.c - which samples pass select, and the slices that it names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "harness.h"
#include "../../stages/select/select.c"

#define D 5
#define H 10
#define W 10

/* A case of 1 mm voxels with so many voxels of M and of clean liver in each slice. */
struct plot {
    int annotated[D], clean[D];
};

/* -1: dropped; else bit d: slice d is to be drawn from; -2: passed without a word on slices. */
static int run(const struct options *o, const struct plot *p, const uint8_t *before) {
    static uint8_t segments[D * H * W], clean[D * H * W];
    struct harness *h = harness_open();
    struct hf_error e = {0};
    harness_add(h, &hf_plugin);
    memset(segments, 0, sizeof segments);
    memset(clean, 0, sizeof clean);
    for (int d = 0; d < D; d++) {
        memset(segments + d * H * W, 1, (size_t)p->annotated[d]);
        memset(clean + (d + 1) * H * W - p->clean[d], 1, (size_t)p->clean[d]);
    }
    struct hf_sample *in = harness_sample(h, "liver-12", D, H, W, 1.0);
    harness_set_u8(h, in, "segments", 1, segments);
    harness_set_u8(h, in, "clean", 1, clean);
    const int64_t shape[1] = {D};
    if (before)
        harness_set(h, in, "slices", HF_ON_HOST, HF_U8, 1, shape, before);
    struct hf_stage *s = harness_stage(h, &select_class, o, "chosen");
    if (harness_process(s, in, &e) != HF_OK)
        fail_msg("%s", e.text);
    int result = -1;
    if (harness_outs(s) == 1 && hf_sample_get(harness_out(s, 0), "slices")) {
        result = 0;
        assert_int_equal(hf_sample_find(harness_out(s, 0), "slices")->place, HF_ON_HOST);
        for (int d = 0; d < D; d++)
            result |= harness_u8(harness_out(s, 0), "slices")[d] << d;
    } else if (harness_outs(s) == 1) {
        result = -2;
    }
    harness_stage_free(s);
    harness_free_sample(h, in);
    harness_close(h);
    return result;
}

static const struct plot mixed = {{0, 0, 7, 0, 1}, {30, 60, 40, 0, 0}};
static const struct plot healthy = {{0}, {20, 60, 50, 70, 0}};
static const struct plot unknown = {{0}, {0}};

static void clean_segments_needs_volume(void **state) {
    (void)state;
    struct options o = {.keep = KEEP_CLEAN_SEGMENTS, .min_volume = 0.13, .min_area = 35};
    assert_int_equal(run(&o, &mixed, NULL), 1 << 1 | 1 << 2);
    o.min_volume = 0.131;
    assert_int_equal(run(&o, &mixed, NULL), -1);
    assert_int_equal(run(&o, &unknown, NULL), -1);
}

static void healthy_slices_have_no_voxel_of_m(void **state) {
    (void)state;
    struct options o = {.keep = KEEP_HEALTHY_SLICES, .min_area = 25};
    assert_int_equal(run(&o, &mixed, NULL), 1 << 0 | 1 << 1);
    o.min_area = 61;
    assert_int_equal(run(&o, &mixed, NULL), -1);
    assert_int_equal(run(&o, &unknown, NULL), -1);
    o.min_area = 0;
    assert_int_equal(run(&o, &unknown, NULL), -1);
}

static void annotated_has_what_m_touches(void **state) {
    (void)state;
    struct options o = {.keep = KEEP_ANNOTATED, .min_area = 1000};
    assert_int_equal(run(&o, &mixed, NULL), 1 << 2 | 1 << 4);
    assert_int_equal(run(&o, &healthy, NULL), -1);
    assert_int_equal(run(&o, &unknown, NULL), -1);
}

static void healthy_has_no_m_at_all(void **state) {
    (void)state;
    struct options o = {.keep = KEEP_HEALTHY, .min_area = 25};
    assert_int_equal(run(&o, &mixed, NULL), -1);
    assert_int_equal(run(&o, &healthy, NULL), 1 << 1 | 1 << 2 | 1 << 3);
    assert_int_equal(run(&o, &unknown, NULL), -1);
}

static void earlier_choices_hold(void **state) {
    (void)state;
    struct options o = {.keep = KEEP_HEALTHY_SLICES, .min_area = 25};
    const uint8_t before[D] = {0, 1, 1, 1, 1};
    assert_int_equal(run(&o, &mixed, before), 1 << 1);
}

static void cases_by_name(void **state) {
    (void)state;
    struct options o = {.keep = KEEP_ALL, .cases = {2, {"ircad-*", "liver-12"}}};
    assert_int_equal(run(&o, &unknown, NULL), -2);
    o.cases = (struct hf_names){1, {"liver-1"}};
    assert_int_equal(run(&o, &unknown, NULL), -1);
    o.cases = (struct hf_names){1, {"liver-1?"}};
    assert_int_equal(run(&o, &unknown, NULL), -2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_segments_needs_volume),
        cmocka_unit_test(healthy_slices_have_no_voxel_of_m),
        cmocka_unit_test(annotated_has_what_m_touches),
        cmocka_unit_test(healthy_has_no_m_at_all),
        cmocka_unit_test(earlier_choices_hold),
        cmocka_unit_test(cases_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
