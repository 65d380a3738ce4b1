/* fake.c - stages without work, for what is known of a graph before it runs. */
#include <hepaflow/hepaflow.h>

#define AT(type, member) offsetof(struct type, member)
#define UNUSED           __attribute__((unused))

/* ---- no work ---- */

static enum hf_status idle_count(struct hf_stage *s UNUSED, int64_t *ret,
                                 struct hf_error *e UNUSED) {
    *ret = 0;
    return HF_OK;
}

static enum hf_status idle_open(struct hf_stage *s UNUSED, int64_t item UNUSED,
                                struct hf_error *e UNUSED) {
    return HF_OK;
}

static enum hf_status idle_process(struct hf_stage *s UNUSED, const struct hf_sample *in UNUSED,
                                   struct hf_error *e UNUSED) {
    return HF_OK;
}

static enum hf_status idle_run(struct hf_stage *s UNUSED, struct hf_stream *in UNUSED,
                               struct hf_error *e UNUSED) {
    return HF_OK;
}

static enum hf_status idle_build(const struct hf_host *host UNUSED, const void *options UNUSED,
                                 int32_t in_channels UNUSED, int32_t out_channels UNUSED,
                                 struct hf_net **ret UNUSED, struct hf_error *e) {
    return hf_fail(e, HF_UNSUPPORTED, "there is none");
}

/* ---- a source ---- */

struct load_options {
    const char *dataset;
    int32_t split;
    int32_t tumors;
};

static const struct hf_option load_table[] = {{.name = "dataset",
                                               .type = HF_OPTION_PATH,
                                               .offset = AT(load_options, dataset),
                                               .help = "The manifest."},
                                              {.name = "split",
                                               .type = HF_OPTION_ENUM,
                                               .offset = AT(load_options, split),
                                               .initial = "all",
                                               .choices = "train|test|all",
                                               .help = "Which cases."},
                                              {.name = "tumors",
                                               .type = HF_OPTION_BOOL,
                                               .offset = AT(load_options, tumors),
                                               .initial = "yes",
                                               .help = "Whether the truth is read."},
                                              {.name = NULL}};

static enum hf_status load_declare(const void *options, struct hf_io *io,
                                   struct hf_error *e UNUSED) {
    const struct load_options *o = options;
    io->write(io, "image", HF_F32, HF_ON_GRID, 1, NULL);
    io->write(io, "liver", HF_U8, HF_ON_GRID, 1, NULL);
    if (o->tumors)
        io->write(io, "tumor", HF_U8, HF_ON_GRID, 1, NULL);
    io->write(io, "truth", HF_U8, HF_ON_CANONICAL, 1, NULL);
    io->write(io, "annotation", HF_U8, HF_ON_HOST, 9, NULL);
    return HF_OK;
}

static const struct hf_stage_class load_class = {.name = "t_load",
                                                 .help = "A source.",
                                                 .kind = HF_SOURCE,
                                                 .count = idle_count,
                                                 .open = idle_open,
                                                 .options_size = sizeof(struct load_options),
                                                 .options = load_table,
                                                 .declare = load_declare};

/* ---- a new grid ---- */

struct prepare_options {
    struct hf_reals window;
    double smooth;
    int64_t size;
};

static const struct hf_option prepare_table[] = {{.name = "window",
                                                  .type = HF_OPTION_REALS,
                                                  .offset = AT(prepare_options, window),
                                                  .initial = "[-200, 250]",
                                                  .unit = "HU",
                                                  .min = -1024,
                                                  .max = 3071,
                                                  .items_min = 2,
                                                  .items_max = 2,
                                                  .help = "The window."},
                                                 {.name = "smooth",
                                                  .type = HF_OPTION_REAL,
                                                  .offset = AT(prepare_options, smooth),
                                                  .initial = "2 px",
                                                  .unit = "px",
                                                  .min = 0,
                                                  .max = 1e30,
                                                  .help = "Sigma."},
                                                 {.name = "size",
                                                  .type = HF_OPTION_INT,
                                                  .offset = AT(prepare_options, size),
                                                  .initial = "128",
                                                  .min = 8,
                                                  .max = 4096,
                                                  .help = "Voxels along H and W."},
                                                 {.name = NULL}};

static enum hf_status prepare_declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct prepare_options *o = options;
    if (o->window.value[0] >= o->window.value[1])
        return hf_fail(e, HF_INVALID, "'window' must go up");
    io->read(io, "image", HF_F32, HF_ON_GRID, 0);
    io->read(io, "liver", HF_U8, HF_ON_GRID, 0);
    io->read(io, "tumor", HF_U8, HF_ON_GRID, HF_READ_OPTIONAL);
    io->regrid(io, -1, o->size, o->size, "size");
    io->write(io, "image", HF_F32, HF_ON_GRID, 1, "image");
    io->write(io, "liver", HF_U8, HF_ON_GRID, 1, "liver");
    if (io->has(io, "tumor", NULL))
        io->write(io, "tumor", HF_U8, HF_ON_GRID, 1, "tumor");
    return HF_OK;
}

static const struct hf_stage_class prepare_class = {.name = "t_prepare",
                                                    .help = "A map.",
                                                    .kind = HF_MAP,
                                                    .process = idle_process,
                                                    .options_size = sizeof(struct prepare_options),
                                                    .options = prepare_table,
                                                    .declare = prepare_declare};

/* ---- the annotation, from the truth ---- */

static enum hf_status mask_declare(const void *options UNUSED, struct hf_io *io,
                                   struct hf_error *e UNUSED) {
    io->read(io, "liver", HF_U8, HF_ON_GRID, 0);
    io->read(io, "tumor", HF_U8, HF_ON_GRID, HF_READ_OPTIONAL);
    io->read(io, "annotation", HF_U8, HF_ON_HOST, 0);
    io->write(io, "segments", HF_U8, HF_ON_GRID, 1, "liver ~tumor annotation");
    io->write(io, "clean", HF_U8, HF_ON_GRID, 1, "segments liver");
    return HF_OK;
}

static const struct hf_stage_class mask_class = {.name = "t_mask",
                                                 .help = "Segments.",
                                                 .kind = HF_MAP,
                                                 .process = idle_process,
                                                 .options_size = 1,
                                                 .declare = mask_declare};

/* ---- something drawn at random ---- */

static enum hf_status holes_declare(const void *options UNUSED, struct hf_io *io,
                                    struct hf_error *e UNUSED) {
    io->read(io, "image", HF_F32, HF_ON_GRID, 0);
    io->read(io, "clean", HF_U8, HF_ON_GRID, 0);
    io->write(io, "hole", HF_U8, HF_ON_GRID, 1, "clean");
    io->write(io, "masked", HF_F32, HF_ON_GRID, 1, NULL);
    return HF_OK;
}

static const struct hf_stage_class holes_class = {.name = "t_holes",
                                                  .help = "Holes.",
                                                  .kind = HF_MAP,
                                                  .process = idle_process,
                                                  .flags = HF_STAGE_RANDOM,
                                                  .options_size = 1,
                                                  .declare = holes_declare};

/* ---- a stage that takes a field away ---- */

static enum hf_status shed_declare(const void *options UNUSED, struct hf_io *io,
                                   struct hf_error *e UNUSED) {
    io->drop(io, "clean");
    io->drop(io, "annotation");
    return HF_OK;
}

static const struct hf_stage_class shed_class = {.name = "t_shed",
                                                 .help = "Drops fields.",
                                                 .kind = HF_MAP,
                                                 .process = idle_process,
                                                 .flags = HF_STAGE_SERIAL,
                                                 .options_size = 1,
                                                 .declare = shed_declare};

/* ---- slices chosen by the truth ---- */

static enum hf_status slices_declare(const void *options UNUSED, struct hf_io *io,
                                     struct hf_error *e UNUSED) {
    io->read(io, "tumor", HF_U8, HF_ON_GRID, 0);
    io->write(io, "slices", HF_U8, HF_ON_HOST, 1, "tumor");
    return HF_OK;
}

static const struct hf_stage_class slices_class = {.name = "t_slices",
                                                   .help = "Chooses slices.",
                                                   .kind = HF_MAP,
                                                   .process = idle_process,
                                                   .options_size = 1,
                                                   .declare = slices_declare};

/* ---- a model ---- */

struct train_options {
    struct hf_network_choice network;
    struct hf_names inputs;
    const char *target, *weight;
    struct hf_weights loss;
    int64_t epochs;
};

static const struct hf_option train_table[] = {{.name = "network",
                                                .type = HF_OPTION_NETWORK,
                                                .offset = AT(train_options, network),
                                                .initial = "t_net",
                                                .help = "The network."},
                                               {.name = "inputs",
                                                .type = HF_OPTION_NAMES,
                                                .offset = AT(train_options, inputs),
                                                .items_min = 1,
                                                .items_max = 4,
                                                .flags = HF_OPTION_FIELD,
                                                .help = "What the network sees."},
                                               {.name = "target",
                                                .type = HF_OPTION_STRING,
                                                .offset = AT(train_options, target),
                                                .flags = HF_OPTION_FIELD,
                                                .help = "What it learns."},
                                               {.name = "weight",
                                                .type = HF_OPTION_STRING,
                                                .offset = AT(train_options, weight),
                                                .initial = "~",
                                                .flags = HF_OPTION_FIELD,
                                                .help = "Where it counts."},
                                               {.name = "loss",
                                                .type = HF_OPTION_WEIGHTS,
                                                .offset = AT(train_options, loss),
                                                .initial = "l1",
                                                .min = 0,
                                                .max = 100,
                                                .choices = "l1|bce|dice",
                                                .help = "The loss."},
                                               {.name = "epochs",
                                                .type = HF_OPTION_INT,
                                                .offset = AT(train_options, epochs),
                                                .initial = "10",
                                                .min = 1,
                                                .max = 1e6,
                                                .help = "Passes."},
                                               {.name = NULL}};

static enum hf_status train_declare(const void *options, struct hf_io *io,
                                    struct hf_error *e UNUSED) {
    const struct train_options *o = options;
    for (int32_t i = 0; i < o->inputs.count; i++)
        io->read(io, o->inputs.name[i], HF_DTYPES, HF_ON_GRID, 0);
    io->read(io, o->target, HF_DTYPES, HF_ON_GRID, 0);
    if (o->weight)
        io->read(io, o->weight, HF_DTYPES, HF_ON_GRID, 0);
    io->read(io, "slices", HF_U8, HF_ON_HOST, HF_READ_OPTIONAL);
    io->yields->inputs = o->inputs;
    (void)snprintf(io->yields->target, sizeof io->yields->target, "%s", o->target);
    (void)snprintf(io->yields->weight, sizeof io->yields->weight, "%s", o->weight ? o->weight : "");
    (void)snprintf(io->yields->network, sizeof io->yields->network, "%s", o->network.network->name);
    return HF_OK;
}

static const struct hf_stage_class train_class = {.name = "t_train",
                                                  .help = "A model.",
                                                  .kind = HF_SINK,
                                                  .run = idle_run,
                                                  .flags = HF_STAGE_RANDOM | HF_STAGE_YIELDS_MODEL,
                                                  .options_size = sizeof(struct train_options),
                                                  .options = train_table,
                                                  .declare = train_declare};

struct fill_options {
    const char *output;
};

static const struct hf_option fill_table[] = {{.name = "output",
                                               .type = HF_OPTION_STRING,
                                               .offset = AT(fill_options, output),
                                               .initial = "score",
                                               .help = "What is written."},
                                              {.name = NULL}};

static enum hf_status fill_declare(const void *options, struct hf_io *io,
                                   struct hf_error *e UNUSED) {
    const struct fill_options *o = options;
    for (int32_t i = 0; io->model && i < io->model->inputs.count; i++)
        io->read(io, io->model->inputs.name[i], HF_DTYPES, HF_ON_GRID, 0);
    io->write(io, o->output, HF_F32, HF_ON_GRID, 1, NULL);
    return HF_OK;
}

static const struct hf_stage_class fill_class = {.name = "t_apply",
                                                 .help = "Applies a model.",
                                                 .kind = HF_MAP,
                                                 .process = idle_process,
                                                 .flags = HF_STAGE_TAKES_MODEL,
                                                 .options_size = sizeof(struct fill_options),
                                                 .options = fill_table,
                                                 .declare = fill_declare};

/* ---- a mask ---- */

struct cut_options {
    const char *field, *output;
    double value, min_volume;
    struct hf_names gate;
};

static const struct hf_option cut_table[] = {{.name = "field",
                                              .type = HF_OPTION_STRING,
                                              .offset = AT(cut_options, field),
                                              .initial = "score",
                                              .flags = HF_OPTION_FIELD,
                                              .help = "What is cut."},
                                             {.name = "output",
                                              .type = HF_OPTION_STRING,
                                              .offset = AT(cut_options, output),
                                              .initial = "pseudo",
                                              .help = "What is written."},
                                             {.name = "value",
                                              .type = HF_OPTION_REAL,
                                              .offset = AT(cut_options, value),
                                              .initial = "0.5",
                                              .min = 0,
                                              .max = 1,
                                              .help = "The value."},
                                             {.name = "min_volume",
                                              .type = HF_OPTION_REAL,
                                              .offset = AT(cut_options, min_volume),
                                              .initial = "20 mm3",
                                              .unit = "mm3",
                                              .min = 0,
                                              .max = 1e6,
                                              .help = "Smaller ones go."},
                                             {.name = "gate",
                                              .type = HF_OPTION_NAMES,
                                              .offset = AT(cut_options, gate),
                                              .initial = "[]",
                                              .flags = HF_OPTION_FIELD,
                                              .help = "Only inside."},
                                             {.name = NULL}};

static enum hf_status cut_declare(const void *options, struct hf_io *io,
                                  struct hf_error *e UNUSED) {
    const struct cut_options *o = options;
    io->read(io, o->field, HF_F32, HF_ON_GRID, 0);
    io->write(io, o->output, HF_U8, HF_ON_GRID, 1, o->field);
    return HF_OK;
}

static const char *const cut_ops[] = {"blur", NULL};

static const struct hf_stage_class cut_class = {.name = "t_cut",
                                                .help = "A mask.",
                                                .kind = HF_MAP,
                                                .process = idle_process,
                                                .ops = cut_ops,
                                                .options_size = sizeof(struct cut_options),
                                                .options = cut_table,
                                                .declare = cut_declare};

/* ---- several inputs ---- */

struct mix_options {
    struct hf_weights fill;
};

static const struct hf_option mix_table[] = {{.name = "fill",
                                              .type = HF_OPTION_WEIGHTS,
                                              .offset = AT(mix_options, fill),
                                              .initial = "{}",
                                              .help = "What is filled in."},
                                             {.name = NULL}};

static enum hf_status mix_declare(const void *options, struct hf_io *io,
                                  struct hf_error *e UNUSED) {
    const struct mix_options *o = options;
    for (int32_t i = 0; i < o->fill.count; i++) {
        io->read(io, o->fill.name[i], HF_DTYPES, HF_ON_GRID, HF_READ_OPTIONAL);
        io->write(io, o->fill.name[i], HF_U8, HF_ON_GRID, 1, o->fill.name[i]);
    }
    return HF_OK;
}

static const struct hf_stage_class mix_class = {.name = "t_mix",
                                                .help = "A mix.",
                                                .kind = HF_MIX,
                                                .process = idle_process,
                                                .options_size = sizeof(struct mix_options),
                                                .options = mix_table,
                                                .declare = mix_declare};

/* ---- a sink ---- */

struct save_options {
    struct hf_names fields;
};

static const struct hf_option save_table[] = {{.name = "fields",
                                               .type = HF_OPTION_NAMES,
                                               .offset = AT(save_options, fields),
                                               .initial = "[]",
                                               .flags = HF_OPTION_FIELD,
                                               .help = "What is saved."},
                                              {.name = NULL}};

static enum hf_status save_declare(const void *options UNUSED, struct hf_io *io UNUSED,
                                   struct hf_error *e UNUSED) {
    return HF_OK;
}

static const struct hf_stage_class save_class = {.name = "t_save",
                                                 .help = "A sink.",
                                                 .kind = HF_SINK,
                                                 .run = idle_run,
                                                 .options_size = sizeof(struct save_options),
                                                 .options = save_table,
                                                 .declare = save_declare};

/* ---- a network ---- */

struct net_options {
    int64_t width;
};

static const struct hf_option net_table[] = {{.name = "width",
                                              .type = HF_OPTION_INT,
                                              .offset = AT(net_options, width),
                                              .initial = "16",
                                              .min = 1,
                                              .max = 512,
                                              .help = "Channels."},
                                             {.name = NULL}};

static const struct hf_network_class net_class = {.name = "t_net",
                                                  .help = "A network.",
                                                  .options_size = sizeof(struct net_options),
                                                  .options = net_table,
                                                  .build = idle_build};

/* ---- a class whose declare names what it does not read ---- */

static enum hf_status liar_declare(const void *options UNUSED, struct hf_io *io,
                                   struct hf_error *e UNUSED) {
    io->write(io, "made", HF_F32, HF_ON_GRID, 1, "nowhere");
    return HF_OK;
}

static const struct hf_option liar_table[] = {{.name = "number",
                                               .type = HF_OPTION_REAL,
                                               .offset = 0,
                                               .initial = "five",
                                               .help = "A default that is no number."},
                                              {.name = NULL}};

static const struct hf_stage_class liar_class = {.name = "t_liar",
                                                 .help = "Faulty.",
                                                 .kind = HF_MAP,
                                                 .process = idle_process,
                                                 .options_size = 8,
                                                 .declare = liar_declare};
static const struct hf_stage_class faulty_class = {.name = "t_faulty",
                                                   .help = "Faulty.",
                                                   .kind = HF_MAP,
                                                   .process = idle_process,
                                                   .options_size = 8,
                                                   .options = liar_table,
                                                   .declare = liar_declare};

/* ---- descriptor ---- */

static const struct hf_stage_class *const stages[] = {
    &load_class,  &prepare_class, &mask_class,   &holes_class, &shed_class,
    &train_class, &slices_class,  &fill_class,   &cut_class,   &mix_class,
    &save_class,  &liar_class,    &faulty_class, NULL};
static const struct hf_network_class *const networks[] = {&net_class, NULL};

/* A device that nobody brings an op for, and that is not there. */
static enum hf_status bare_open(const struct hf_device_options *options UNUSED,
                                struct hf_device **ret UNUSED, struct hf_error *e) {
    return hf_fail(e, HF_UNSUPPORTED, "there is none");
}

static const struct hf_device_class bare_class = {.name = "t_bare",
                                                  .help = "A device without ops.",
                                                  .kind = HF_KIND_MOCK,
                                                  .op_kind = HF_KIND_MOCK,
                                                  .priority = -1,
                                                  .open = bare_open};

/* A device of an earlier interface, whose table ends before `describe`. */
static void small_destroy(struct hf_device *d) {
    d->id = -1;
}

static enum hf_status small_open(const struct hf_device_options *options UNUSED,
                                 struct hf_device **ret, struct hf_error *e UNUSED) {
    static const struct hf_device_methods methods = {
        .size = offsetof(struct hf_device_methods, describe), .destroy = small_destroy};
    static struct hf_device device = {.methods = &methods};
    *ret = &device;
    return HF_OK;
}

static const struct hf_device_class small_class = {.name = "t_small",
                                                   .help = "A device that lacks a method.",
                                                   .kind = HF_KIND_MOCK,
                                                   .op_kind = HF_KIND_MOCK,
                                                   .priority = -1,
                                                   .open = small_open};
static const struct hf_device_class *const devices[] = {&bare_class, &small_class, NULL};

HF_EXPORT extern const struct hf_plugin hf_plugin;
const struct hf_plugin hf_plugin = {.abi = HF_ABI_VERSION,
                                    .size = sizeof(struct hf_plugin),
                                    .name = "fake",
                                    .version = "1",
                                    .stages = stages,
                                    .networks = networks,
                                    .devices = devices};
