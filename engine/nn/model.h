/**
 * model.h - trained networks: initial parameters, the value on an edge, and its safetensors form.
 *
 * A checkpoint is a safetensors file (8 bytes little-endian header length, a JSON header, the
 * float32 data): PyTorch's and others' readers open it. Its `__metadata__` holds strings:
 * "hepaflow.network" (the description), "hepaflow.model" (what hf_model_info says) and
 * "hepaflow.notes" (what `train` adds), each JSON.
 */
#ifndef HEPAFLOW_NN_MODEL_H
#define HEPAFLOW_NN_MODEL_H

#include <hepaflow/plugin.h>

/**
 * Kaiming-normal weights (He et al., ICCV 2015; fan-in): sd = gain / sqrt(fan_in), where gain =
 * sqrt(2 / (1 + slope^2)) of the activation that follows (through norm and gate), 1 where none
 * does. Biases and shifts 0, scales 1. Every parameter draws from its own stream of `rng`, so
 * adding a layer changes no other.
 */
enum hf_status hf_net_init_params(const struct hf_net *net, struct hf_rng rng, float *ret_params,
                                  struct hf_error *e);

/** A model with one reference, of copies of everything. */
enum hf_status hf_model_new(const struct hf_model_info *info, const struct hf_net *net,
                            const float *params, struct hf_model **ret, struct hf_error *e);
void hf_model_ref(const struct hf_model *m);
void hf_model_unref(const struct hf_model *m);

/** The safetensors file of a model; `notes` is JSON (NULL: none). Free `*ret` with free(). */
enum hf_status hf_model_write(const struct hf_model *m, const char *notes, void **ret,
                              size_t *ret_size, struct hf_error *e);
/** The model in a safetensors file that hf_model_write made; `name` is for messages. */
enum hf_status hf_model_read(const void *bytes, size_t size, const char *name,
                             struct hf_model **ret, struct hf_error *e);

#endif
