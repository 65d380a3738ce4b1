/* inspect.c - `hepaflow inspect`: what the modules bring, with options and fields. */
#include "cli/cli.h"

#include <string.h>

#include <cjson/cJSON.h>

#include "graph/options.h"
#include "graph/print.h"
#include "modules.h"

/* ---- into JSON: the text is printed from it ---- */

static void add_text(cJSON *o, const char *key, const char *text) {
    if (text)
        cJSON_AddStringToObject(o, key, text);
}

static void add_bound(cJSON *o, const char *key, double bound) {
    cJSON_AddItemToObject(
        o, key, bound > -9e18 && bound < 9e18 ? cJSON_CreateNumber(bound) : cJSON_CreateNull());
}

static cJSON *table_json(const struct hf_option *table) {
    cJSON *ret = cJSON_CreateArray();
    for (const struct hf_option *o = table; o && o->name; o++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "name", o->name);
        cJSON_AddStringToObject(one, "type", option_type_name(o->type));
        cJSON_AddBoolToObject(one, "required", !o->initial);
        add_text(one, "default", o->initial);
        add_text(one, "unit", o->unit);
        if (o->min != o->max) {
            add_bound(one, "min", o->min);
            add_bound(one, "max", o->max);
        }
        if (o->items_max > 0) {
            cJSON_AddNumberToObject(one, "items_min", o->items_min);
            cJSON_AddNumberToObject(one, "items_max", o->items_max);
        }
        if (o->choices) {
            cJSON *choices = cJSON_AddArrayToObject(one, "choices");
            for (const char *c = o->choices; c && *c;) {
                char word[64];
                (void)snprintf(word, sizeof word, "%.*s", (int)strcspn(c, "|"), c);
                cJSON_AddItemToArray(choices, cJSON_CreateString(word));
                c += strcspn(c, "|");
                c += *c == '|';
            }
        }
        if (o->flags & HF_OPTION_FIELD)
            cJSON_AddBoolToObject(one, "field", true);
        if (o->flags & HF_OPTION_NO_EFFECT)
            cJSON_AddBoolToObject(one, "no_effect", true);
        char range[96];
        if (*option_range(o, range, sizeof range))
            cJSON_AddStringToObject(one, "range", range);
        add_text(one, "help", o->help);
        cJSON_AddItemToArray(ret, one);
    }
    return ret;
}

/* An io that says yes to everything, so that a class tells all that it may read and write. */
struct asked {
    struct hf_io io;
    cJSON *reads, *writes;
};

static cJSON *find_field(cJSON *list, const char *name) {
    cJSON *item;
    cJSON_ArrayForEach(item, list) {
        const cJSON *n = cJSON_GetObjectItemCaseSensitive(item, "name");
        if (n && strcmp(n->valuestring, name) == 0)
            return item;
    }
    return NULL;
}

static cJSON *note_field(cJSON *list, const char *field, enum hf_dtype dtype, enum hf_place place) {
    if (!field || find_field(list, field))
        return NULL;
    cJSON *one = cJSON_CreateObject();
    cJSON_AddStringToObject(one, "name", field);
    cJSON_AddStringToObject(one, "dtype", dtype < HF_DTYPES ? hf_dtype_name(dtype) : "any");
    cJSON_AddStringToObject(one, "place", place_name(place));
    cJSON_AddItemToArray(list, one);
    return one;
}

static void ask_read(struct hf_io *io, const char *field, enum hf_dtype dtype, enum hf_place place,
                     uint32_t flags) {
    struct asked *a = io->engine;
    cJSON *one = note_field(a->reads, field, dtype, place);
    if (one)
        cJSON_AddBoolToObject(one, "optional", (flags & HF_READ_OPTIONAL) != 0);
}

static void ask_write(struct hf_io *io, const char *field, enum hf_dtype dtype, enum hf_place place,
                      int64_t channels, const char *from) {
    struct asked *a = io->engine;
    cJSON *one = note_field(a->writes, field, dtype, place);
    if (one && channels >= 0)
        cJSON_AddNumberToObject(one, "channels", (double)channels);
    if (one)
        add_text(one, "from", from);
}

static void ask_drop(struct hf_io *io, const char *field) {
    (void)io, (void)field;
}

static void ask_regrid(struct hf_io *io, int64_t d, int64_t h, int64_t w, const char *option) {
    (void)io, (void)d, (void)h, (void)w, (void)option;
}

static enum hf_status ask_model_info(struct hf_io *io, const char *path, struct hf_model_info *ret,
                                     struct hf_error *e) {
    (void)io, (void)path, (void)ret, (void)e;
    return HF_OK;
}

static enum hf_status ask_build(struct hf_io *io, const struct hf_network_choice *network,
                                int32_t inputs, int32_t outputs, struct hf_error *e) {
    (void)io, (void)network, (void)inputs, (void)outputs, (void)e;
    return HF_OK;
}

static enum hf_status ask_fits(struct hf_io *io, const int64_t size[3], const char *option,
                               struct hf_error *e) {
    (void)io, (void)size, (void)option, (void)e;
    return HF_OK;
}

static int ask_has(struct hf_io *io, const char *field, int64_t *ret_channels) {
    (void)io, (void)field;
    if (ret_channels)
        *ret_channels = 1;
    return 1;
}

static void ask_blank(struct hf_io *io, const char *field, double value) {
    (void)io, (void)field, (void)value;
}

static int ask_blanked(struct hf_io *io, const char *field, double *ret) {
    (void)io, (void)field, (void)ret;
    return 0;
}

struct example {
    struct arena *arena;
    const struct hf_engine *engine;
    const struct hf_stage_class *cls;
    void *options; /* NULL: there are none that would do */
};

static void make_example(void *arg) {
    struct example *x = arg;
    struct messages m = {.arena = x->arena};
    struct option_scope scope = {.m = &m, .engine = x->engine, .owner = x->cls->name};
    void *options = arena_alloc(x->arena, x->cls->options_size);
    if (options_example(&scope, x->cls->options, options))
        x->options = options;
}

static void add_fields(cJSON *o, const struct hf_engine *en, const struct hf_stage_class *cls) {
    struct hf_model_info model = {.stage = "model",
                                  .network = "network",
                                  .inputs = {.count = 1, .name = {"image"}},
                                  .input_channels = 1,
                                  .target = "target",
                                  .output_channels = 1,
                                  .activation = "sigmoid"};
    struct hf_model_info yields = {.stage = "model"};
    struct asked asked = {.reads = cJSON_AddArrayToObject(o, "reads"),
                          .writes = cJSON_AddArrayToObject(o, "writes"),
                          .io = {.read = ask_read,
                                 .write = ask_write,
                                 .drop = ask_drop,
                                 .regrid = ask_regrid,
                                 .has = ask_has,
                                 .engine = &asked,
                                 .model_info = ask_model_info,
                                 .grid = {-1, -1, -1},
                                 .build = ask_build,
                                 .fits = ask_fits,
                                 .blank = ask_blank,
                                 .blanked = ask_blanked}};
    struct example x = {arena_new(), en, cls, NULL};
    struct hf_error e;
    if (cls->flags & HF_STAGE_TAKES_MODEL)
        asked.io.model = &model;
    if (cls->kind == HF_MODEL || (cls->flags & HF_STAGE_YIELDS_MODEL))
        asked.io.yields = &yields;
    if (x.arena && arena_try(x.arena, make_example, &x) && x.options && cls->declare)
        (void)cls->declare(x.options, &asked.io, &e);
    arena_free(x.arena);
}

static cJSON *stage_class_json(const struct hf_engine *en, const struct hf_stage_class *cls) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", cls->name);
    add_text(o, "help", cls->help);
    cJSON_AddStringToObject(o, "kind", stage_kind_name(cls->kind));
    cJSON_AddBoolToObject(o, "random", (cls->flags & HF_STAGE_RANDOM) != 0);
    cJSON_AddBoolToObject(o, "takes_model", (cls->flags & HF_STAGE_TAKES_MODEL) != 0);
    cJSON_AddBoolToObject(o, "yields_model",
                          cls->kind == HF_MODEL || (cls->flags & HF_STAGE_YIELDS_MODEL));
    cJSON_AddItemToObject(o, "options", table_json(cls->options));
    add_fields(o, en, cls);
    cJSON *ops = cJSON_AddArrayToObject(o, "launches");
    for (const char *const *op = cls->ops; op && *op; op++)
        cJSON_AddItemToArray(ops, cJSON_CreateString(*op));
    return o;
}

static cJSON *module_json(const struct hf_engine *en, const struct module *m) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "module", m->name);
    cJSON_AddStringToObject(o, "path", m->path);
    if (m->device) {
        char of[256];
        (void)snprintf(of, sizeof of, "%.*s", (int)(m->device - m->name) - 1, m->name);
        cJSON_AddStringToObject(o, "of", of);
        cJSON_AddStringToObject(o, "for", m->device);
        if (!m->tried)
            return o;
    }
    if (!m->plugin) {
        add_text(o, "refused", m->refusal ? m->refusal : "out of memory");
        return o;
    }
    const struct hf_plugin *p = m->plugin;
    add_text(o, "version", p->version);
    cJSON *list = cJSON_AddArrayToObject(o, "stages");
    for (const struct hf_stage_class *const *k = p->stages; k && *k; k++)
        cJSON_AddItemToArray(list, stage_class_json(en, *k));
    list = cJSON_AddArrayToObject(o, "networks");
    for (const struct hf_network_class *const *k = p->networks; k && *k; k++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "name", (*k)->name);
        add_text(one, "help", (*k)->help);
        cJSON_AddItemToObject(one, "options", table_json((*k)->options));
        cJSON_AddItemToArray(list, one);
    }
    list = cJSON_AddArrayToObject(o, "devices");
    for (const struct hf_device_class *const *k = p->devices; k && *k; k++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "name", (*k)->name);
        add_text(one, "help", (*k)->help);
        cJSON_AddNumberToObject(one, "priority", (*k)->priority);
        cJSON_AddItemToArray(list, one);
    }
    list = cJSON_AddArrayToObject(o, "ops");
    for (const struct hf_op *const *k = p->ops; k && *k; k++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "name", (*k)->name);
        const char *device = engine_kind_name(en, (*k)->kind);
        cJSON_AddStringToObject(one, "device", device ? device : "device not there");
        cJSON_AddItemToArray(list, one);
    }
    return o;
}

/* ---- as text ---- */

static const char *text_of(const cJSON *o, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static bool is_true(const cJSON *o, const char *key) {
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, key));
}

/* Text in lines of at most 96 columns, the later ones indented. */
static void print_wrapped(const char *text, int indent) {
    int column = indent;
    while (*text) {
        int size = (int)strcspn(text, " ");
        if (column > indent && column + 1 + size > 96) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            putchar(' ');
            column++;
        }
        printf("%.*s", size, text);
        column += size;
        text += size;
        text += *text == ' ';
    }
    putchar('\n');
}

static void print_options(const cJSON *owner) {
    const cJSON *o, *c;
    cJSON_ArrayForEach(o, cJSON_GetObjectItemCaseSensitive(owner, "options")) {
        const char *initial = text_of(o, "default"), *unit = text_of(o, "unit");
        printf("    %s: %s", text_of(o, "name"), text_of(o, "type"));
        if (text_of(o, "range"))
            printf(", %s", text_of(o, "range"));
        else if (unit)
            printf(", in %s", unit);
        int i = 0;
        cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(o, "choices"))
            printf("%s%s", i++ == 0 ? ", one of " : " | ", c->valuestring);
        if (is_true(o, "field"))
            fputs(", names a field", stdout);
        if (initial)
            printf(", default %s", initial);
        else
            fputs(", required", stdout);
        printf("\n        ");
        print_wrapped(text_of(o, "help") ? text_of(o, "help") : "", 8);
    }
}

static void print_field_list(const cJSON *stage, const char *key) {
    const cJSON *f;
    int i = 0;
    cJSON_ArrayForEach(f, cJSON_GetObjectItemCaseSensitive(stage, key))
        printf("%s%s %s%s%s", i++ == 0 ? "" : ", ", text_of(f, "name"), text_of(f, "dtype"),
               strcmp(text_of(f, "place"), "grid") == 0   ? ""
               : strcmp(text_of(f, "place"), "host") == 0 ? " table"
                                                          : " canonical",
               is_true(f, "optional") ? " (if there)" : "");
    if (i > 0)
        putchar('\n');
}

static bool has_items(const cJSON *o, const char *key) {
    return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(o, key)) > 0;
}

static void print_stage_class(const cJSON *s, bool whole) {
    printf("  stage %s (%s%s%s%s): ", text_of(s, "name"), text_of(s, "kind"),
           is_true(s, "random") ? ", random" : "",
           is_true(s, "takes_model") ? ", takes a model" : "",
           is_true(s, "yields_model") ? ", yields a model" : "");
    print_wrapped(text_of(s, "help") ? text_of(s, "help") : "", 4);
    if (!whole)
        return;
    if (has_items(s, "reads"))
        fputs("    reads ", stdout);
    print_field_list(s, "reads");
    if (has_items(s, "writes"))
        fputs("    writes ", stdout);
    print_field_list(s, "writes");
    print_options(s);
}

static void print_module(const cJSON *m, bool whole) {
    const cJSON *k;
    const char *refused = text_of(m, "refused");
    if (refused) {
        printf("%s: %s\n", text_of(m, "module"), refused);
        return;
    }
    printf("%s (%s)\n", text_of(m, "module"), text_of(m, "path"));
    if (text_of(m, "for"))
        printf("  ops of %s for the device %s, opened where that device runs\n", text_of(m, "of"),
               text_of(m, "for"));
    cJSON_ArrayForEach(k, cJSON_GetObjectItemCaseSensitive(m, "stages"))
        print_stage_class(k, whole);
    cJSON_ArrayForEach(k, cJSON_GetObjectItemCaseSensitive(m, "networks")) {
        printf("  network %s: ", text_of(k, "name"));
        print_wrapped(text_of(k, "help") ? text_of(k, "help") : "", 4);
        if (whole)
            print_options(k);
    }
    cJSON_ArrayForEach(k, cJSON_GetObjectItemCaseSensitive(m, "devices")) {
        printf("  device %s: ", text_of(k, "name"));
        print_wrapped(text_of(k, "help") ? text_of(k, "help") : "", 4);
    }
    int i = 0;
    cJSON_ArrayForEach(k, cJSON_GetObjectItemCaseSensitive(m, "ops"))
        printf("%s%s (%s)", i++ == 0 ? "  ops " : ", ", text_of(k, "name"), text_of(k, "device"));
    if (i > 0)
        putchar('\n');
}

/* ---- the command ---- */

static bool names_one(const cJSON *list, const char *name) {
    const cJSON *k;
    cJSON_ArrayForEach(k, list)
        if (strcmp(text_of(k, "name"), name) == 0)
            return true;
    return false;
}

static bool is_wanted(const cJSON *m, const char *name) {
    return !name || strcmp(text_of(m, "module"), name) == 0 ||
           names_one(cJSON_GetObjectItemCaseSensitive(m, "stages"), name) ||
           names_one(cJSON_GetObjectItemCaseSensitive(m, "networks"), name) ||
           names_one(cJSON_GetObjectItemCaseSensitive(m, "devices"), name);
}

static void try_names(struct words *w, const cJSON *list) {
    const cJSON *k;
    cJSON_ArrayForEach(k, list)
        words_try(w, text_of(k, "name"));
}

/* Says that there is no such thing, and which is spelled most like it. */
static void refuse_name(const struct hf_engine *engine, const char *name) {
    struct words words;
    cJSON *all = cJSON_CreateArray();
    words_begin(&words, name);
    for (int i = 0; i < engine->modules; i++) {
        cJSON *m = module_json(engine, &engine->module[i]);
        cJSON_AddItemToArray(all, m);
        words_try(&words, text_of(m, "module"));
        try_names(&words, cJSON_GetObjectItemCaseSensitive(m, "stages"));
        try_names(&words, cJSON_GetObjectItemCaseSensitive(m, "networks"));
        try_names(&words, cJSON_GetObjectItemCaseSensitive(m, "devices"));
    }
    fprintf(stderr, "hepaflow inspect: no module, stage, network or device '%s'", name);
    if (words.nearest)
        fprintf(stderr, "; did you mean '%s'?", words.nearest);
    fputc('\n', stderr);
    cJSON_Delete(all);
}

int command_inspect(int argc, char **argv) {
    const char *name = NULL;
    bool json = false;
    const struct arg args[] = {{"--json", ARG_FLAG, &json}, {NULL, ARG_FLAG, NULL}};
    if (!args_read("inspect", args, argc, argv, &name, NULL, 1))
        return EXIT_USAGE;
    struct hf_engine *engine = NULL;
    struct hf_error e = {0};
    if (hf_engine_open(&engine, &e) != HF_OK) {
        fprintf(stderr, "hepaflow inspect: %s\n", e.text);
        return EXIT_FAILED;
    }
    print_engine_warning(engine);
    engine_open_all(engine);
    if (name)
        engine_open_companion(engine, name);
    cJSON *all = cJSON_CreateArray();
    for (int i = 0; i < engine->modules; i++) {
        cJSON *m = module_json(engine, &engine->module[i]);
        if (is_wanted(m, name))
            cJSON_AddItemToArray(all, m);
        else
            cJSON_Delete(m);
    }
    int status = EXIT_DONE;
    if (name && cJSON_GetArraySize(all) == 0) {
        refuse_name(engine, name);
        status = EXIT_USAGE;
    } else if (json) {
        char *text = cJSON_Print(all);
        puts(text ? text : "[]");
        cJSON_free(text);
    } else {
        const cJSON *m;
        cJSON_ArrayForEach(m, all)
            print_module(m, name != NULL);
    }
    cJSON_Delete(all);
    hf_engine_close(engine);
    return status;
}
