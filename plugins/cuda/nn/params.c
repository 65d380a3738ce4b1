/**
 * params.c - parameters between host memory, in the order of network.h, and the GPU, in its own.
 *
 * Convolutions read their weights channels-last as well: [Co,Ci,K] becomes [Co,K,Ci]; a transposed
 * convolution runs as one of kernel 1 to every tap's channels, so [Ci,Co,K] becomes [K,Co,Ci].
 */
#include "net.h"

#include <stdlib.h>

/** A parameter [a][b][k] of the host, and how far apart its elements stand on the GPU. */
struct order {
    int64_t a, b, k;
    int64_t step_a, step_b, step_k;
};

static struct order order_of(const struct graph *g, const struct hf_param *p) {
    enum hf_layer_kind kind = g->net->layer[p->layer].kind;
    struct order o = {1, 1, p->count, 0, 0, 1};
    if (p->ndim < 2 || (kind != HF_LAYER_CONV && kind != HF_LAYER_DECONV))
        return o;
    o.a = p->shape[0];
    o.b = p->shape[1];
    o.k = p->count / (o.a * o.b);
    if (kind == HF_LAYER_CONV) {
        o.step_a = o.k * o.b;
        o.step_b = 1;
        o.step_k = o.b;
    } else {
        o.step_a = 1;
        o.step_b = o.a;
        o.step_k = o.b * o.a;
    }
    return o;
}

/** From the host's order to the GPU's, or back. */
static void reorder(const struct cuda_net *n, float *to, const float *from, int to_gpu) {
    const struct graph *g = &n->graph;
    for (int32_t p = 0; p < g->params; p++) {
        struct order o = order_of(g, &g->param[p]);
        int64_t host = g->param[p].offset, place = n->store.place[p];
        for (int64_t a = 0; a < o.a; a++)
            for (int64_t b = 0; b < o.b; b++)
                for (int64_t k = 0; k < o.k; k++, host++) {
                    int64_t gpu = place + a * o.step_a + b * o.step_b + k * o.step_k;
                    to[to_gpu ? gpu : host] = from[to_gpu ? host : gpu];
                }
    }
}

enum hf_status net_put(struct cuda_net *n, const float *params, struct hf_error *e) {
    size_t floats = (size_t)n->store.floats;
    float *mine = calloc(floats, sizeof *mine);
    if (!mine)
        return hf_fail(e, HF_NO_MEMORY, "network: out of memory");
    reorder(n, mine, params, 1);
    enum hf_status st = cuda_check(cudaMemcpyAsync(n->store.param, mine, floats * sizeof *mine,
                                                   cudaMemcpyHostToDevice, n->work),
                                   "copying parameters", e);
    if (st == HF_OK && n->store.copy)
        st = ck_cast_to_bf16(n->store.param, n->store.copy, n->store.floats, n->work, e);
    if (st == HF_OK && n->store.average)
        st = cuda_check(cudaMemcpyAsync(n->store.average, n->store.param, floats * sizeof *mine,
                                        cudaMemcpyDeviceToDevice, n->work),
                        "copying parameters", e);
    if (st == HF_OK && n->store.average)
        st = cuda_check(
            cudaMemsetAsync(&n->store.done->averaged, 0, sizeof n->store.done->averaged, n->work),
            "starting an average", e);
    cudaError_t done = cudaStreamSynchronize(n->work); /* also after a failure: it reads `mine` */
    free(mine);
    return st == HF_OK ? cuda_check(done, "copying parameters", e) : st;
}

enum hf_status net_get(struct cuda_net *n, const float *from, float *params, struct hf_error *e) {
    size_t floats = (size_t)n->store.floats;
    float *mine = malloc(floats * sizeof *mine);
    if (!mine)
        return hf_fail(e, HF_NO_MEMORY, "network: out of memory");
    enum hf_status st = cuda_check(
        cudaMemcpyAsync(mine, from, floats * sizeof *mine, cudaMemcpyDeviceToHost, n->work),
        "copying parameters", e);
    cudaError_t done = cudaStreamSynchronize(n->work);
    if (st == HF_OK)
        st = cuda_check(done, "copying parameters", e);
    if (st == HF_OK)
        reorder(n, params, mine, 0);
    free(mine);
    return st;
}
