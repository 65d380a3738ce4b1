/**
 * space.c - what `augment` does in space: one transform a volume, about its middle and in mm, so
 * that voxels of unequal sides are turned and not sheared.
 */
#include <math.h>

#include "augment.h"
#include "ops.h"

/* Points of a control grid along an axis, at most. */
#define MOST_POINTS 256

/* The sides of a voxel in mm, W, H, D. */
static void spacing_of(const struct hf_grid *g, double ret[3]) {
    for (int c = 0; c < 3; c++) {
        double sum = 0;
        for (int r = 0; r < 3; r++)
            sum += g->affine[r][c] * g->affine[r][c];
        ret[c] = sqrt(sum);
    }
}

static void multiply(const double a[3][3], const double b[3][3], double ret[3][3]) {
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++)
            ret[r][c] = a[r][0] * b[0][c] + a[r][1] * b[1][c] + a[r][2] * b[2][c];
}

/* A turn by `degrees` in the plane of axes `u` and `v`. */
static void turn(double degrees, int u, int v, double ret[3][3]) {
    double angle = degrees * 3.14159265358979323846 / 180;
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++)
            ret[r][c] = r == c;
    ret[u][u] = ret[v][v] = cos(angle);
    ret[u][v] = -sin(angle);
    ret[v][u] = sin(angle);
}

/* Maps the index of the new grid to that of the old one. */
static void make_matrix(const struct augment_options *o, const struct hf_grid *g,
                        struct augment_draw *d, double m[3][4]) {
    const int flips[3] = {d->on[AUGMENT_MIRROR_W], d->on[AUGMENT_MIRROR_H],
                          d->on[AUGMENT_MIRROR_D]};
    double spacing[3], middle[3], turned[3][3], tilted[3][3], both[3][3], about[3][3];
    spacing_of(g, spacing);
    turn(d->on[AUGMENT_ROTATE] ? d->angle : 0, 0, 1, turned);
    if (d->on[AUGMENT_ROTATE] && o->dims == 3) {
        struct hf_rng *rng = &d->stream[AUGMENT_ROTATE];
        turn(augment_uniform(rng, augment_turns(o)), 1, 2, both);
        turn(augment_uniform(rng, augment_turns(o)), 2, 0, about);
        multiply(both, about, tilted);
        memcpy(both, turned, sizeof both);
        multiply(both, tilted, turned);
    }
    double scale = d->on[AUGMENT_SCALE] ? 1 / d->scale : 1;
    for (int a = 0; a < 3; a++)
        middle[a] = (double)(g->size[2 - a] - 1) / 2;
    for (int r = 0; r < 3; r++) {
        m[r][3] = middle[r];
        for (int c = 0; c < 3; c++) {
            double size = c < o->dims ? scale : 1;
            m[r][c] = (flips[c] ? -size : size) * turned[r][c] * (spacing[c] / spacing[r]);
            m[r][3] -= m[r][c] * middle[c];
        }
    }
}

static void compose_affine(double affine[3][4], const double m[3][4]) {
    double old[3][4];
    memcpy(old, affine, sizeof old);
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            affine[r][c] = c == 3 ? old[r][3] : 0;
            for (int k = 0; k < 3; k++)
                affine[r][c] += old[r][k] * m[k][c];
        }
    }
}

/*
 * Random displacements of a grid of control points. A volume folds nowhere where no control point
 * moves by more than about 0.4 of their distance (Choi and Lee, Comput. Graph. Forum 2000).
 */
static enum hf_status make_control(struct hf_stage *s, const struct hf_grid *g,
                                   struct augment_draw *d, struct augment_warp_params *p,
                                   struct hf_tensor **ret, struct hf_error *e) {
    const struct augment_options *o = s->options;
    struct hf_rng *rng = &d->stream[AUGMENT_ELASTIC];
    double sd = augment_uniform(rng, &o->elastic), spacing[3], most = 0.4 * o->elastic_spacing;
    spacing_of(g, spacing);
    for (int a = 0; a < 3; a++) {
        double length = (double)g->size[2 - a];
        p->step[a] = fmax(o->elastic_spacing / spacing[a], length / (MOST_POINTS - 4));
        p->count[a] = a < o->dims ? (int64_t)((length - 1) / p->step[a]) + 4 : 1;
    }
    const int64_t shape[4] = {3, p->count[2], p->count[1], p->count[0]};
    int64_t points = shape[1] * shape[2] * shape[3];
    struct hf_tensor *made = NULL;
    enum hf_status st = hf_tensor_new_host(s, HF_F32, 4, shape, &made, e);
    if (st != HF_OK)
        return st;
    float *moved = HF_DATA(float, made);
    for (int64_t i = 0; i < points; i++) {
        for (int a = 0; a < 3; a++) {
            double mm = a < o->dims ? sd * (double)hf_rng_normal(rng) : 0;
            moved[a * points + i] = (float)(fmax(-most, fmin(most, mm)) / spacing[a]);
        }
    }
    st = s->host->tensor_to(s->host, made, s->device, s->queue, ret, e);
    s->host->tensor_unref(made);
    return st;
}

static enum hf_status transform_field(struct hf_stage *s, struct hf_sample *sample,
                                      const struct hf_field *f,
                                      const struct augment_warp_params *warp,
                                      struct hf_tensor *control, struct hf_error *e) {
    struct hf_resample_params affine = {.mode = f->tensor->dtype == HF_F32 ? HF_RESAMPLE_LINEAR
                                                                           : HF_RESAMPLE_NEAREST};
    memcpy(affine.matrix, warp->matrix, sizeof affine.matrix);
    struct hf_tensor *out = NULL;
    enum hf_status st =
        control
            ? augment_step(s, "augment.warp", f->tensor,
                           (struct hf_tensor *const[]){f->tensor, control, NULL}, warp,
                           sizeof *warp, &out, e)
            : augment_step(s, "resample", f->tensor, (struct hf_tensor *const[]){f->tensor, NULL},
                           &affine, sizeof affine, &out, e);
    return st == HF_OK ? hf_sample_set(s, sample, f->name, out, e) : st;
}

static int is_moved(const struct augment_options *o, const char *field) {
    int moved = o->fields.count == 0;
    for (int32_t i = 0; i < o->fields.count; i++)
        moved = moved || strcmp(o->fields.name[i], field) == 0;
    return moved;
}

enum hf_status augment_space(struct hf_stage *s, const struct hf_sample *in, struct augment_draw *d,
                             struct hf_sample *out, struct hf_error *e) {
    const struct augment_options *o = s->options;
    struct augment_warp_params warp = {.fill = 0};
    struct hf_tensor *control = NULL;
    enum hf_status st = HF_OK;
    if (!augment_any(d, AUGMENT_ROTATE, AUGMENT_ELASTIC))
        return HF_OK;
    make_matrix(o, &in->grid, d, warp.matrix);
    if (d->on[AUGMENT_ELASTIC])
        st = make_control(s, &in->grid, d, &warp, &control, e);
    for (int32_t i = 0; st == HF_OK && i < in->fields; i++)
        if (in->field[i].place == HF_ON_GRID && is_moved(o, in->field[i].name))
            st = transform_field(s, out, &in->field[i], &warp, control, e);
    s->host->tensor_unref(control);
    if (st == HF_OK && o->fields.count == 0)
        compose_affine(out->grid.affine, warp.matrix);
    return st;
}
