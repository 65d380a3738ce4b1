/*
 * test_picture.c - pictures: which way round, which slices, what stands in the report.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "harness.h"
#include "io_stub.h"

#include "../../stages/picture/picture.c"

enum {
    D = 8,
    H = 20,
    W = 30,
    PLANE = H * W,
    N = D * PLANE
};

static const struct options plain = {
    .cases = 6,
    .slices = 1,
    .width = 60,
    .window = {2, {0, 200}},
    .difference = 60,
};

static int pixel(const struct canvas *c, int x, int y, int k) {
    return c->rgb[3 * (y * c->width + x) + k];
}

/* The patient's right is large w, anterior is large h: left and up in the picture. */
static void test_it_is_seen_from_below(void **state) {
    (void)state;
    float v[12];
    uint8_t rgb[3 * 40 * 30];
    struct canvas c = {rgb, 40, 30};
    for (int i = 0; i < 12; i++)
        v[i] = 0;
    v[2 * 4 + 3] = 1; /* of 3 x 4 voxels the one that is most to the right and to the front */
    struct panel p = {.kind = PANEL_GREY,
                      .h = 3,
                      .w = 4,
                      .crop = {0, 0, 4, 3},
                      .value = v,
                      .black = 0,
                      .white = 1};
    draw_panel(&p, &c, 0, 40);
    assert_int_equal(pixel(&c, 0, 0, 0), 255);
    assert_int_equal(pixel(&c, 39, 0, 0), 0);
    assert_int_equal(pixel(&c, 0, 29, 0), 0);
    assert_int_equal(pixel(&c, 39, 29, 0), 0);
    /* Half a voxel further it has faded by half. */
    assert_in_range(pixel(&c, 9, 0, 0), 110, 145);
    /* A crop is a window on the same picture. */
    p.crop = (struct crop){2, 1, 4, 3};
    draw_panel(&p, &c, 0, 40);
    assert_int_equal(pixel(&c, 0, 0, 0), 255);
    assert_in_range(pixel(&c, 19, 0, 0), 110, 145);
}

static void test_overlays_have_their_colours(void **state) {
    (void)state;
    float v[PLANE], zero[PLANE];
    uint8_t mask[PLANE], rgb[3 * W * H];
    struct canvas c = {rgb, W, H};
    for (int i = 0; i < PLANE; i++) {
        zero[i] = 0;
        mask[i] = i % W >= 10 && i % W < 20;
        v[i] = mask[i] ? -0.2f : 0.2f;
    }
    struct panel p = {.kind = PANEL_DIFFERENCE,
                      .h = H,
                      .w = W,
                      .crop = {0, 0, W, H},
                      .image = zero,
                      .value = v,
                      .label = mask,
                      .colour = {10, 200, 30},
                      .white = 1,
                      .extreme = 0.1f};
    draw_panel(&p, &c, 0, W);
    assert_true(pixel(&c, 15, 10, 2) == 255 && pixel(&c, 15, 10, 0) < 100);
    assert_true(pixel(&c, 2, 10, 0) == 255 && pixel(&c, 2, 10, 2) < 100);
    p.kind = PANEL_MASK;
    draw_panel(&p, &c, 0, W);
    assert_int_equal(pixel(&c, 10, 10, 1), 200);        /* outline */
    assert_int_equal(pixel(&c, 15, 10, 1), 200 * 0.35); /* inside */
    assert_int_equal(pixel(&c, 5, 10, 1), 0);
    p.kind = PANEL_LABELS;
    memset(mask, 7, sizeof mask);
    draw_panel(&p, &c, 0, W);
    for (int k = 0; k < 3; k++)
        assert_in_range(pixel(&c, 5, 5, k), draw_segment_colour[7][k] / 2,
                        draw_segment_colour[7][k] / 2 + 1);
    p.kind = PANEL_HEAT;
    p.liver = mask;
    draw_panel(&p, &c, 0, W);
    assert_true(pixel(&c, 2, 10, 0) > 30 && pixel(&c, 15, 10, 0) == 0);
}

static struct hf_sample *make_sample(struct harness *h, const char *id, int tumor_at) {
    static float image[N];
    static uint8_t liver[N], tumor[N], couinaud[N];
    struct hf_sample *s = harness_sample(h, id, D, H, W, 2);
    for (int i = 0; i < N; i++) {
        int y = i / W % H, x = i % W;
        liver[i] = y >= 5 && y < 15 && x >= 5 && x < 25;
        image[i] = 0.5f;
        couinaud[i] = liver[i] ? 4 : 0;
        /* The tumor is largest in slice tumor_at. */
        tumor[i] = liver[i] && tumor_at >= 0 && x < 12 - 2 * abs(i / PLANE - tumor_at);
    }
    harness_set_f32(h, s, "image", 1, image);
    harness_set_u8(h, s, "liver", 1, liver);
    harness_set_u8(h, s, "couinaud", 1, couinaud);
    harness_set_u8(h, s, "tumor", 1, tumor);
    return s;
}

static int has_file(struct harness *h, const char *name, int *ret_width, int *ret_height) {
    char path[4096];
    png_image image = {.version = PNG_IMAGE_VERSION};
    (void)snprintf(path, sizeof path, "%s/pictures/%s", harness_folder(h), name);
    if (!png_image_begin_read_from_file(&image, path))
        return 0;
    *ret_width = (int)image.width;
    *ret_height = (int)image.height;
    png_image_free(&image);
    return 1;
}

static int times(const char *text, const char *word) {
    int n = 0;
    while ((text = strstr(text, word))) {
        n++;
        text += strlen(word);
    }
    return n;
}

static void test_the_largest_slice_is_shown(void **state) {
    (void)state;
    struct harness *h = harness_open();
    struct hf_error e;
    int width, height;
    const struct hf_sample *in[3] = {make_sample(h, "one", 2), make_sample(h, "two<", 5),
                                     make_sample(h, "three", -1)};
    struct options o = plain;
    struct hf_stage *s = harness_stage(h, &picture, &o, "pictures");
    assert_int_equal(harness_run(s, in, 3, &e), HF_OK);
    /* Slices are counted from 1; without a tumor it is the liver's largest, here the first. */
    assert_true(has_file(h, "one-slice-3.png", &width, &height));
    assert_true(has_file(h, "two_-slice-6.png", &width, &height));
    assert_true(has_file(h, "three-slice-1.png", &width, &height));
    /* Three panels (image, couinaud, tumor); the crop is the liver and 4 voxels around it. */
    assert_int_equal(width, 3 * 60 + 2 * GAP);
    assert_int_equal(height, (int)round(60.0 * 18 / 28));
    const char *html = harness_report(h);
    assert_int_equal(times(html, "<img"), 9);
    assert_int_equal(times(html, "data:image/png;base64,iVBORw0KGgo"), 9);
    assert_int_equal(times(html, ">couinaud</figcaption>"), 3);
    assert_int_equal(times(html, "two&lt;, slice 6 of 8"), 1);
    assert_int_equal(times(html, "two<"), 0);
    harness_stage_free(s);
    for (int i = 0; i < 3; i++)
        harness_free_sample(h, in[i]);
    harness_close(h);
}

static void test_options_limit_what_is_shown(void **state) {
    (void)state;
    struct harness *h = harness_open();
    struct hf_error e;
    int width, height;
    const struct hf_sample *in[2] = {make_sample(h, "one", 1), make_sample(h, "two", 5)};
    struct options o = plain;
    o.cases = 1;
    o.slices = 2;
    o.panels = (struct hf_names){2, {"tumor", "image"}};
    struct hf_stage *s = harness_stage(h, &picture, &o, "pictures");
    assert_int_equal(harness_run(s, in, 2, &e), HF_OK);
    assert_true(has_file(h, "one-slice-2.png", &width, &height));
    assert_int_equal(width, 2 * 60 + GAP);
    /* The second is more than a quarter of the volume away. */
    assert_true(has_file(h, "one-slice-5.png", &width, &height));
    assert_false(has_file(h, "two-slice-6.png", &width, &height));
    assert_int_equal(times(harness_report(h), "<img"), 4);
    harness_stage_free(s);
    for (int i = 0; i < 2; i++)
        harness_free_sample(h, in[i]);
    harness_close(h);
}

static void test_base64(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text h = {0};
        html_base64(&h, cases[i][0], strlen(cases[i][0]));
        assert_string_equal(h.bytes, cases[i][1]);
        free(h.bytes);
    }
}

static void test_declared_fields(void **state) {
    (void)state;
    struct hf_error e;
    struct io_stub io;
    struct options o = plain;
    o.panels = (struct hf_names){1, {"pseudo"}};
    assert_int_equal(io_stub_declare(&io, &picture, &o, " image ", &e), HF_OK);
    assert_string_equal(io.text, "read image@0\nread liver@0\nmay read window@2\nread pseudo@0\n"
                                 "may read tumor@0\n");
    o.window.value[0] = 300;
    assert_int_equal(io_stub_declare(&io, &picture, &o, " image ", &e), HF_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_seen_from_below),
        cmocka_unit_test(test_overlays_have_their_colours),
        cmocka_unit_test(test_the_largest_slice_is_shown),
        cmocka_unit_test(test_options_limit_what_is_shown),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_declared_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
