/*
 * most.c - how much memory a compiled network takes, told from above without compiling it.
 *
 * A device keeps the activations that it still needs, in training their gradients too, parameters
 * with what the optimiser knows of each, and scratch. Devices reuse what they no longer need, which
 * this leaves out; weights that a device lays out in its own way, for each pass and with room for
 * Winograd's transform, and scratch of a few of the largest activations are counted.
 */
#include "nn/net.h"

#include <stdbool.h>
#include <stdlib.h>

#define FIXED_BYTES ((size_t)1 << 20)

enum hf_status hf_net_memory_most(const struct hf_net *net, const struct hf_exec_spec *spec,
                                  size_t *ret_bytes, struct hf_error *e) {
    struct hf_param *param = NULL;
    int32_t params = 0;
    int64_t floats = 0, most = 0, weights = 0;
    bool train = spec->mode == HF_EXEC_TRAIN;
    int64_t(*shape)[5] = calloc((size_t)net->layers, sizeof *shape);
    enum hf_status st = shape ? hf_net_shapes(net, spec->shape, shape, e)
                              : hf_fail(e, HF_NO_MEMORY, "network: out of memory");
    if (st == HF_OK)
        st = hf_net_params(net, &param, &params, &weights, e);
    free(param);
    for (int32_t i = 0; st == HF_OK && i < net->layers; i++) {
        int64_t count = 1;
        for (int a = 0; a < 5; a++)
            count *= shape[i][a];
        floats += count;
        most = count > most ? count : most;
    }
    free(shape);
    if (st != HF_OK)
        return st;
    double all = train ? 2.0 * (double)floats + 6.0 * (double)most + 24.0 * (double)weights
                       : (double)floats + 4.0 * (double)most + 8.0 * (double)weights;
    if (all > 2e18)
        return hf_fail(e, HF_INVALID, "network: larger than any memory");
    *ret_bytes = (size_t)all * sizeof(float) + FIXED_BYTES;
    return HF_OK;
}
