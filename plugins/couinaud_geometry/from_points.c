/**
 * from_points.c - planes through seven landmarks.
 */
#include <math.h>

#include "planes.h"

const char *const planes_point_name[POINTS] = {"ivc_superior",  "ivc_inferior", "hepatic_middle",
                                               "hepatic_right", "hepatic_left", "portal_right",
                                               "portal_left"};

static void cross(const double a[3], const double b[3], double ret[3]) {
    for (int i = 0; i < 3; i++)
        ret[i] = a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3];
}

static double dot(const double a[3], const double b[3]) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** The form scale * normal . (world - through), of the grid's index. */
static void form_of(const double normal[3], const double through[3], double scale,
                    const struct hf_grid *g, double ret[4]) {
    for (int c = 0; c < 4; c++) {
        ret[c] = c == 3 ? -dot(normal, through) : 0;
        for (int r = 0; r < 3; r++)
            ret[c] += normal[r] * g->affine[r][c];
        ret[c] *= scale;
    }
}

enum hf_status planes_from_points(const double point[POINTS][3], double caudate,
                                  const struct hf_grid *grid, struct cut_params *ret,
                                  struct hf_error *e) {
    static const int plane[3] = {FORM_LEFT, FORM_FRONT, FORM_LATERAL};
    static const double up[3] = {0, 0, 1}, behind[3] = {0, -1, 0};
    const double *bottom = point[POINT_IVC_INFERIOR];
    double axis[3], to[3], normal[3], side[3], middle[3];
    for (int i = 0; i < 3; i++) {
        axis[i] = point[POINT_IVC_SUPERIOR][i] - bottom[i];
        middle[i] = 0.5 * (point[POINT_PORTAL_RIGHT][i] + point[POINT_PORTAL_LEFT][i]);
    }
    double length = sqrt(dot(axis, axis));
    if (!(axis[2] > 0))
        return hf_fail(e, HF_INVALID,
                       "landmark ivc_superior (z %g) is not above ivc_inferior (z %g)",
                       point[POINT_IVC_SUPERIOR][2], bottom[2]);
    for (int i = 0; i < 3; i++)
        axis[i] /= length;
    /* The normals point to the left when one looks from the vena cava along the vein. */
    for (int v = 0; v < 3; v++) {
        for (int i = 0; i < 3; i++)
            to[i] = point[POINT_HEPATIC_MIDDLE + v][i] - bottom[i];
        cross(axis, to, normal);
        if (dot(normal, normal) < 1)
            return hf_fail(e, HF_INVALID,
                           "landmark %s lies on the vena cava's axis: no plane goes through both",
                           planes_point_name[POINT_HEPATIC_MIDDLE + v]);
        form_of(normal, bottom, 1 / sqrt(dot(normal, normal)), grid, ret->form[plane[v]]);
        if (v == 0)
            memcpy(side, normal, sizeof side);
    }
    form_of(up, point[POINT_PORTAL_RIGHT], 1, grid, ret->form[FORM_HIGH_BACK]);
    form_of(up, point[POINT_PORTAL_RIGHT], 1, grid, ret->form[FORM_HIGH_FRONT]);
    form_of(up, point[POINT_PORTAL_LEFT], 1, grid, ret->form[FORM_HIGH_LEFT]);
    /* The cylinder around the axis: two directions across it, and none along. */
    cross(axis, side, to);
    double across[2] = {sqrt(dot(side, side)), sqrt(dot(to, to))};
    form_of(side, bottom, 1 / (across[0] * caudate), grid, ret->form[FORM_CAUDATE]);
    form_of(to, bottom, 1 / (across[1] * caudate), grid, ret->form[FORM_CAUDATE + 1]);
    memset(ret->form[FORM_CAUDATE + 2], 0, sizeof ret->form[0]);
    form_of(behind, middle, 1, grid, ret->form[FORM_CAUDATE_BEHIND]);
    memcpy(ret->form[FORM_CAUDATE_SIDE], ret->form[FORM_LEFT], sizeof ret->form[0]);
    return HF_OK;
}
