/**
 * from_mask.c - planes from the shape of the liver alone.
 *
 * The axis of the vena cava stands at a fixed place of the liver's extents. Each plane turns around
 * it to an angle halfway between a fixed one and the one that gives the parts beside it their usual
 * share of the volume; the levels and the caudate's ellipsoid follow shares of the volume alone.
 * The numbers are fitted (tools/anatomy/fit_geometry.py) on half of the anatomies that `phantom`
 * ships; docs/couinaud.md says how well that does on the others.
 */
#include <math.h>
#include <stdlib.h>

#include "planes.h"

enum {
    MAX_POINTS = 200000 /* the shares are counted on that many voxels at most */
};

enum {
    AXIS_X, /* place of the axis in the extents, right and anterior */
    AXIS_Y,
    TILT_X, /* how far it leans on its way up */
    TILT_Y,
    SHARE_M, /* left of the middle vein, of the liver */
    SHARE_R, /* in front of the right vein, of the right half */
    SHARE_L, /* lateral of the left vein, of the left half */
    ANGLE_M, /* degrees from anterior to the left */
    ANGLE_R,
    ANGLE_L,
    ADAPT,   /* weight of the share against that of the fixed angle */
    RIGHT_X, /* slopes of the level on the right */
    RIGHT_Y,
    SHARE_7, /* of 6 and 7 */
    SHARE_8, /* of 5 and 8 */
    LEFT_X,
    LEFT_Y,
    SHARE_2,   /* of 2 and 3 */
    CAUDATE_X, /* middle of the caudate, from the axis; up: in the extents */
    CAUDATE_Y,
    CAUDATE_Z,
    CAUDATE_YX, /* logarithms of its width over its depth and its height */
    CAUDATE_ZX,
    SHARE_1, /* of the liver */
    NUMBERS
};

static const double fitted[NUMBERS] = {
    [AXIS_X] = 0.3717,    [AXIS_Y] = 0.3907,     [TILT_X] = -0.2,        [TILT_Y] = 0.001169,
    [SHARE_M] = 0.4199,   [SHARE_R] = 0.6141,    [SHARE_L] = 0.7316,     [ANGLE_M] = -15.39,
    [ANGLE_R] = -87.73,   [ANGLE_L] = 22.14,     [ADAPT] = 0.6291,       [RIGHT_X] = 0.01029,
    [RIGHT_Y] = -0.04164, [SHARE_7] = 0.6308,    [SHARE_8] = 0.6065,     [LEFT_X] = 0.07675,
    [LEFT_Y] = 0.001279,  [SHARE_2] = 0.6549,    [CAUDATE_X] = -0.139,   [CAUDATE_Y] = 0.04052,
    [CAUDATE_Z] = 0.5073, [CAUDATE_YX] = 0.4775, [CAUDATE_ZX] = -0.4769, [SHARE_1] = 0.03936,
};

/* Liver voxels in mm from the grid's first one, along W, H, D: right, anterior, superior. */
struct cloud {
    float *at[3];
    float *room;   /* values that a share is taken of */
    uint8_t *part; /* of each point, of what has been cut so far: bits PART_ */
    int64_t count;
};

enum {
    PART_LEFT = 1,
    PART_FRONT = 2,
    PART_LATERAL = 4
};

static void cloud_free(struct cloud *c) {
    for (int a = 0; a < 3; a++)
        free(c->at[a]);
    free(c->room);
    free(c->part);
}

static enum hf_status cloud_new(const uint8_t *liver, const int64_t size[3],
                                const double spacing[3], struct cloud *ret, struct hf_error *e) {
    int64_t n = 0, seen = 0, all = size[0] * size[1] * size[2];
    for (int64_t i = 0; i < all; i++)
        n += liver[i] != 0;
    int64_t step = n / MAX_POINTS + 1;
    size_t room = (size_t)(n / step + 1);
    struct cloud c = {.room = malloc(room * sizeof *c.room), .part = calloc(room, 1)};
    for (int a = 0; a < 3; a++)
        c.at[a] = malloc(room * sizeof *c.at[a]);
    if (!c.room || !c.part || !c.at[0] || !c.at[1] || !c.at[2]) {
        cloud_free(&c);
        return hf_fail(e, HF_NO_MEMORY, "no memory for %zu points of a liver", room);
    }
    for (int64_t i = 0; i < all; i++) {
        if (!liver[i] || seen++ % step != 0)
            continue;
        c.at[0][c.count] = (float)((double)(i % size[2]) * spacing[2]);
        c.at[1][c.count] = (float)((double)(i / size[2] % size[1]) * spacing[1]);
        c.at[2][c.count] = (float)((double)(i / (size[2] * size[1])) * spacing[0]);
        c.count++;
    }
    *ret = c;
    return HF_OK;
}

static int by_value(const void *pa, const void *pb) {
    float a = *(const float *)pa, b = *(const float *)pb;
    return (a > b) - (a < b);
}

/** The value below which that share of n values lies; they are sorted. */
static double share_of(float *value, int64_t n, double share) {
    if (n == 0)
        return 0;
    qsort(value, (size_t)n, sizeof *value, by_value);
    double at = share * (double)(n - 1);
    int64_t low = (int64_t)at, high = low + 1 < n ? low + 1 : low;
    return (double)value[low] + (at - (double)low) * ((double)value[high] - (double)value[low]);
}

static double form_at(const double f[4], const struct cloud *c, int64_t i) {
    return cut_form(f, (double)c->at[0][i], (double)c->at[1][i], (double)c->at[2][i]);
}

/** The form of a plane around the axis where x and y are 0, of the points in a part (part & mask ==
 *  want), and the bit for what lies beyond it. */
static void turn(struct cloud *c, const double x[4], const double y[4], int mask, int want,
                 double share, double angle, int bit, double ret[4]) {
    const double degrees = 180 / 3.14159265358979323846;
    int64_t n = 0;
    for (int64_t i = 0; i < c->count; i++)
        if ((c->part[i] & mask) == want)
            c->room[n++] = (float)(atan2(-form_at(x, c, i), form_at(y, c, i)) * degrees);
    double found = n > 0 ? share_of(c->room, n, 1 - share) : angle;
    double r = (fitted[ADAPT] * found + (1 - fitted[ADAPT]) * angle) / degrees;
    for (int k = 0; k < 4; k++)
        ret[k] = -cos(r) * x[k] - sin(r) * y[k];
    for (int64_t i = 0; i < c->count; i++)
        if (form_at(ret, c, i) > 0)
            c->part[i] |= (uint8_t)bit;
}

/** The form of a level with these slopes that has a share of a part above it. */
static void level(struct cloud *c, double slope_x, double slope_y, int mask, int want, double share,
                  double ret[4]) {
    const double form[4] = {slope_x, slope_y, 1, 0};
    int64_t n = 0;
    for (int64_t i = 0; i < c->count; i++)
        if ((c->part[i] & mask) == want)
            c->room[n++] = (float)form_at(form, c, i);
    memcpy(ret, form, sizeof form);
    ret[3] = -share_of(c->room, n, 1 - share);
}

/** The ellipsoid around the caudate's middle that has its share of the liver. */
static void caudate(struct cloud *c, const double low[3], const double size[3],
                    double form[FORMS][4]) {
    const double place[3] = {fitted[AXIS_X] + fitted[CAUDATE_X], fitted[AXIS_Y] + fitted[CAUDATE_Y],
                             fitted[CAUDATE_Z]};
    const double scale[3] = {1, exp(fitted[CAUDATE_YX]), exp(fitted[CAUDATE_ZX])};
    double(*f)[4] = &form[FORM_CAUDATE];
    memset(f, 0, 3 * sizeof *f);
    for (int a = 0; a < 3; a++) {
        f[a][a] = scale[a];
        f[a][3] = -scale[a] * (low[a] + size[a] * place[a]);
    }
    for (int64_t i = 0; i < c->count; i++) {
        double sum = 0;
        for (int a = 0; a < 3; a++)
            sum += form_at(f[a], c, i) * form_at(f[a], c, i);
        c->room[i] = (float)sum;
    }
    double radius = sqrt(share_of(c->room, c->count, fitted[SHARE_1]));
    for (int a = 0; a < 3; a++)
        for (int k = 0; k < 4; k++)
            f[a][k] /= fmax(radius, 1e-6);
    for (int k = FORM_CAUDATE_BEHIND; k <= FORM_CAUDATE_SIDE; k++) {
        memset(form[k], 0, sizeof form[k]);
        form[k][3] = 1; /* wherever it is */
    }
}

enum hf_status planes_from_mask(const uint8_t *liver, const int64_t size[3],
                                const double spacing[3], struct cut_params *ret,
                                struct hf_error *e) {
    struct cloud c = {.count = 0};
    enum hf_status st = cloud_new(liver, size, spacing, &c, e);
    if (st != HF_OK)
        return st;
    double low[3], extent[3];
    for (int a = 0; a < 3; a++) {
        memcpy(c.room, c.at[a], (size_t)c.count * sizeof *c.room);
        low[a] = share_of(c.room, c.count, 0.01);
        extent[a] = share_of(c.room, c.count, 0.99) - low[a];
    }
    double x[4] = {1, 0, -fitted[TILT_X], 0}, y[4] = {0, 1, -fitted[TILT_Y], 0};
    double middle = low[2] + 0.5 * extent[2];
    x[3] = -(low[0] + extent[0] * fitted[AXIS_X]) + fitted[TILT_X] * middle;
    y[3] = -(low[1] + extent[1] * fitted[AXIS_Y]) + fitted[TILT_Y] * middle;
    double(*form)[4] = ret->form;
    turn(&c, x, y, 0, 0, fitted[SHARE_M], fitted[ANGLE_M], PART_LEFT, form[FORM_LEFT]);
    turn(&c, x, y, PART_LEFT, 0, fitted[SHARE_R], fitted[ANGLE_R], PART_FRONT, form[FORM_FRONT]);
    turn(&c, x, y, PART_LEFT, PART_LEFT, fitted[SHARE_L], fitted[ANGLE_L], PART_LATERAL,
         form[FORM_LATERAL]);
    level(&c, fitted[RIGHT_X], fitted[RIGHT_Y], PART_LEFT | PART_FRONT, 0, fitted[SHARE_7],
          form[FORM_HIGH_BACK]);
    level(&c, fitted[RIGHT_X], fitted[RIGHT_Y], PART_LEFT | PART_FRONT, PART_FRONT, fitted[SHARE_8],
          form[FORM_HIGH_FRONT]);
    level(&c, fitted[LEFT_X], fitted[LEFT_Y], PART_LEFT | PART_LATERAL, PART_LEFT | PART_LATERAL,
          fitted[SHARE_2], form[FORM_HIGH_LEFT]);
    caudate(&c, low, extent, form);
    cloud_free(&c);
    /* From mm to the index. */
    for (int k = 0; k < FORMS; k++)
        for (int a = 0; a < 3; a++)
            form[k][a] *= spacing[2 - a];
    return HF_OK;
}
