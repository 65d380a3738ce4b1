/**
 * graph.c - what devices ask of a lowered network, and the checks of what they are handed.
 */
#include "graph.h"

#include <string.h>

const struct hf_param *graph_param(const struct graph *g, int32_t layer, int32_t k) {
    int32_t p = g->first_param[layer] + k;
    if (g->first_param[layer] < 0 || p >= g->params || g->param[p].layer != layer)
        return NULL;
    return &g->param[p];
}

size_t graph_offset(const struct graph *g, const struct slot *s) {
    return g->block[s->block].offset + (size_t)s->offset * g->target.element;
}

int graph_is_head(const struct graph *g, int32_t layer) {
    return g->spec.mode == HF_EXEC_TRAIN && g->net->layer[layer].supervise > 0;
}

const int64_t *graph_output(const struct graph *g) {
    return g->value[g->net->layers - 1].shape;
}

enum hf_status graph_check_tensor(const char *verb, const char *what, const struct hf_tensor *t,
                                  const int64_t shape[5], struct hf_error *e) {
    if (!t)
        return hf_fail(e, HF_INVALID, "network %s: no %s tensor", verb, what);
    if (t->dtype != HF_F32)
        return hf_fail(e, HF_INVALID, "network %s: the %s is %s; expected f32", verb, what,
                       hf_dtype_name(t->dtype));
    if (t->dl.ndim == 5 && memcmp(t->shape, shape, 5 * sizeof *shape) == 0)
        return HF_OK;
    return hf_fail(e, HF_INVALID,
                   "network %s: the %s has %d axes and begins [%lld,%lld,...]; expected "
                   "[%lld,%lld,%lld,%lld,%lld], which the network was compiled for",
                   verb, what, (int)t->dl.ndim, (long long)t->shape[0], (long long)t->shape[1],
                   (long long)shape[0], (long long)shape[1], (long long)shape[2],
                   (long long)shape[3], (long long)shape[4]);
}

enum hf_status graph_check_train(const struct graph *g, const char *verb,
                                 const struct hf_tensor *input, const struct hf_tensor *target,
                                 const struct hf_tensor *weight, const struct hf_tensor *loss,
                                 struct hf_error *e) {
    if (g->spec.mode != HF_EXEC_TRAIN)
        return hf_fail(e, HF_INVALID, "network %s: it was compiled for forward only", verb);
    const int64_t *out = graph_output(g);
    int64_t weights[5] = {out[0], 1, out[2], out[3], out[4]};
    enum hf_status s = graph_check_tensor(verb, "input", input, g->spec.shape, e);
    if (s == HF_OK)
        s = graph_check_tensor(verb, "target", target, out, e);
    if (s == HF_OK && weight)
        s = graph_check_tensor(verb, "weight", weight, weights, e);
    if (s != HF_OK)
        return s;
    if (!loss || loss->dtype != HF_F32 || hf_tensor_count(loss) != 1 + g->spec.loss_terms)
        return hf_fail(e, HF_INVALID, "network %s: the loss tensor must be f32 [%d]", verb,
                       1 + (int)g->spec.loss_terms);
    return HF_OK;
}
