/*
 * train - trains a network on a stream of samples and yields a model.
 *
 * Volumes come in; slices of them, or patches, are shuffled in a bounded, deterministic pool and
 * trained on in batches.
 * Patients in the validation share are never trained on; the parameters with the best validation
 * loss are kept. The checkpoint `<out>/<stage>/model.safetensors` records inputs, target, weight
 * and the network's description, so that a graph can check a model before it runs it.
 */
#include "train.h"

#include <stdbool.h>
#include <string.h>

#include "ops.h"

int32_t train_output_channels(const struct train_options *o, int64_t target_channels) {
    return (int32_t)(o->classes >= 2 ? o->classes : target_channels);
}

int32_t train_rebuilt_channels(const struct train_options *o) {
    const struct hf_network_class *n = o->network.network;
    return n && n->rebuilt ? n->rebuilt(o->network.options) : 0;
}

static void set_text(char *to, size_t size, const char *text) {
    (void)snprintf(to, size, "%s", text ? text : "");
}

/* Axes of the network; 2 where it does not say. */
static int32_t dims_of(const struct train_options *o) {
    const struct hf_network_class *n = o->network.network;
    return n && n->dims ? n->dims(o->network.options) : 2;
}

struct hf_model_info train_describe(const struct train_options *o, const char *name,
                                    int32_t input_channels, int32_t output_channels) {
    struct hf_model_info info = {
        .inputs = o->inputs, .input_channels = input_channels, .output_channels = output_channels};
    info.dims = dims_of(o);
    for (int32_t axis = 0; axis < 3 && o->patch.count == 3; axis++)
        info.patch[axis] = (int64_t)o->patch.value[axis];
    bool regression = o->loss.count == 1 && strcmp(o->loss.name[0], "l1") == 0;
    const char *activation = regression ? "none" : "sigmoid";
    set_text(info.stage, sizeof info.stage, name);
    set_text(info.network, sizeof info.network,
             o->network.network ? o->network.network->name : NULL);
    set_text(info.target, sizeof info.target, o->target);
    set_text(info.weight, sizeof info.weight, o->weight);
    set_text(info.rebuilds, sizeof info.rebuilds, o->rebuild);
    info.rebuilt_channels = o->rebuild ? train_rebuilt_channels(o) : 0;
    set_text(info.activation, sizeof info.activation, o->classes >= 2 ? "softmax" : activation);
    return info;
}

int64_t train_pool_size(const struct train_options *o) {
    int64_t usual = o->patch.count > 0 ? 8 * o->batch : 256;
    int64_t size = o->shuffle > 0 ? o->shuffle : usual;
    return size > o->batch ? size : o->batch;
}

static enum hf_status check_patch(const struct train_options *o, struct hf_error *e) {
    const struct hf_reals *p = &o->patch;
    if (p->count == 0 && dims_of(o) == 3)
        return hf_fail(e, HF_INVALID,
                       "the network is 3D and runs over patches: set `patch: [D, H, W]`");
    if (p->count == 0)
        return HF_OK;
    for (int32_t i = 0; i < p->count; i++)
        if (p->value[i] != (double)(int64_t)p->value[i])
            return hf_fail(e, HF_INVALID, "option 'patch' is a whole number of voxels, not %g",
                           p->value[i]);
    if (p->count != 3)
        return hf_fail(e, HF_INVALID, "option 'patch' has %d values; expected [D, H, W]", p->count);
    if (dims_of(o) == 2 && p->value[0] != 1)
        return hf_fail(e, HF_INVALID,
                       "option 'patch' is %g slices deep and the network 2D: expected [1, H, W], "
                       "or a network with `dims: 3`",
                       p->value[0]);
    if (o->positive > 0)
        return hf_fail(e, HF_INVALID,
                       "option 'positive' is for whole slices; of patches, `foreground` is the "
                       "share that holds a voxel of the target");
    return HF_OK;
}

static enum hf_status check_rebuild(const struct train_options *o, struct hf_error *e) {
    const char *name = o->network.network ? o->network.network->name : "";
    if (o->rebuild && train_rebuilt_channels(o) == 0)
        return hf_fail(e, HF_INVALID,
                       "option 'rebuild': the network '%s' rebuilds nothing; expected one that "
                       "does, as twin_unet",
                       name);
    if (!o->rebuild && train_rebuilt_channels(o) > 0)
        return hf_fail(e, HF_INVALID,
                       "the network '%s' rebuilds a field: set `rebuild`, as `rebuild: image`",
                       name);
    if (o->rebuild && o->loss.count >= HF_MAX_LOSS_TERMS)
        return hf_fail(e, HF_INVALID,
                       "option 'loss' has %d terms; beside `rebuild` there is room for %d",
                       o->loss.count, HF_MAX_LOSS_TERMS - 1);
    return HF_OK;
}

/* What no option says alone. */
static enum hf_status check_options(const struct train_options *o, struct hf_error *e) {
    if (o->classes == 1)
        return hf_fail(e, HF_INVALID,
                       "classes is 1; expected 0 (the target as it is) or at least 2");
    for (int32_t i = 0; i < o->loss.count && o->classes >= 2; i++)
        if (strcmp(o->loss.name[i], "focal") == 0)
            return hf_fail(
                e, HF_INVALID,
                "option 'loss': focal takes each channel for itself, and so does not go "
                "with `classes`, of which a voxel has one; expected ce, dice or tversky");
    for (int32_t i = 0; i < o->loss.count; i++)
        if (strcmp(o->loss.name[i], "tversky") == 0 && !(o->tversky_alpha + o->tversky_beta > 0))
            return hf_fail(e, HF_INVALID,
                           "options 'tversky_alpha' and 'tversky_beta' are both 0; expected one "
                           "above it, as 0.3 and 0.7");
    if (o->patience > 0 && o->validate <= 0)
        return hf_fail(e, HF_INVALID,
                       "option 'patience' counts validations and there are none: set `validate`");
    enum hf_status st = check_rebuild(o, e);
    return st == HF_OK ? check_patch(o, e) : st;
}

/* Channels of a field on the incoming edge; 1 where that is not known, which *known then says. */
static int32_t channels_of(struct hf_io *io, const char *field, bool *known) {
    int64_t channels = 0;
    if (io->has(io, field, &channels) && channels > 0)
        return (int32_t)channels;
    *known = false;
    return 1;
}

/* The network, for slices or patches of the size that is known. */
static enum hf_status check_network(const struct train_options *o, struct hf_io *io, int32_t inputs,
                                    int32_t outputs, struct hf_error *e) {
    int64_t size[3] = {1, io->grid[1], io->grid[2]};
    bool patches = o->patch.count > 0;
    for (int axis = 0; patches && axis < 3; axis++)
        size[axis] = (int64_t)o->patch.value[axis];
    enum hf_status st = io->build(io, &o->network, inputs, outputs + train_rebuilt_channels(o), e);
    return st == HF_OK ? io->fits(io, size, patches ? "patch" : NULL, e) : st;
}

/* What the network learns to see where an image is blanked. */
static void find_blank(const struct train_options *o, struct hf_io *io, struct hf_model_info *m) {
    for (int32_t i = 0; i < o->inputs.count && !m->blanked[0]; i++)
        if (io->blanked(io, o->inputs.name[i], &m->blank))
            set_text(m->blanked, sizeof m->blanked, o->inputs.name[i]);
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct train_options *o = options;
    int32_t inputs = 0;
    bool known = true;
    for (int32_t i = 0; i < o->inputs.count; i++) {
        io->read(io, o->inputs.name[i], HF_DTYPES, HF_ON_GRID, 0);
        inputs += channels_of(io, o->inputs.name[i], &known);
    }
    io->read(io, o->target, HF_DTYPES, HF_ON_GRID, 0);
    if (o->rebuild)
        io->read(io, o->rebuild, HF_DTYPES, HF_ON_GRID, 0);
    if (o->weight)
        io->read(io, o->weight, HF_DTYPES, HF_ON_GRID, 0);
    io->read(io, "slices", HF_U8, HF_ON_HOST, HF_READ_OPTIONAL);
    enum hf_status st = check_options(o, e);
    if (st != HF_OK)
        return st;
    int32_t weights = o->weight ? channels_of(io, o->weight, &known) : 1;
    if (weights != 1)
        return hf_fail(e, HF_INVALID, "option 'weight': field '%s' has %d channels; a weight has 1",
                       o->weight, weights);
    int32_t rebuilt = o->rebuild ? channels_of(io, o->rebuild, &known) : 0;
    if (o->rebuild && rebuilt != train_rebuilt_channels(o))
        return hf_fail(e, HF_INVALID,
                       "option 'rebuild': field '%s' has %d channels, the network rebuilds %d",
                       o->rebuild, rebuilt, train_rebuilt_channels(o));
    int32_t outputs = train_output_channels(o, channels_of(io, o->target, &known));
    if (io->yields) {
        *io->yields = train_describe(o, io->yields->stage, inputs, outputs);
        find_blank(o, io, io->yields);
    }
    return known ? check_network(o, io, inputs, outputs, e) : HF_OK;
}

#define AT(field) offsetof(struct train_options, field)
#define OPTION(opt, kind, ini)                                                                     \
    .name = #opt, .type = HF_OPTION_##kind, .offset = AT(opt), .initial = ini

static const struct hf_option options[] = {
    {OPTION(network, NETWORK, NULL),
     .help = "The network, with its options: `{unet: {width: 16}}`."},
    {OPTION(inputs, NAMES, NULL), .flags = HF_OPTION_FIELD,
     .help = "Fields that the network sees, as channels in this order."},
    {OPTION(target, STRING, NULL), .flags = HF_OPTION_FIELD,
     .help = "Field that the network learns to yield."},
    {OPTION(rebuild, STRING, "~"), .flags = HF_OPTION_FIELD,
     .help = "Field that the network's last channels learn to rebuild, by L1, beside the target: "
             "of a network that rebuilds, as `twin_unet`."},
    {OPTION(rebuild_factor, REAL, "1"), .min = 1e-6, .max = 1e6,
     .help = "Weight of that L1 beside `loss`."},
    {OPTION(weight, STRING, "~"), .flags = HF_OPTION_FIELD,
     .help = "Field that weighs each voxel's loss; none: all alike."},
    {OPTION(loss, WEIGHTS, NULL), .choices = "l1|bce|ce|dice|focal|tversky", .min = 1e-6,
     .max = 1e6, .items_min = 1, .items_max = HF_MAX_LOSS_TERMS,
     .help = "The loss, or a weighted sum of losses: `{bce: 1, dice: 0.5}`."},
    {OPTION(pos_weight, REAL, "1"), .min = 1e-3, .max = 1e3,
     .help = "Weight of positive voxels in `bce` and `focal`."},
    {OPTION(focal_gamma, REAL, "2"), .min = 0, .max = 10,
     .help = "How much less `focal` makes of voxels that are right already."},
    {OPTION(tversky_alpha, REAL, "0.3"), .min = 0, .max = 1,
     .help = "Weight of false positives in `tversky`."},
    {OPTION(tversky_beta, REAL, "0.7"), .min = 0, .max = 1,
     .help = "Weight of false negatives in `tversky`; both at 0.5 are `dice`."},
    {OPTION(classes, INT, "0"), .min = 0, .max = 64,
     .help = "Labels in the target, background included, one output channel each; 0: the target "
             "is learned as it is."},
    {OPTION(optimizer, ENUM, "adam"), .choices = "adam|sgd|adamw",
     .help = "The optimiser; `adamw` is Adam with a weight decay beside the gradient."},
    {OPTION(rate, REAL, "1e-3"), .min = 1e-9, .max = 10, .help = "Learning rate at its highest."},
    {OPTION(beta1, REAL, "0.9"), .min = 0, .max = 0.9999, .help = "Adam's decay of the gradient."},
    {OPTION(beta2, REAL, "0.999"), .min = 0, .max = 0.999999,
     .help = "Adam's decay of the squared gradient."},
    {OPTION(momentum, REAL, "0.99"), .min = 0, .max = 0.9999, .help = "SGD's momentum."},
    {OPTION(nesterov, BOOL, "yes"), .help = "Nesterov's form of SGD's momentum."},
    {OPTION(weight_decay, REAL, "0"), .min = 0, .max = 1,
     .help = "L2 penalty, added to the gradient; in `adamw` the share of `rate` that parameters "
             "lose in a step."},
    {OPTION(clip, REAL, "0"), .min = 0, .max = 1e6,
     .help = "Largest norm of the whole gradient; 0: not clipped."},
    {OPTION(average, REAL, "0"), .min = 0, .max = 0.99999,
     .help = "Decay in a step of the parameters' running average, which is then what is validated "
             "and kept, as 0.999; less in the first of them, by (1 + n) / (10 + n) in step n. 0: "
             "none."},
    {OPTION(schedule, ENUM, "cosine"), .choices = "constant|cosine|poly|step",
     .help = "How the learning rate falls from `rate` to `final_rate` times it."},
    {OPTION(final_rate, REAL, "0.02"), .min = 0, .max = 1,
     .help = "Share of `rate` at the end (cosine, poly)."},
    {OPTION(poly_power, REAL, "0.9"), .min = 0.1, .max = 10, .help = "Exponent of `poly`."},
    {OPTION(step_every, INT, "0"), .min = 0, .max = 1000000000, .unit = "steps",
     .help = "Steps between two falls of `step`."},
    {OPTION(step_factor, REAL, "0.5"), .min = 0.01, .max = 1, .help = "Factor of each such fall."},
    {OPTION(warmup, INT, "30"), .min = 0, .max = 1000000, .unit = "steps",
     .help = "Steps over which the rate rises from zero."},
    {OPTION(batch, INT, "8"), .min = 1, .max = 4096, .unit = "slices",
     .help = "Slices, or patches, in a training step."},
    {OPTION(epochs, INT, "10"), .min = 1, .max = 1000000,
     .help = "Passes over the stream, unless `steps` says otherwise."},
    {OPTION(steps, INT, "0"), .min = 0, .max = 1000000000, .unit = "steps",
     .help = "Training steps in all, over as many epochs as that takes; 0: by `epochs`."},
    {OPTION(shuffle, INT, "0"), .min = 0, .max = 65536, .unit = "slices",
     .help = "Slices, or patches, in the shuffle pool; 0: 256 slices, or 8 batches of patches."},
    {OPTION(positive, REAL, "0"), .min = 0, .max = 1,
     .help = "Share of each batch drawn from slices whose target is not empty; 0: as they come."},
    {OPTION(patch, REALS, "[]"), .min = 1, .max = 4096, .items_max = 3, .unit = "voxels",
     .help = "[D, H, W] of the patches that the network is trained on, which a 3D network needs; a "
             "smaller volume is continued by its border, with a weight of 0. None: whole slices."},
    {OPTION(patches, INT, "4"), .min = 1, .max = TRAIN_MAX_PATCHES,
     .help = "Patches from a volume in each pass, anywhere in it; around one of the slices that "
             "`slices` names where that field is there."},
    {OPTION(foreground, REAL, "0.33"), .min = 0, .max = 1,
     .help = "Share of the patches of every batch that are put around a voxel of the target, any "
             "alike, where the volume has one."},
    {OPTION(validate, REAL, "0"), .min = 0, .max = 0.9,
     .help = "Share of the patients that is kept for validation, chosen by a hash of the patient."},
    {OPTION(validation_slices, INT, "256"), .min = 1, .max = 65536, .unit = "slices",
     .help = "Slices, or patches, that each validation runs over, fixed in the first epoch."},
    {OPTION(patience, INT, "0"), .min = 0, .max = 1000000, .unit = "epochs",
     .help = "Ends when so many validations, one an epoch, have brought nothing better; 0: never."},
    {OPTION(keep, ENUM, "best"), .choices = "best|last",
     .help = "Parameters that are kept: of the best validation loss (where there is validation), "
             "or the last ones."},
    {OPTION(precision, ENUM, "auto"), .choices = "auto|f32|tf32|bf16", .flags = HF_OPTION_PRECISION,
     .help = "Arithmetic of the network: `auto` is bf16 on a GPU and f32 on the CPU, which has no "
             "other; parameters and losses are f32 always."},
    {.name = NULL},
};

static const struct hf_stage_class train = {
    .name = "train",
    .help = "Trains a network on slices or patches of the incoming volumes and yields a model.",
    .kind = HF_SINK,
    .flags = HF_STAGE_YIELDS_MODEL | HF_STAGE_RANDOM,
    .options_size = sizeof(struct train_options),
    .options = options,
    .ops = (const char *const[]){"train.take", "train.put", "train.profile", "train.pick", NULL},
    .declare = declare,
    .run = train_run,
    .memory = train_memory,
};

extern const struct hf_op train_take_cpu, train_put_cpu, train_profile_cpu, train_pick_cpu;

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "train",
    .version = "0.1.0",
    .stages = (const struct hf_stage_class *const[]){&train, NULL},
    .ops = (const struct hf_op *const[]){&train_take_cpu, &train_put_cpu, &train_profile_cpu,
                                         &train_pick_cpu, NULL},
};
