/**
 * test_couinaud_geometry.c - Couinaud maps from a mask, from landmarks and from vessels: against
 * azimuths around the vena cava, against trying every vessel voxel, and against what
 * tools/anatomy/fit_geometry.py makes of the same liver.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../plugins/couinaud_geometry/couinaud_geometry.c"
#include "harness.h"
#include "io_stub.h"

static const struct options plain = {
    .method = METHOD_MASK, .vessels = "couinaud", .output = "couinaud", .caudate = 25};

/* ---- the shape ---- */

#define D 30
#define H 52
#define W 62
#define N (D * H * W)

static uint8_t liver[N];

static int within(double d, double h, double w, const double c[3], const double r[3]) {
    double z = (d - c[0]) / r[0], y = (h - c[1]) / r[1], x = (w - c[2]) / r[2];
    return z * z + y * y + x * x <= 1;
}

/* A large right lobe and a flat left one. */
static void draw(void) {
    const double right[3] = {14, 24, 42}, right_r[3] = {13, 22, 18};
    const double left[3] = {18, 32, 22}, left_r[3] = {8, 14, 20};
    for (int64_t i = 0; i < N; i++) {
        double d = (double)(i / (H * W)), h = (double)(i / W % H), w = (double)(i % W);
        liver[i] = within(d, h, w, right, right_r) || within(d, h, w, left, left_r);
    }
}

static struct hf_sample *liver_sample(struct harness *h, double scale) {
    struct hf_sample *s = harness_sample(h, "c1", D, H, W, 1.0);
    const double spacing[3] = {3, 4, 5}; /* W, H, D */
    for (int a = 0; a < 3; a++) {
        s->grid.affine[a][a] = spacing[a] * scale;
        s->grid.affine[a][3] = -100 + 7 * a;
    }
    harness_set_u8(h, s, "liver", 1, liver);
    return s;
}

static const uint8_t *map_of(struct hf_stage *s, const struct hf_sample *in) {
    struct hf_error e = {0};
    if (harness_process(s, in, &e) != HF_OK)
        fail_msg("%s", e.text);
    assert_int_equal(harness_outs(s), 1);
    return harness_u8(harness_out(s, 0), "couinaud");
}

static void shape_as_fitted(void **state) {
    (void)state;
    /* By segments() of fit_geometry.py: voxels of each segment, and d, h, w, segment of some. */
    static const int64_t voxels[9] = {0, 1112, 3084, 1597, 4179, 4226, 2806, 4758, 6471};
    static const int32_t place[][4] = {
        {21, 32, 55, 8}, {18, 32, 22, 2}, {18, 42, 32, 4}, {13, 41, 33, 4}, {4, 31, 36, 4},
        {20, 20, 28, 7}, {26, 24, 46, 8}, {12, 28, 41, 5}, {21, 37, 42, 8}, {4, 16, 41, 6},
        {17, 45, 40, 4}, {2, 29, 38, 5},  {11, 28, 19, 3}, {12, 23, 58, 5}, {16, 38, 38, 4},
        {25, 25, 41, 8}, {14, 30, 40, 8}, {18, 21, 14, 1}, {6, 25, 44, 5},  {14, 19, 46, 7},
        {16, 21, 12, 1}, {8, 13, 30, 6},  {6, 30, 54, 5},  {23, 35, 8, 2},  {5, 15, 38, 6},
        {19, 18, 42, 7}, {4, 24, 42, 5},  {19, 32, 9, 2},  {22, 15, 33, 7}, {18, 32, 30, 4},
        {16, 7, 45, 7},  {18, 10, 38, 7}, {11, 42, 45, 4}, {14, 11, 46, 7}, {3, 30, 34, 4},
        {21, 14, 41, 7}, {18, 22, 25, 1}, {15, 41, 39, 4}, {19, 31, 49, 8}, {24, 22, 43, 8},
        {17, 30, 42, 8}, {18, 40, 37, 4}, {21, 42, 45, 8}, {9, 27, 30, 4},  {24, 36, 11, 2},
        {23, 20, 32, 8}, {17, 35, 33, 4}, {7, 9, 41, 6},   {14, 6, 41, 7},  {20, 43, 25, 4},
        {15, 18, 38, 7}, {11, 35, 39, 4}, {18, 20, 24, 1}, {15, 29, 47, 8}, {16, 35, 43, 8},
        {2, 23, 41, 5},  {16, 30, 16, 2}, {21, 17, 42, 7}, {21, 35, 52, 8}, {20, 20, 21, 1},
        {3, 17, 40, 6},  {16, 29, 21, 2}, {9, 26, 48, 5},  {13, 38, 48, 5}};
    struct harness *h = harness_open();
    harness_add(h, &hf_plugin);
    draw();
    struct hf_stage *s = harness_stage(h, &couinaud_geometry, &plain, "map");
    struct hf_sample *in = liver_sample(h, 1);
    static uint8_t map[N];
    memcpy(map, map_of(s, in), N);
    int64_t count[9] = {0};
    for (int64_t i = 0; i < N; i++) {
        assert_int_equal(map[i] != 0, liver[i] != 0);
        count[map[i]]++;
    }
    for (int k = 1; k < 9; k++)
        assert_true(llabs(count[k] - voxels[k]) <= 1 + voxels[k] / 200);
    int wrong = 0;
    for (size_t i = 0; i < sizeof place / sizeof *place; i++)
        wrong += map[(place[i][0] * H + place[i][1]) * W + place[i][2]] != place[i][3];
    assert_true(wrong <= 2); /* on a border, by rounding */
    harness_free_sample(h, in);
    /* A larger child of the same shape has the same map. */
    in = liver_sample(h, 1.25);
    wrong = 0;
    const uint8_t *larger = map_of(s, in);
    for (int64_t i = 0; i < N; i++)
        wrong += larger[i] != map[i];
    assert_true(wrong <= N / 10000);
    harness_free_sample(h, in);
    harness_stage_free(s);
    harness_close(h);
}

static void no_liver(void **state) {
    (void)state;
    struct harness *h = harness_open();
    struct hf_error e = {0};
    harness_add(h, &hf_plugin);
    memset(liver, 0, sizeof liver);
    struct hf_stage *s = harness_stage(h, &couinaud_geometry, &plain, "map");
    struct hf_sample *in = liver_sample(h, 1);
    assert_int_equal(harness_process(s, in, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "there is no liver voxel"));
    /* One voxel is one segment, not a failure. */
    liver[N / 2] = 1;
    harness_set_u8(h, in, "liver", 1, liver);
    const uint8_t *map = map_of(s, in);
    assert_true(map[N / 2] >= 1 && map[N / 2] <= 8);
    harness_free_sample(h, in);
    harness_stage_free(s);
    harness_close(h);
}

/* ---- landmarks ---- */

static const double middle_x = 10, middle_y = -60;

/* The vein's point at so many degrees from anterior to the left of a vena cava that stands
 * upright. */
static void vein(FILE *f, const char *name, double degrees, double sign) {
    double r = degrees * 3.14159265358979 / 180;
    (void)fprintf(f, "c1,%s,%.9g,%.9g,12\n", name, sign * (middle_x - 50 * sin(r)),
                  sign * (middle_y + 50 * cos(r)));
}

static void write_points(const char *path, double sign, const char *more) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fprintf(f, "case,point,x,y,z\nc0,ivc_superior,1,2,3\n");
    (void)fprintf(f, "c1,ivc_superior,%g,%g,90\nc1,ivc_inferior,%g,%g,-30\n", sign * middle_x,
                  sign * middle_y, sign * middle_x, sign * middle_y);
    vein(f, "hepatic_middle", -20, sign);
    vein(f, "hepatic_right", -75, sign);
    vein(f, "hepatic_left", 35, sign);
    (void)fprintf(f, "c1,portal_right,%g,%g,11.3\n%s", sign * 30, sign * -41, more);
    (void)fclose(f);
}

/* Which way one turns from the vein to the point. */
static int beyond(double x, double y, double degrees) {
    double turn = atan2(middle_x - x, y - middle_y) - degrees * 3.14159265358979 / 180;
    return sin(turn) > 0;
}

static uint8_t by_azimuth(double x, double y, double z) {
    int left = beyond(x, y, -20);
    if (hypot(x - middle_x, y - middle_y) <= 25 && y < -40 && left)
        return 1;
    if (left)
        return beyond(x, y, 35) ? (z > 25.1 ? 2 : 3) : 4;
    if (beyond(x, y, -75))
        return z > 11.3 ? 8 : 5;
    return z > 11.3 ? 7 : 6;
}

static void landmarks_by_azimuth(void **state) {
    (void)state;
    for (int space = SPACE_RAS; space <= SPACE_LPS; space++) {
        struct harness *h = harness_open();
        char path[512], last[64];
        double sign = space == SPACE_LPS ? -1 : 1;
        (void)snprintf(path, sizeof path, "%s/points.csv", harness_folder(h));
        (void)snprintf(last, sizeof last, "c1,portal_left,%g,%g,25.1\n", sign * 0, sign * -39);
        write_points(path, sign, last);
        struct options o = plain;
        o.method = METHOD_LANDMARKS;
        o.landmarks = path;
        o.space = space;
        harness_add(h, &hf_plugin);
        draw();
        memset(liver, 1, sizeof liver);
        struct hf_stage *s = harness_stage(h, &couinaud_geometry, &o, "map");
        struct hf_sample *in = liver_sample(h, 1);
        in->grid.affine[2][1] = 0.4; /* a tilted gantry */
        const uint8_t *map = map_of(s, in);
        int seen[9] = {0};
        for (int64_t i = 0; i < N; i++) {
            double at[3];
            for (int a = 0; a < 3; a++)
                at[a] = in->grid.affine[a][0] * (double)(i % W) +
                        in->grid.affine[a][1] * (double)(i / W % H) +
                        in->grid.affine[a][2] * (double)(i / (H * W)) + in->grid.affine[a][3];
            assert_int_equal(map[i], by_azimuth(at[0], at[1], at[2]));
            seen[map[i]]++;
        }
        for (int k = 1; k < 9; k++)
            assert_true(seen[k] > 100);
        harness_free_sample(h, in);
        harness_stage_free(s);
        harness_close(h);
    }
}

/* What the file lacks, and what stands in it wrongly, is told. */
static void bad_landmarks(void **state) {
    (void)state;
    static const struct {
        const char *more, *message;
        int at_start;
    } bad[] = {
        {"", "no landmark portal_left of case 'c1'", 0},
        {"c1,portal_left,0,-39,x\n", "'x' is no coordinate", 1},
        {"c1,portal_left,0,-39,nan\n", "'nan' is no coordinate", 1},
        {"c1,portal,0,-39,1\n", "no landmark 'portal'", 1},
        {"c1,portal_right,0,-39,1\n", "portal_right of case 'c1' stands twice", 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct harness *h = harness_open();
        struct hf_error e = {0};
        char path[512];
        (void)snprintf(path, sizeof path, "%s/points.csv", harness_folder(h));
        write_points(path, 1, bad[i].more);
        struct options o = plain;
        o.method = METHOD_LANDMARKS;
        o.landmarks = path;
        harness_add(h, &hf_plugin);
        struct hf_stage *s = harness_stage_new(h, &couinaud_geometry, &o, "map");
        enum hf_status st = harness_start(s, &e);
        assert_int_equal(st != HF_OK, bad[i].at_start);
        struct hf_sample *in = liver_sample(h, 1);
        if (st == HF_OK)
            assert_int_equal(harness_process(s, in, &e), HF_INVALID);
        if (!strstr(e.text, bad[i].message))
            fail_msg("'%s' has no \"%s\"", e.text, bad[i].message);
        assert_non_null(strstr(e.text, "points.csv"));
        harness_free_sample(h, in);
        harness_stage_free(s);
        harness_close(h);
    }
    struct cut_params p;
    struct hf_error e = {0};
    double point[POINTS][3] = {{0, 0, 9}, {0, 0, 0}, {0, 5, 5}, {5, 1, 5}, {0, 0, 5}};
    const struct hf_grid grid = {{4, 4, 4}, {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};
    assert_int_equal(planes_from_points(point, 25, &grid, &p, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "hepatic_left lies on the vena cava's axis"));
    point[POINT_IVC_SUPERIOR][2] = -1;
    assert_int_equal(planes_from_points(point, 25, &grid, &p, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "ivc_superior (z -1) is not above"));
}

/* ---- vessels ---- */

#define VD 7
#define VH 11
#define VW 13
#define VN (VD * VH * VW)

static void vessels_by_trying_all(void **state) {
    (void)state;
    const double spacing[3] = {0.7, 1.1, 2.5}; /* W, H, D */
    struct harness *h = harness_open();
    struct options o = plain;
    struct hf_rng r = hf_rng_init(9, "test", "vessels", 0);
    uint8_t mask[VN], label[VN];
    o.method = METHOD_VESSELS;
    o.vessels = "vessels";
    harness_add(h, &hf_plugin);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < VN; i++) {
            mask[i] = hf_rng_below(&r, 4) > 0;
            label[i] = (uint8_t)(hf_rng_below(&r, 60) == 0 ? hf_rng_below(&r, 11) : 0);
            label[i] = round == 4 ? 0 : label[i];
        }
        struct hf_sample *in = harness_sample(h, "c1", VD, VH, VW, 1.0);
        for (int a = 0; a < 3; a++)
            in->grid.affine[a][a] = spacing[a];
        harness_set_u8(h, in, "liver", 1, mask);
        harness_set_u8(h, in, "vessels", 1, label);
        struct hf_stage *s = harness_stage(h, &couinaud_geometry, &o, "map");
        struct hf_error e = {0};
        if (round == 4) {
            assert_int_equal(harness_process(s, in, &e), HF_INVALID);
            assert_non_null(strstr(e.text, "'vessels' has no vessel voxel"));
        } else {
            const uint8_t *map = map_of(s, in);
            for (int i = 0; i < VN; i++) {
                double best = INFINITY, mine = INFINITY;
                for (int j = 0; j < VN; j++) {
                    if (label[j] < 1 || label[j] > 8)
                        continue;
                    double x = (i % VW - j % VW) * spacing[0];
                    double y = (i / VW % VH - j / VW % VH) * spacing[1];
                    double z = (i / (VW * VH) - j / (VW * VH)) * spacing[2];
                    double d = sqrt(x * x + y * y + z * z);
                    best = fmin(best, d);
                    if (label[j] == map[i])
                        mine = fmin(mine, d);
                }
                if (!mask[i])
                    assert_int_equal(map[i], 0);
                else
                    assert_true(mine <= best + 1e-5);
            }
        }
        harness_free_sample(h, in);
        harness_stage_free(s);
    }
    harness_close(h);
}

static void declares_what_it_reads(void **state) {
    (void)state;
    struct io_stub io;
    struct hf_error e = {0};
    struct options o = plain;
    assert_int_equal(io_stub_declare(&io, &couinaud_geometry, &o, " ", &e), HF_OK);
    assert_string_equal(io.text, "read liver@0\nwrite couinaud@0 < liver\n");
    o.method = METHOD_VESSELS;
    assert_int_equal(io_stub_declare(&io, &couinaud_geometry, &o, " ", &e), HF_OK);
    assert_non_null(strstr(io.text, "write couinaud@0 < liver couinaud\n"));
    o.method = METHOD_LANDMARKS;
    assert_int_equal(io_stub_declare(&io, &couinaud_geometry, &o, " ", &e), HF_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape_as_fitted),       cmocka_unit_test(no_liver),
        cmocka_unit_test(landmarks_by_azimuth),  cmocka_unit_test(bad_landmarks),
        cmocka_unit_test(vessels_by_trying_all), cmocka_unit_test(declares_what_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
