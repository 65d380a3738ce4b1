/**
 * net.h - network descriptions: building, checking, shapes and parameters.
 *
 * Shared by the engine, the devices and the tests. A description is built with hf_net_init and
 * hf_net_add (or the helpers below, which fill a layer in), checked as a whole with hf_net_check,
 * and read through hf_net_shapes and hf_net_params.
 */
#ifndef HEPAFLOW_NN_NET_H
#define HEPAFLOW_NN_NET_H

#include <hepaflow/network.h>

#define HF_NET_MAX_LAYERS   4096
#define HF_NET_MAX_CHANNELS 65536

/** An empty network of `dims` axes whose INPUT layer "input" has `channels` channels. */
enum hf_status hf_net_init(struct hf_net *net, int32_t dims, int32_t channels, struct hf_error *e);
/** Frees what the network owns; `net` itself is the caller's. */
void hf_net_clear(struct hf_net *net);
/** A copy that owns its layers. */
enum hf_status hf_net_copy(struct hf_net *ret, const struct hf_net *net, struct hf_error *e);

/**
 * Appends a layer, checked against the layers before it. Zero entries of kernel, stride and
 * dilation become 1; `channels` 0 is filled in where the inputs fix it (all but CONV, DECONV).
 */
enum hf_status hf_net_add(struct hf_net *net, const struct hf_layer *layer, int32_t *ret_index,
                          struct hf_error *e);

/** A convolution with one kernel size, stride and dilation on every axis, zero padded, biased. */
enum hf_status hf_net_conv(struct hf_net *net, const char *name, int32_t from, int32_t channels,
                           int32_t kernel, int32_t stride, int32_t dilation, int32_t *ret_index,
                           struct hf_error *e);
/** A transposed convolution, kernel = stride = `stride` on every axis. */
enum hf_status hf_net_deconv(struct hf_net *net, const char *name, int32_t from, int32_t channels,
                             int32_t stride, int32_t bias, int32_t *ret_index, struct hf_error *e);
/** Instance normalisation with scale and shift. */
enum hf_status hf_net_norm(struct hf_net *net, const char *name, int32_t from, float epsilon,
                           int32_t *ret_index, struct hf_error *e);
enum hf_status hf_net_act(struct hf_net *net, const char *name, int32_t from, enum hf_act act,
                          float slope, int32_t *ret_index, struct hf_error *e);
/** A layer of one input without options but the stride: GATE, POOL, UP. */
enum hf_status hf_net_simple(struct hf_net *net, enum hf_layer_kind kind, const char *name,
                             int32_t from, int32_t stride, int32_t *ret_index, struct hf_error *e);
/** CONCAT or ADD of two inputs. */
enum hf_status hf_net_join(struct hf_net *net, enum hf_layer_kind kind, const char *name, int32_t a,
                           int32_t b, int32_t *ret_index, struct hf_error *e);

/** Checks a whole description, wherever it came from (a plugin, a file). */
enum hf_status hf_net_check(const struct hf_net *net, struct hf_error *e);

/**
 * Shapes [N,C,D,H,W] of the activations that leave each layer, for an input batch; `ret` has
 * net->layers entries. Fails where a size does not divide or a reflected border is too wide, and
 * names the nearest sizes that fit.
 */
enum hf_status hf_net_shapes(const struct hf_net *net, const int64_t input[5], int64_t (*ret)[5],
                             struct hf_error *e);

/** Whether the network takes volumes of D, H, W voxels; a size below 0 is not known and not looked
 *  at. TRAIN: its supervised layers have to divide the output, too. */
enum hf_status hf_net_fit(const struct hf_net *net, enum hf_exec_mode mode, const int64_t size[3],
                          struct hf_error *e);

/**
 * All parameters in order: CONV and DECONV ".weight" then ".bias"; NORM ".scale" then ".shift".
 * `*ret` is freed with free(). `ret_total` is the length of the flat vector in floats.
 */
enum hf_status hf_net_params(const struct hf_net *net, struct hf_param **ret, int32_t *ret_count,
                             int64_t *ret_total, struct hf_error *e);

/** At most how many bytes the network takes when it is compiled for `spec`, on any device. */
enum hf_status hf_net_memory_most(const struct hf_net *net, const struct hf_exec_spec *spec,
                                  size_t *ret_bytes, struct hf_error *e);

const char *hf_layer_kind_name(enum hf_layer_kind kind); /* "conv" ...; "?" if out of range */
const char *hf_act_name(enum hf_act act);

/** Checks shape, loss and optimiser against a network. `net` must have passed hf_net_check. */
enum hf_status hf_exec_spec_check(const struct hf_net *net, const struct hf_exec_spec *spec,
                                  struct hf_error *e);

#endif
