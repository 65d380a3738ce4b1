/*
 * old.c - modules that must be refused: of another interface, with a short descriptor, or with a
 * class (LACKS names it) that misses a method. With COMPANION it is good: ops for the device
 * t_bare.
 */
#include <hepaflow/hepaflow.h>

#define UNUSED __attribute__((unused))

static enum hf_status declare(const void *options UNUSED, struct hf_io *io UNUSED,
                              struct hf_error *e UNUSED) {
    return HF_OK;
}

static enum hf_status count(struct hf_stage *s UNUSED, int64_t *ret, struct hf_error *e UNUSED) {
    *ret = 0;
    return HF_OK;
}

static enum hf_status open_item(struct hf_stage *s UNUSED, int64_t item UNUSED,
                                struct hf_error *e UNUSED) {
    return HF_OK;
}

/* With OVERRIDE the same file name as another folder's module, which it replaces. */
static const struct hf_stage_class only = {.name = "t_only_here",
                                           .help = "Replaces.",
                                           .kind = HF_SOURCE,
                                           .options_size = 1,
                                           .declare = declare,
                                           .count = count,
                                           .open = open_item};

enum lacks {
    NOTHING,
    DECLARE,
    COUNT,
    OPEN,
    PROCESS,
    INTERLEAVE,
    RUN,
    YIELD,
    BUILD,
    DEVICE
};

#ifndef LACKS
#define LACKS NOTHING
#endif

static const struct hf_stage_class lacking = {
    .name = "t_lacking",
    .help = "Lacks a method.",
    .kind = LACKS == PROCESS      ? HF_MAP
            : LACKS == INTERLEAVE ? HF_MIX
            : LACKS == RUN        ? HF_SINK
            : LACKS == YIELD      ? HF_MODEL
                                  : HF_SOURCE,
    .options_size = 1,
    .declare = LACKS == DECLARE ? NULL : declare,
    .count = LACKS == COUNT ? NULL : count,
    .open = LACKS == OPEN ? NULL : open_item,
};
static const struct hf_network_class network = {.name = "t_lacking", .help = "Lacks build."};
static const struct hf_device_class device = {
    .name = "t_lacking", .help = "Lacks open.", .kind = HF_KIND_MOCK, .priority = -1};

#ifdef SHORT
#define ABI  HF_ABI_VERSION
#define SIZE 16
#elif defined OLD
#define ABI  7
#define SIZE sizeof(struct hf_plugin)
#else
#define ABI  HF_ABI_VERSION
#define SIZE sizeof(struct hf_plugin)
#endif

#ifdef COMPANION
#define OPS_ALONE 1
#else
#define OPS_ALONE 0
#endif

static enum hf_status launch(const struct hf_op_call *call UNUSED, void *scratch UNUSED,
                             void *stream UNUSED, struct hf_error *e UNUSED) {
    return HF_OK;
}

static const struct hf_op work = {"t_half.work", HF_KIND_MOCK, launch, NULL};
static const struct hf_op *const ops[] = {OPS_ALONE ? &work : NULL, NULL};
static const struct hf_stage_class *const stages[] = {OPS_ALONE          ? NULL
                                                      : LACKS == NOTHING ? &only
                                                      : LACKS < BUILD    ? &lacking
                                                                         : NULL,
                                                      NULL};
static const struct hf_network_class *const networks[] = {LACKS == BUILD ? &network : NULL, NULL};
static const struct hf_device_class *const devices[] = {LACKS == DEVICE ? &device : NULL, NULL};

HF_EXPORT extern const struct hf_plugin hf_plugin;
const struct hf_plugin hf_plugin = {.abi = ABI,
                                    .size = SIZE,
                                    .name = "old",
                                    .version = "1",
                                    .stages = stages,
                                    .networks = networks,
                                    .ops = ops,
                                    .devices = devices};
