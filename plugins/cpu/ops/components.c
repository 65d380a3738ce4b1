/**
 * components.c - "components": labels of connected voxels, numbered in scan order.
 *
 * Union-find in the output itself. The first scan leaves in each set voxel the index, plus one, of
 * a parent that never comes later; the second replaces it by a fresh number at roots and by the
 * parent's number, already final, elsewhere.
 */
#include "../../ops/check.h"
#include "../../ops/components_elem.h"
#include "ops.h"

static int32_t find_root(int32_t *parent, int32_t v) {
    while (parent[v] - 1 != v) {
        parent[v] = parent[parent[v] - 1];
        v = parent[v] - 1;
    }
    return v;
}

static void unite(int32_t *parent, int32_t a, int32_t b) {
    int32_t ra = find_root(parent, a), rb = find_root(parent, b);
    if (ra < rb)
        parent[rb] = ra + 1;
    else
        parent[ra] = rb + 1;
}

static void link_voxels(const uint8_t *mask, int32_t *parent, const int64_t size[3],
                        int32_t connectivity) {
    int32_t step[13][3], offset[13];
    int steps = 0;
    for (int k = 0; k < 13; k++)
        if (components_neighbour(k, connectivity, step[steps])) {
            offset[steps] =
                (int32_t)((step[steps][0] * size[1] + step[steps][1]) * size[2] + step[steps][2]);
            steps++;
        }
    int32_t v = 0;
    for (int64_t d = 0; d < size[0]; d++)
        for (int64_t h = 0; h < size[1]; h++)
            for (int64_t w = 0; w < size[2]; w++, v++) {
                if (!mask[v]) {
                    parent[v] = 0;
                    continue;
                }
                parent[v] = v + 1;
                for (int k = 0; k < steps; k++) {
                    int64_t nd = d + step[k][0], nh = h + step[k][1], nw = w + step[k][2];
                    if (nd >= 0 && nh >= 0 && nh < size[1] && nw >= 0 && nw < size[2] &&
                        mask[v + offset[k]])
                        unite(parent, v, v + offset[k]);
                }
            }
}

static enum hf_status launch(const struct hf_op_call *call, void *scratch, void *stream,
                             struct hf_error *e) {
    (void)scratch;
    (void)stream;
    const struct hf_components_params *params = call->params;
    enum hf_status st = components_check(call, e);
    if (st != HF_OK)
        return st;
    const struct hf_tensor *mask = call->in[0];
    int64_t n = hf_tensor_count(mask);
    int32_t *label = HF_DATA(int32_t, call->out[0]), count = 0;
    link_voxels(HF_DATA(uint8_t, mask), label, mask->shape + 1, params->connectivity);
    for (int32_t v = 0; v < (int32_t)n; v++)
        if (label[v] != 0)
            label[v] = label[v] - 1 == v ? ++count : label[label[v] - 1];
    HF_DATA(int32_t, call->out[1])[0] = count;
    return HF_OK;
}

const struct hf_op cpu_op_components = {"components", HF_KIND_CPU, launch, NULL};
