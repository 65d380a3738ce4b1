/* old.c - modules that must be refused: of another interface, or with a short descriptor. */
#include <hepaflow/hepaflow.h>

#ifdef OVERRIDE
/* The same file name as another folder's module, which it replaces. */
static const struct hf_stage_class only = {
    .name = "t_only_here", .help = "Replaces.", .kind = HF_SOURCE, .options_size = 1};
static const struct hf_stage_class *const stages[] = {&only, NULL};
#define ABI  HF_ABI_VERSION
#define SIZE sizeof(struct hf_plugin)
#else
static const struct hf_stage_class *const stages[] = {NULL};
#ifdef SHORT
#define ABI  HF_ABI_VERSION
#define SIZE 16
#else
#define ABI  7
#define SIZE sizeof(struct hf_plugin)
#endif
#endif

HF_EXPORT extern const struct hf_plugin hf_plugin;
const struct hf_plugin hf_plugin = {
    .abi = ABI, .size = SIZE, .name = "old", .version = "1", .stages = stages};
