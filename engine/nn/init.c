/*
 * init.c - the parameters that a training starts from.
 */
#include "model.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "net.h"

/* The gain of the activation that follows layer `index`, looking through norms, gates and scales.
 */
static float gain_after(const struct hf_net *net, int32_t index) {
    for (int32_t i = index + 1; i < net->layers; i++) {
        const struct hf_layer *l = &net->layer[i];
        bool follows = false;
        for (int32_t k = 0; k < l->inputs; k++)
            follows |= l->input[k] == index;
        if (!follows)
            continue;
        if (l->kind == HF_LAYER_NORM || l->kind == HF_LAYER_GATE || l->kind == HF_LAYER_SCALE) {
            index = i;
            continue;
        }
        if (l->kind != HF_LAYER_ACT || (l->act != HF_ACT_RELU && l->act != HF_ACT_LEAKY))
            return 1.0f;
        float slope = l->act == HF_ACT_LEAKY ? l->slope : 0.0f;
        return sqrtf(2.0f / (1.0f + slope * slope));
    }
    return 1.0f;
}

/* Inputs that one output of the convolution sums over. */
static int64_t fan_in(const struct hf_layer *l, const struct hf_param *p) {
    int64_t taps = l->kernel[0] * l->kernel[1] * l->kernel[2];
    return l->kind == HF_LAYER_DECONV ? p->shape[0] : p->shape[1] * taps;
}

enum hf_status hf_net_init_params(const struct hf_net *net, struct hf_rng rng, float *ret_params,
                                  struct hf_error *e) {
    struct hf_param *params = NULL;
    int32_t count = 0;
    int64_t total = 0;
    enum hf_status st = hf_net_params(net, &params, &count, &total, e);
    for (int32_t i = 0; st == HF_OK && i < count; i++) {
        const struct hf_param *p = &params[i];
        const struct hf_layer *l = &net->layer[p->layer];
        float *value = ret_params + p->offset;
        const char *kind = strrchr(p->name, '.');
        float sd = 0.0f;
        if (strcmp(kind, ".weight") == 0)
            sd = gain_after(net, p->layer) / sqrtf((float)fan_in(l, p));
        float constant = strcmp(kind, ".scale") == 0 ? 1.0f : 0.0f;
        uint64_t h = hf_rng_hash(((uint64_t)rng.key[1] << 32) | rng.key[0], p->name);
        struct hf_rng mine = {{(uint32_t)h, (uint32_t)(h >> 32)}, rng.stream, 0, {0}, 0};
        for (int64_t k = 0; k < p->count; k++)
            value[k] = sd > 0.0f ? sd * hf_rng_normal(&mine) : constant;
    }
    free(params);
    return st;
}
