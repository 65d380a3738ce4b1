/**
 * shapes.c - the shapes that leave the layers of a network, and the sizes of volumes that it takes.
 *
 * Layers treat each axis for itself, so whether a size fits is a matter of one axis at a time, and
 * the nearest ones that do are found by trying.
 */
#include "net.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EXTENT ((int64_t)1 << 20)
#define MAX_COUNT  ((int64_t)1 << 40) /* no product of five sizes overflows below it */
#define FAR        4096               /* beyond, no size is near */

static bool border_too_wide(const struct hf_layer *l, int axis, int64_t in, int64_t *ret_low,
                            int64_t *ret_high) {
    hf_layer_conv_pad(l, axis, in, ret_low, ret_high);
    return l->pad == HF_PAD_REFLECT && (*ret_low >= in || *ret_high >= in);
}

/* What leaves the layer along the axis; 0: it does not take what enters. */
static int64_t layer_size(const struct hf_layer *l, int axis, int64_t (*shape)[5]) {
    int64_t in = shape[l->input[0]][2 + axis], low, high;
    switch (l->kind) {
    case HF_LAYER_CONV:
    case HF_LAYER_WINDOW:
        return border_too_wide(l, axis, in, &low, &high) ? 0 : hf_layer_conv_size(l, axis, in);
    case HF_LAYER_POOL:
        return in % l->stride[axis] ? 0 : in / l->stride[axis];
    case HF_LAYER_DECONV:
    case HF_LAYER_UP:
        return in * l->stride[axis];
    default:
        for (int32_t i = 1; i < l->inputs; i++)
            if (shape[l->input[i]][2 + axis] != in)
                return 0;
        return in;
    }
}

/* The sizes along the axis into `shape`; the first layer that does not take what enters it, or that
 * is too large, or -1. */
static int32_t sizes_along(const struct hf_net *net, int axis, int64_t in, int64_t (*shape)[5]) {
    for (int32_t i = 0; i < net->layers; i++) {
        int64_t size = i ? layer_size(&net->layer[i], axis, shape) : in;
        shape[i][2 + axis] = size;
        if (size < 1 || size > MAX_EXTENT)
            return i;
    }
    return -1;
}

/* Target and weight of a supervised layer are made by taking one voxel of each block: the first
 * layer of which the blocks are not alike, or -1. */
static int32_t uneven_head(const struct hf_net *net, int axis, int64_t (*shape)[5]) {
    int64_t out = shape[net->layers - 1][2 + axis];
    for (int32_t i = 0; i < net->layers; i++)
        if (net->layer[i].supervise > 0 &&
            (shape[i][2 + axis] > out || out % shape[i][2 + axis] != 0))
            return i;
    return -1;
}

static bool fits_along(const struct hf_net *net, int axis, int64_t in, int64_t (*shape)[5]) {
    return sizes_along(net, axis, in, shape) < 0 && uneven_head(net, axis, shape) < 0;
}

/* ---- saying so ---- */

/* "; along H, 240 and 256 fit": the nearest sizes that do. */
static void say_nearest(const struct hf_net *net, const int64_t size[3], int64_t (*shape)[5],
                        struct hf_error *e) {
    for (int a = 0; a < 3; a++) {
        int64_t below = 0, above = 0;
        if (size[a] < 1 || fits_along(net, a, size[a], shape))
            continue;
        for (int64_t d = 1; d <= FAR && (!below || !above); d++) {
            if (!below && size[a] > d && fits_along(net, a, size[a] - d, shape))
                below = size[a] - d;
            if (!above && fits_along(net, a, size[a] + d, shape))
                above = size[a] + d;
        }
        size_t n = strlen(e->text), room = sizeof e->text - n;
        if (below && above)
            (void)snprintf(e->text + n, room, "; along %c, %lld and %lld fit", "DHW"[a],
                           (long long)below, (long long)above);
        else if (below || above)
            (void)snprintf(e->text + n, room, "; along %c, %lld fits", "DHW"[a],
                           (long long)(below ? below : above));
    }
}

/* Why the layer does not take what enters it. */
static enum hf_status refuse_layer(const struct hf_net *net, int32_t index, int axis,
                                   int64_t (*shape)[5], struct hf_error *e) {
    const struct hf_layer *l = &net->layer[index];
    int64_t in = shape[l->input[0]][2 + axis], low, high;
    char along = "DHW"[axis];
    if (shape[index][2 + axis] != 0)
        return hf_fail(e, HF_INVALID,
                       "network layer \"%s\" has %lld voxels along %c: empty or too large", l->name,
                       (long long)shape[index][2 + axis], along);
    if (l->kind == HF_LAYER_POOL)
        return hf_fail(e, HF_INVALID,
                       "network layer \"%s\": its input has %lld voxels along %c, which its stride "
                       "%d does not divide",
                       l->name, (long long)in, along, (int)l->stride[axis]);
    if ((l->kind == HF_LAYER_CONV || l->kind == HF_LAYER_WINDOW) &&
        border_too_wide(l, axis, in, &low, &high))
        return hf_fail(e, HF_INVALID,
                       "network layer \"%s\": its reflected border of %lld and %lld voxels is as "
                       "wide as its input, %lld voxels along %c",
                       l->name, (long long)low, (long long)high, (long long)in, along);
    for (int32_t i = 1; i < l->inputs; i++) {
        int64_t other = shape[l->input[i]][2 + axis];
        if (other != in)
            return hf_fail(e, HF_INVALID,
                           "network layer \"%s\": \"%s\" has %lld voxels along %c but \"%s\" has "
                           "%lld; expected one size",
                           l->name, net->layer[l->input[0]].name, (long long)in, along,
                           net->layer[l->input[i]].name, (long long)other);
    }
    return hf_fail(e, HF_INVALID, "network layer \"%s\" is empty along %c", l->name, along);
}

static enum hf_status refuse_head(const struct hf_net *net, int32_t index, int axis,
                                  int64_t (*shape)[5], struct hf_error *e) {
    return hf_fail(e, HF_INVALID,
                   "network layer \"%s\" is supervised and has %lld voxels along %c; expected a "
                   "number that divides the output's %lld",
                   net->layer[index].name, (long long)shape[index][2 + axis], "DHW"[axis],
                   (long long)shape[net->layers - 1][2 + axis]);
}

/* Along all axes that are known. */
static enum hf_status sizes(const struct hf_net *net, const int64_t size[3], bool heads,
                            int64_t (*shape)[5], struct hf_error *e) {
    struct hf_error unasked;
    e = e ? e : &unasked;
    for (int a = 0; a < 3; a++) {
        enum hf_status st = HF_OK;
        if (size[a] < 0)
            continue;
        int32_t bad = sizes_along(net, a, size[a], shape);
        if (bad >= 0)
            st = refuse_layer(net, bad, a, shape, e);
        else if (heads && (bad = uneven_head(net, a, shape)) >= 0)
            st = refuse_head(net, bad, a, shape, e);
        if (st == HF_OK)
            continue;
        say_nearest(net, size, shape, e);
        return st;
    }
    return HF_OK;
}

/* ---- asking ---- */

enum hf_status hf_net_shapes(const struct hf_net *net, const int64_t input[5], int64_t (*ret)[5],
                             struct hf_error *e) {
    if (input[1] != net->layer[0].channels || (net->dims == 2 && input[2] != 1))
        return hf_fail(
            e, HF_INVALID, "network input is [%lld,%lld,%lld,%lld,%lld]; expected %d channels%s",
            (long long)input[0], (long long)input[1], (long long)input[2], (long long)input[3],
            (long long)input[4], (int)net->layer[0].channels, net->dims == 2 ? " and D = 1" : "");
    for (int a = 2; a < 5; a++)
        if (input[a] < 0)
            return hf_fail(e, HF_INVALID, "network input has %lld voxels along %c",
                           (long long)input[a], "DHW"[a - 2]);
    enum hf_status st = sizes(net, input + 2, false, ret, e);
    for (int32_t i = 0; st == HF_OK && i < net->layers; i++) {
        int64_t count = 1;
        ret[i][0] = input[0];
        ret[i][1] = net->layer[i].channels;
        for (int a = 0; a < 5; a++) {
            if (ret[i][a] < 1 || ret[i][a] > MAX_EXTENT || count > MAX_COUNT / ret[i][a])
                return hf_fail(e, HF_INVALID,
                               "network layer \"%s\" is [%lld,%lld,%lld,%lld,%lld]: empty or too "
                               "large",
                               net->layer[i].name, (long long)ret[i][0], (long long)ret[i][1],
                               (long long)ret[i][2], (long long)ret[i][3], (long long)ret[i][4]);
            count *= ret[i][a];
        }
    }
    return st;
}

enum hf_status hf_net_fit(const struct hf_net *net, enum hf_exec_mode mode, const int64_t size[3],
                          struct hf_error *e) {
    if (net->dims == 2 && size[0] >= 0 && size[0] != 1)
        return hf_fail(e, HF_INVALID, "the network is 2D; expected D = 1, not %lld",
                       (long long)size[0]);
    int64_t(*shape)[5] = malloc((size_t)net->layers * sizeof *shape);
    if (!shape)
        return hf_fail(e, HF_NO_MEMORY, "network: out of memory");
    enum hf_status st = sizes(net, size, mode == HF_EXEC_TRAIN, shape, e);
    free(shape);
    return st;
}
