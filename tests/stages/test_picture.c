/*
 * test_picture.c - pictures: which way round, which slices, what stands in the report.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <png.h>

#include "harness.h"
#include "io_stub.h"

#include "../../stages/picture/picture.c"
#include "../../stages/picture/sheet.h"

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
    .volume_slices = 64,
    .volume_side = 256,
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

/* The report's only section, without its title. */
static cJSON *cases_of(struct harness *h, cJSON **ret_root) {
    const char *json = strchr(harness_report(h), '{');
    assert_non_null(json);
    *ret_root = cJSON_Parse(json);
    assert_string_equal(cJSON_GetObjectItem(*ret_root, "kind")->valuestring, "slices");
    return cJSON_GetObjectItem(*ret_root, "cases");
}

static int number(const cJSON *o, const char *name) {
    const cJSON *n = cJSON_GetObjectItem(o, name);
    assert_true(cJSON_IsNumber(n));
    return n->valueint;
}

/* The layer of a field, and its sheet as RGBA, for free(). */
static const cJSON *layer_of(struct harness *h, const cJSON *volume, const char *field,
                             uint8_t **ret_rgba, int *ret_width) {
    char path[4096];
    const cJSON *layer = NULL;
    cJSON_ArrayForEach(layer, cJSON_GetObjectItem(volume, "layers")) {
        if (strcmp(cJSON_GetObjectItem(layer, "field")->valuestring, field) == 0)
            break;
    }
    assert_non_null(layer);
    png_image image = {.version = PNG_IMAGE_VERSION};
    (void)snprintf(path, sizeof path, "%s/%s", harness_folder(h),
                   cJSON_GetObjectItem(layer, "file")->valuestring);
    assert_true(png_image_begin_read_from_file(&image, path));
    image.format = PNG_FORMAT_RGBA;
    *ret_width = (int)image.width;
    *ret_rgba = malloc(PNG_IMAGE_SIZE(image));
    assert_true(png_image_finish_read(&image, NULL, *ret_rgba, 0, NULL));
    return layer;
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
    char two[FILENAME_BYTES + 32];
    filename_of("two<", 1, two);
    strcat(two, "-slice-6.png");
    assert_true(has_file(h, two, &width, &height));
    assert_true(has_file(h, "three-slice-1.png", &width, &height));
    /* Three panels (image, couinaud, tumor); the crop is the liver and 4 voxels around it. */
    assert_int_equal(width, 3 * 60 + 2 * GAP);
    assert_int_equal(height, (int)round(60.0 * 18 / 28));
    cJSON *root, *cases = cases_of(h, &root);
    assert_int_equal(cJSON_GetArraySize(cases), 3);
    assert_string_equal(cJSON_GetObjectItem(cJSON_GetArrayItem(cases, 1), "case")->valuestring,
                        "two<");
    /* The viewer begins with it. */
    assert_int_equal(number(cJSON_GetArrayItem(cases, 0), "start"), 2);
    assert_int_equal(number(cJSON_GetArrayItem(cases, 1), "start"), 5);
    cJSON_Delete(root);
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
    cJSON *root, *cases = cases_of(h, &root);
    assert_int_equal(cJSON_GetArraySize(cases), 1);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(cases->child, "layers")), 3);
    cJSON_Delete(root);
    harness_stage_free(s);
    for (int i = 0; i < 2; i++)
        harness_free_sample(h, in[i]);
    harness_close(h);
}

/* Voxel by voxel where there is room: slice 2 of 8 is the third of a row of three. */
static void test_sheets_hold_the_volume(void **state) {
    (void)state;
    struct harness *h = harness_open();
    struct hf_error e;
    uint8_t *rgba;
    int wide;
    const struct hf_sample *in = make_sample(h, "one", 2);
    struct options o = plain;
    struct hf_stage *s = harness_stage(h, &picture, &o, "pictures");
    assert_int_equal(harness_run(s, &in, 1, &e), HF_OK);
    cJSON *root, *volume = cases_of(h, &root)->child;
    int width = number(volume, "width"), height = number(volume, "height");
    assert_int_equal(width, 28); /* the liver and 4 voxels around it */
    assert_int_equal(height, 18);
    assert_int_equal(number(volume, "columns"), 3);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(volume, "slices")), D);
    const cJSON *layer = layer_of(h, volume, "tumor", &rgba, &wide);
    assert_int_equal(wide, 3 * width);
    assert_string_equal(cJSON_GetObjectItem(layer, "look")->valuestring, "mask");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(layer, "on")));
    const cJSON *areas = cJSON_GetObjectItem(layer, "area");
    const int area[D] = {30, 50, 70, 50, 30, 10, 0, 0}; /* rows of 12 - 5 - 2 |d - 2| voxels */
    for (int d = 0; d < D; d++) {
        int opaque = 0;
        assert_int_equal(cJSON_GetArrayItem(areas, d)->valueint, area[d]);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                const uint8_t *p = rgba + 4 * ((d / 3 * height + y) * wide + d % 3 * width + x);
                opaque += p[3] == 255;
                assert_true(p[3] == 0 || p[1] == 230);
                /* Low x, the patient's left, is on the right. */
                assert_true(p[3] == 0 || x >= width / 2);
            }
        assert_int_equal(opaque, area[d]);
    }
    free(rgba);
    layer = layer_of(h, volume, "image", &rgba, &wide);
    assert_string_equal(cJSON_GetObjectItem(layer, "look")->valuestring, "grey");
    assert_in_range(rgba[0], 126, 130); /* a half, to one of 64 */
    free(rgba);
    layer = layer_of(h, volume, "couinaud", &rgba, &wide);
    assert_memory_equal(rgba + 4 * (9 * wide + 14), draw_segment_colour[4], 3);
    free(rgba);
    /* What nobody asked for is there, but off. */
    layer = layer_of(h, volume, "liver", &rgba, &wide);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(layer, "on")));
    free(rgba);
    cJSON_Delete(root);
    harness_stage_free(s);
    harness_free_sample(h, in);
    harness_close(h);
}

static void test_large_volumes_are_reduced(void **state) {
    (void)state;
    struct harness *h = harness_open();
    struct hf_error e;
    const struct hf_sample *in = make_sample(h, "one", 6);
    struct options o = plain;
    o.volume_slices = 3;
    o.volume_side = 16;
    struct hf_stage *s = harness_stage(h, &picture, &o, "pictures");
    assert_int_equal(harness_run(s, &in, 1, &e), HF_OK);
    cJSON *root, *volume = cases_of(h, &root)->child;
    const cJSON *slices = cJSON_GetObjectItem(volume, "slices");
    assert_int_equal(number(volume, "width"), 16);
    assert_int_equal(number(volume, "height"), 10);
    assert_int_equal(cJSON_GetArraySize(slices), 3);
    /* Evenly spaced, but the one that is worth most, counted from 1, in place of its neighbour. */
    const int expected[3] = {1, 4, 7};
    for (int i = 0; i < 3; i++)
        assert_int_equal(cJSON_GetArrayItem(slices, i)->valueint, expected[i]);
    assert_int_equal(number(volume, "start"), 2);
    cJSON_Delete(root);
    harness_stage_free(s);
    harness_free_sample(h, in);
    harness_close(h);
}

/* A grid without lengths, which a stage may come with, is drawn as of 1 mm. */
static void test_grids_of_no_spacing(void **state) {
    (void)state;
    static const double odd[] = {0, NAN, INFINITY, 1e-300, 1e300};
    for (int i = 0; i < 5; i++) {
        struct harness *h = harness_open();
        struct hf_error e;
        int width, height;
        struct hf_sample *in = make_sample(h, "one", 2);
        for (int k = 0; k < 3; k++)
            in->grid.affine[k][k] = odd[i];
        struct hf_stage *s = harness_stage(h, &picture, &plain, "pictures");
        assert_int_equal(harness_run(s, (const struct hf_sample *const *)&in, 1, &e), HF_OK);
        /* The liver, 10 x 20 voxels, and 8 around it, in what there is. */
        assert_true(has_file(h, "one-slice-3.png", &width, &height));
        assert_int_equal(height, 60 * H / W);
        cJSON *root, *volume = cases_of(h, &root)->child;
        assert_float_equal(cJSON_GetObjectItem(volume, "shape")->valuedouble, 1.5, 1e-6);
        cJSON_Delete(root);
        harness_stage_free(s);
        harness_free_sample(h, in);
        harness_close(h);
    }
}

/* What libpng refuses is told in its words, and is no lack of memory. */
static void test_refused_pictures(void **state) {
    (void)state;
    static const uint8_t row[12];
    struct hf_error e;
    void *png = NULL;
    size_t size = 0;
    struct pixels p = {row, 4, 1, 12, PIXELS_RGB, NULL, 0};
    assert_int_equal(encode_png(&p, &png, &size, &e), HF_OK);
    free(png);
    png = NULL;
    p.stride = 11;
    assert_int_equal(encode_png(&p, &png, &size, &e), HF_INVALID);
    assert_null(png);
    assert_memory_equal(e.text, "a picture of 4 x 1 pixels cannot be written as PNG: ", 52);
    assert_non_null(strstr(e.text, "stride"));
}

/* A level of a value, and of a difference, is as opaque as it is large. */
static void test_values_become_levels(void **state) {
    (void)state;
    struct hf_error e;
    float v[4] = {0, 1, -1, 0.5f};
    for (int k = 0; k < 2; k++) {
        static const int opaque[2][4] = {{0, 255, 0, 136}, {0, 255, 255, 145}};
        uint8_t rgba[16];
        void *png = NULL;
        size_t size = 0;
        struct sheet sheet;
        struct panel p = {.kind = k ? PANEL_DIFFERENCE : PANEL_HEAT,
                          .h = 1,
                          .w = 4,
                          .crop = {0, 0, 4, 1},
                          .value = v,
                          .extreme = 1};
        assert_int_equal(sheet_init(&sheet, p.kind, 4, 1, 1, &e), HF_OK);
        sheet_draw(&sheet, 0, &p);
        assert_int_equal(sheet_encode(&sheet, &png, &size, &e), HF_OK);
        png_image image = {.version = PNG_IMAGE_VERSION};
        assert_true(png_image_begin_read_from_memory(&image, png, size));
        image.format = PNG_FORMAT_RGBA;
        assert_true(png_image_finish_read(&image, NULL, rgba, 0, NULL));
        for (int i = 0; i < 4; i++) /* from the patient's right to the left */
            assert_int_equal(rgba[4 * (3 - i) + 3], opaque[k][i]);
        assert_true(!k || (rgba[4 * 2] > rgba[4 * 2 + 2] && rgba[4 * 1] < rgba[4 * 1 + 2]));
        free(png);
        sheet_clear(&sheet);
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
        cmocka_unit_test(test_sheets_hold_the_volume),
        cmocka_unit_test(test_large_volumes_are_reduced),
        cmocka_unit_test(test_grids_of_no_spacing),
        cmocka_unit_test(test_refused_pictures),
        cmocka_unit_test(test_values_become_levels),
        cmocka_unit_test(test_declared_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
