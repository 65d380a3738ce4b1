/**
 * fit.c - which tiles and mirrorings a model takes, told before anything runs where the graph says
 * enough.
 */
#include "fit.h"

static const char axis_names[3] = "dhw";

/* The mirrored axes as a mask of enum infer_flip. */
static int32_t mirrored(const struct infer_options *o) {
    int32_t flips = 0;
    for (int32_t i = 0; i < o->mirror.count; i++)
        for (int a = 0; a < 3; a++)
            if (o->mirror.name[i][0] == axis_names[a])
                flips |= 4 >> a;
    return flips;
}

static enum hf_status check_options(const struct infer_options *o, const struct hf_model_info *m,
                                    int32_t dims, struct hf_error *e) {
    for (int32_t i = 0; i < o->tile.count; i++)
        if (o->tile.value[i] != floor(o->tile.value[i]))
            return hf_fail(e, HF_INVALID, "option 'tile' must be whole numbers, not %g",
                           o->tile.value[i]);
    if (dims != 2 && dims != 3)
        return HF_OK;
    if (o->tile.count > 1 && o->tile.count != dims)
        return hf_fail(e, HF_INVALID,
                       "option 'tile' has %d numbers, but the model of '%s' is %d-dimensional; "
                       "expected %s, or one for all",
                       o->tile.count, m->stage, dims, dims == 2 ? "two: H, W" : "three: D, H, W");
    if (dims == 2 && mirrored(o) & INFER_FLIP_D)
        return hf_fail(e, HF_INVALID,
                       "option 'mirror' names d, but the model of '%s' is 2-dimensional: it sees "
                       "no depth to mirror; expected w and h alone",
                       m->stage);
    if (dims == 3 && o->tile.count == 0 && m->patch[0] < 1)
        return hf_fail(e, HF_INVALID,
                       "the model of '%s' does not tell the size that it was trained on; option "
                       "'tile' must",
                       m->stage);
    return HF_OK;
}

enum hf_status infer_fit(const struct infer_options *o, const struct hf_model_info *m, int32_t dims,
                         const int64_t size[3], int64_t ret_tile[3], struct hf_error *e) {
    enum hf_status st = check_options(o, m, dims, e);
    if (st != HF_OK)
        return st;
    memcpy(ret_tile, (int64_t[]){dims == 2 ? 1 : -1, size[1], size[2]}, 3 * sizeof *ret_tile);
    if (dims == 3 && o->tile.count == 0)
        memcpy(ret_tile, m->patch, sizeof m->patch);
    for (int a = 3 - dims; a < 3 && o->tile.count > 0 && dims > 0; a++)
        ret_tile[a] = (int64_t)o->tile.value[o->tile.count == 1 ? 0 : a - (3 - dims)];
    return HF_OK;
}

enum hf_status infer_fail_on_size(const struct hf_model *m, const int64_t size[3],
                                  struct hf_error *e) {
    if (m->net->dims == 2)
        return hf_fail_in(e, "model of '%s' on slices of %lld x %lld (option 'tile' sets the size)",
                          m->info.stage, (long long)size[1], (long long)size[2]);
    return hf_fail_in(e, "model of '%s' on tiles of %lld x %lld x %lld (option 'tile')",
                      m->info.stage, (long long)size[0], (long long)size[1], (long long)size[2]);
}

enum hf_status infer_fit_volume(const struct infer_options *o, const struct hf_model *model,
                                const int64_t size[3], struct infer_plan *ret, struct hf_error *e) {
    int32_t dims = model->net->dims;
    int64_t tile[3];
    enum hf_status st = infer_fit(o, &model->info, dims, size, tile, e);
    if (st != HF_OK)
        return st;
    *ret = (struct infer_plan){.lattice = infer_lattice_make(size, tile, o->overlap),
                               .batch = o->batch > 0 ? o->batch
                                        : dims == 3  ? 1
                                                     : 8,
                               .flips = mirrored(o)};
    for (int a = 0; a < 3; a++)
        if (ret->lattice.count[a] > INT32_MAX)
            return hf_fail(e, HF_INVALID, "the volume has too many tiles along an axis");
    return HF_OK;
}
