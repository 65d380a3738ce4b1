/*
 * patches.c - where the patches of a volume lie.
 *
 * Every patch of a batch has its turn: some of the turns ask for a patch around a voxel of the
 * target, the others for one anywhere. A volume without such a voxel gives one anywhere at each
 * turn. A patch never reaches beyond a volume that is as large; a smaller one lies in its middle.
 */
#include <math.h>
#include <stdlib.h>

#include "ops.h"
#include "trainer.h"

int64_t train_foreground_share(const struct trainer *t) {
    return t->o->batch - llround((double)t->o->batch * (1 - t->o->foreground));
}

/* Turns ask for the target evenly: the share of it in any `batch` of them that follow a whole
 * number of batches is the same. */
static bool asks_foreground(const struct trainer *t, int64_t turn) {
    int64_t share = train_foreground_share(t), batch = t->o->batch;
    turn %= batch;
    return (turn + 1) * share / batch > turn * share / batch;
}

/* The slices to draw from: their numbers and how many. */
struct slices {
    int32_t *number;
    int32_t count;
};

static enum hf_status list_slices(const struct trainer *t, const uint8_t *wanted, int64_t depth,
                                  struct slices *ret) {
    ret->number = malloc((size_t)depth * sizeof *ret->number);
    if (!ret->number)
        return hf_fail(t->err, HF_NO_MEMORY, "no memory for the slices of a volume");
    for (int64_t d = 0; d < depth; d++)
        if (!wanted || wanted[d])
            ret->number[ret->count++] = (int32_t)d;
    return HF_OK;
}

/* The first voxel of a patch with `middle` in its middle, as far as the volume allows. */
static int64_t begin_around(int64_t middle, int64_t patch, int64_t size) {
    int64_t start = middle - patch / 2;
    if (patch >= size)
        return -((patch - size) / 2);
    return start < 0 ? 0 : start > size - patch ? size - patch : start;
}

/* A place anywhere; around one of the slices where not all are to be drawn from. */
static void draw_anywhere(const struct trainer *t, const struct slices *slices, const int64_t *size,
                          struct hf_rng *r, int64_t ret[3]) {
    for (int axis = 0; axis < 3; axis++) {
        int64_t room = size[axis] - t->size[axis];
        ret[axis] = room > 0 ? (int64_t)hf_rng_below(r, (uint32_t)room + 1) : -(-room / 2);
    }
    if (slices->count < size[0]) {
        int32_t d = slices->number[hf_rng_below(r, (uint32_t)slices->count)];
        ret[0] = begin_around(d, t->size[0], size[0]);
    }
}

/* One of the slices' voxels of the target: the slice, and its number there. */
static struct train_pick draw_voxel(const struct slices *slices, const float *profile,
                                    int64_t total, struct hf_rng *r) {
    int64_t left = hf_rng_below(r, (uint32_t)total);
    int32_t i = 0;
    while (left >= (int64_t)profile[slices->number[i]])
        left -= (int64_t)profile[slices->number[i++]];
    return (struct train_pick){slices->number[i], (int32_t)left};
}

/* Each draw has a stream of its own, wherever the ones before it came to. */
static struct hf_rng draw_rng(const struct trainer *t, const struct hf_sample *sample,
                              int64_t draw) {
    struct hf_rng r = hf_stage_rng(t->s, sample->id);
    r.draw = (uint64_t)draw << 32;
    return r;
}

/* Finds the voxels that `pick` numbers, and moves the patches of those turns there. */
static enum hf_status move_to_voxels(struct trainer *t, const struct hf_tensor *target,
                                     const struct train_pick_params *pick, int64_t count,
                                     const bool foreground[], int64_t ret_start[][3]) {
    const int64_t *size = target->shape + 1;
    struct hf_op_call call = {
        .in = {target}, .inputs = 1, .params = pick, .params_size = sizeof *pick};
    struct hf_tensor *found = NULL;
    enum hf_status st = train_ask(t, "train.pick", &call, HF_I32, count, &found);
    if (st != HF_OK)
        return st;
    for (int64_t i = 0, n = 0; n < count; i++) {
        if (!foreground[i])
            continue;
        int32_t at = HF_DATA(int32_t, found)[n];
        const int64_t voxel[3] = {pick->draw[n].d, at / size[2], at % size[2]};
        for (int axis = 0; axis < 3; axis++)
            ret_start[i][axis] = begin_around(voxel[axis], t->size[axis], size[axis]);
        n++;
    }
    t->host->tensor_unref(found);
    return HF_OK;
}

/* Puts the patches of the turns that ask for it around voxels of the target, if it has any. */
static enum hf_status draw_foreground(struct trainer *t, const struct hf_sample *sample,
                                      const struct slices *slices, const bool foreground[],
                                      int64_t ret_start[][3]) {
    const struct hf_tensor *target = hf_sample_get(sample, t->o->target);
    struct hf_tensor *profile = NULL;
    struct train_pick_params pick = {0};
    int64_t total = 0, count = 0;
    enum hf_status st = train_read_profile(t, sample, &profile);
    if (st != HF_OK)
        return st;
    const float *voxels = HF_DATA(float, profile);
    for (int32_t i = 0; i < slices->count; i++)
        total += (int64_t)voxels[slices->number[i]];
    for (int64_t i = 0; total > 0 && i < t->o->patches; i++) {
        struct hf_rng r = draw_rng(t, sample, i);
        if (foreground[i])
            pick.draw[count++] = draw_voxel(slices, voxels, total, &r);
    }
    if (count > 0)
        st = move_to_voxels(t, target, &pick, count, foreground, ret_start);
    t->host->tensor_unref(profile);
    return st;
}

enum hf_status train_draw_patches(struct trainer *t, const struct hf_sample *sample,
                                  const uint8_t *wanted, bool validation, int64_t ret_start[][3],
                                  bool ret_foreground[], int64_t *ret_count) {
    const int64_t *size = hf_sample_get(sample, t->o->target)->shape + 1;
    struct slices slices = {0};
    bool any = false;
    enum hf_status st = list_slices(t, wanted, size[0], &slices);
    *ret_count = slices.count > 0 ? t->o->patches : 0;
    for (int64_t i = 0; st == HF_OK && i < *ret_count; i++) {
        struct hf_rng r = draw_rng(t, sample, i);
        ret_foreground[i] = asks_foreground(t, t->drawn[validation]++);
        any = any || ret_foreground[i];
        draw_anywhere(t, &slices, size, &r, ret_start[i]);
    }
    if (st == HF_OK && any)
        st = draw_foreground(t, sample, &slices, ret_foreground, ret_start);
    free(slices.number);
    return st;
}
