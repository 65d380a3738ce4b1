/**
 * memory.c - how much memory a network over a volume takes.
 */
#include <stdbool.h>

#include "adapt.h"
#include "fit.h"

enum hf_status infer_memory(struct hf_stage *s, const struct hf_memory_query *q,
                            const struct infer_options *o, const struct infer_adapt *adapt,
                            const int64_t size[3], struct hf_memory *ret, struct hf_error *e) {
    const struct hf_model *m = s->model;
    const int64_t f32 = sizeof(float);
    int64_t voxels = size[0] * size[1] * size[2];
    struct infer_plan plan;
    if (!m)
        return hf_fail(e, HF_NOT_FOUND, "its model is known when it runs");
    enum hf_status st = infer_fit_volume(o, m, size, &plan, e);
    if (st != HF_OK)
        return st;
    bool learns = infer_adapts(adapt);
    if (learns && adapt->each == INFER_ADAPT_SLICE)
        plan.batch = 1;
    const int64_t *tile = plan.lattice.tile;
    struct hf_exec_spec spec = {
        .mode = HF_EXEC_FORWARD,
        .precision = (enum hf_precision)o->precision,
        .shape = {plan.batch, m->info.input_channels, tile[0], tile[1], tile[2]}};
    struct hf_net net = infer_net(m, adapt);
    int32_t answered = net.layer[net.layers - 1].channels;
    int64_t places = plan.batch * tile[0] * tile[1] * tile[2];
    int64_t batch = places * (m->info.input_channels + answered);
    if (learns) { /* what is to be rebuilt, and its weight */
        st = infer_adapt_spec(m, &spec, e);
        batch += places * (answered + 1);
    }
    if (st != HF_OK)
        return st;
    int64_t sum = m->info.output_channels * voxels, made = infer_channels(&m->info) * voxels;
    ret->work =
        f32 * (sum + (made < sum ? made : 0) + batch + 2 * infer_weights_count(&plan.lattice)) +
        2 * infer_lattice_tiles(&plan.lattice);
    st = hf_net_memory(s, q, &net, &spec, &ret->held, e);
    return st == HF_INVALID ? infer_fail_on_size(m, tile, e) : st;
}
