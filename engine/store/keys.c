/*
 * keys.c - what every stage of a plan depends on. A stage's own terms are its class, its options,
 * the modules that work for it and the device; its key is that of its terms and of those of all
 * that it takes, samples and models, down to the sources.
 *
 * Not among them is what changes no result: replicas, depth, hold, workers, jobs, the order of the
 * file, options that say NO_EFFECT, and where a file lies that an option names.
 */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "modules.h"

#define FOLDERS_DEEP 16 /* a link may lead in a circle */

struct maker {
    const struct key_scope *scope;
    struct terms *to;
    const char *stage;
    enum hf_stage_kind kind;
    enum hf_status status;
    struct hf_error *e;
};

HF_PRINTF(4, 5)
static void add(struct maker *m, const char *name, const char *note, const char *format, ...) {
    char full[512], *value = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&value, format, args);
    va_end(args);
    (void)snprintf(full, sizeof full, "%s.%s", m->stage, name);
    if (n >= 0)
        terms_add(m->to, TERM_SET, full, value, note);
    else
        m->to->failed = true;
    free(n >= 0 ? value : NULL);
}

/* ---- modules and files ---- */

static void add_digest(struct maker *m, enum term_kind kind, const char *name, const char *path,
                       const char *note) {
    char text[DIGEST_TEXT];
    if (m->status != HF_OK)
        return;
    m->status = inputs_digest(m->scope->inputs, path, text, m->e);
    /* Code that works but whose file is gone could be that of any build. */
    if (m->status == HF_OK && kind == TERM_PLUGIN && strcmp(text, "missing") == 0)
        m->status = hf_fail(m->e, HF_NOT_FOUND, "%s: is gone, though it is in use", path);
    if (m->status == HF_OK)
        terms_add(m->to, kind, name, text, note);
}

static void add_module(struct maker *m, const struct module *module) {
    char name[512];
    if (!module)
        return;
    (void)snprintf(name, sizeof name, "%s.plugin %s", m->stage, module->name);
    if (terms_find(m->to, name))
        return;
    add_digest(m, TERM_PLUGIN, name, module->path, module->name);
    /* The digest is of the file as it is now, but what works is what was loaded. */
    if (m->status == HF_OK && !module_is_loaded_one(module))
        m->status =
            hf_fail(m->e, HF_IO, "%s: it changed after it was loaded: run again", module->path);
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_visible(const struct dirent *d) {
    return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

/* Every file below the folder, by its path from there. */
static void add_folder(struct maker *m, const char *name, const char *folder, int depth) {
    struct dirent **list = NULL;
    int count = depth < FOLDERS_DEEP ? scandir(folder, &list, is_visible, by_name) : -1;
    if (count < 0)
        m->status = hf_fail(m->e, HF_IO, "%s: the folder cannot be read: %s", folder,
                            depth < FOLDERS_DEEP ? strerror(errno) : "it goes too deep");
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX], *full = NULL;
        struct stat info;
        int n = snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
        bool there = n > 0 && n < PATH_MAX && stat(path, &info) == 0;
        if (m->status != HF_OK || !there || asprintf(&full, "%s/%s", name, list[i]->d_name) < 0) {
            m->to->failed = m->to->failed || (m->status == HF_OK && there);
        } else {
            if (S_ISDIR(info.st_mode))
                add_folder(m, full, path, depth + 1);
            else if (S_ISREG(info.st_mode))
                add_digest(m, TERM_FILE, full, path, path);
            free(full);
        }
        free(list[i]);
    }
    free(list);
}

/* A file counts with what is in it, wherever it lies, and so does a folder, but for that of a
 * source, which tells what it reads there. What is not there counts as a file that may come. */
static void add_path(struct maker *m, const char *option, const char *path) {
    struct stat info;
    char name[512];
    bool there = stat(path, &info) == 0;
    (void)snprintf(name, sizeof name, "%s.%s", m->stage, option);
    if (there && S_ISREG(info.st_mode)) {
        add_digest(m, TERM_FILE, name, path, path);
    } else if (there && S_ISDIR(info.st_mode) && m->kind != HF_SOURCE) {
        terms_add(m->to, TERM_SET, name, "a folder", path);
        if (m->status == HF_OK)
            add_folder(m, name, path, 0);
    } else if (there) {
        terms_add(m->to, TERM_SET, name, path, "");
    } else {
        terms_add(m->to, TERM_FILE, name, "missing", path);
    }
}

/* ---- options ---- */

static void add_options(struct maker *m, const char *prefix, const struct hf_option *table,
                        const void *options);

/* A name with a comma in it is not two. */
static void put_name(FILE *f, const char *name) {
    for (; *name; name++) {
        if (strchr(",:\\", *name))
            (void)fputc('\\', f);
        (void)fputc(*name, f);
    }
}

static void add_list(struct maker *m, const char *name, int32_t count, const char *const *names,
                     const double *values) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) {
        m->to->failed = true;
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        (void)fputs(i > 0 ? ", " : "", f);
        if (names && names[i])
            put_name(f, names[i]);
        if (names && names[i] && values)
            (void)fputs(": ", f);
        if (values)
            (void)fprintf(f, "%.17g", values[i]);
    }
    if (fclose(f) == 0)
        add(m, name, "", "[%s]", text);
    else
        m->to->failed = true;
    free(text);
}

static void add_choice(struct maker *m, const char *name, const char *choices, int32_t which) {
    const char *at = choices ? choices : "";
    for (; which > 0 && *at; which--) {
        at += strcspn(at, "|");
        at += *at == '|';
    }
    add(m, name, "", "%.*s", (int)strcspn(at, "|"), at);
}

/* A number as short as it can be told apart from all others. */
static void add_real(struct maker *m, const char *name, double value) {
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    add(m, name, "", "%s", text);
}

static void add_network(struct maker *m, const char *name, const struct hf_network_choice *c) {
    add(m, name, "", "%s", c->network ? c->network->name : "~");
    if (!c->network)
        return;
    add_module(m, engine_network_module(m->scope->engine, c->network->name));
    add_options(m, name, c->network->options, c->options);
}

static void add_option(struct maker *m, const char *name, const struct hf_option *o,
                       const void *at) {
    const char *text;
    switch (o->type) {
    case HF_OPTION_BOOL:
        add(m, name, "", "%s", *(const int32_t *)at ? "yes" : "no");
        break;
    case HF_OPTION_INT:
        add(m, name, "", "%lld", (long long)*(const int64_t *)at);
        break;
    case HF_OPTION_REAL:
        add_real(m, name, *(const double *)at);
        break;
    case HF_OPTION_ENUM:
        add_choice(m, name, o->choices, *(const int32_t *)at);
        break;
    case HF_OPTION_STRING:
    case HF_OPTION_PATH:
        text = *(const char *const *)at;
        if (text && o->type == HF_OPTION_PATH)
            add_path(m, name, text);
        else /* quotes, so that a text '~' is not nothing */
            add(m, name, "", text ? "'%s'" : "~", text);
        break;
    case HF_OPTION_REALS: {
        const struct hf_reals *r = at;
        add_list(m, name, r->count, NULL, r->value);
        break;
    }
    case HF_OPTION_NAMES: {
        const struct hf_names *n = at;
        add_list(m, name, n->count, n->name, NULL);
        break;
    }
    case HF_OPTION_WEIGHTS: {
        const struct hf_weights *w = at;
        add_list(m, name, w->count, w->name, w->value);
        break;
    }
    case HF_OPTION_NETWORK:
        add_network(m, name, at);
        break;
    }
}

static void add_options(struct maker *m, const char *prefix, const struct hf_option *table,
                        const void *options) {
    for (const struct hf_option *o = table; o && o->name; o++) {
        char name[256];
        if (o->flags & HF_OPTION_NO_EFFECT)
            continue;
        (void)snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", o->name);
        add_option(m, name, o, (const char *)options + o->offset);
    }
}

/* ---- a stage ---- */

static void add_names(struct maker *m, const struct plan_stage *ps) {
    const struct hf_plan *plan = m->scope->plan;
    const char *from[PLAN_MAX_INPUTS];
    for (int i = 0; i < ps->inputs; i++)
        from[i] = plan->stage[ps->input[i]].name;
    if (ps->inputs > 0)
        add_list(m, "from", ps->inputs, from, NULL);
    if (ps->cls->kind == HF_MIX)
        add_list(m, "weights", ps->inputs, NULL, ps->mix_weight);
    if (ps->model >= 0)
        add(m, "model", "", "%s", plan->stage[ps->model].name);
    if (ps->draws_once)
        add(m, "draws", "", "once");
    if (ps->on_error.retries > 0 || ps->on_error.skip)
        add(m, "on_error", "", "retry(%d)%s", ps->on_error.retries,
            ps->on_error.skip ? ", skip" : "");
}

static void add_device(struct maker *m, const struct plan_stage *ps) {
    const struct key_scope *s = m->scope;
    bool away = ps->on_device && strcmp(s->cpu_name, s->on_name) != 0;
    add(m, "device", "", "%s", away ? s->device : s->cpu);
    if (away) /* it may work on both sides */
        add(m, "host", "", "%s", s->cpu);
    add_module(m, engine_device_module(s->engine, s->cpu_name));
    if (away)
        add_module(m, engine_device_module(s->engine, s->on_name));
    for (const char *const *op = ps->cls->ops; op && *op; op++) {
        add_module(m, engine_op_module(s->engine, *op, s->cpu_ops));
        if (away)
            add_module(m, engine_op_module(s->engine, *op, s->on_ops));
    }
}

static void add_stage(struct maker *m, const struct plan_stage *ps) {
    m->stage = ps->name;
    m->kind = ps->cls->kind;
    add(m, "use", "", "%s", ps->cls->name);
    add_names(m, ps);
    add_options(m, "", ps->cls->options, ps->options);
    add_module(m, ps->module);
    add_device(m, ps);
}

/* ---- the engine itself ---- */

/* The file that this code was loaded from. */
static bool own_file(char path[PATH_MAX]) {
    char line[PATH_MAX + 128];
    bool found = false;
    uintptr_t here = (uintptr_t)&keys_new;
    FILE *f = fopen("/proc/self/maps", "re");
    while (f && !found && fgets(line, sizeof line, f)) {
        unsigned long from = 0, to = 0;
        const char *file = strchr(line, '/');
        if (sscanf(line, "%lx-%lx", &from, &to) != 2 || here < from || here >= to || !file)
            continue;
        (void)snprintf(path, PATH_MAX, "%.*s", (int)strcspn(file, "\n"), file);
        found = true;
    }
    if (f)
        (void)fclose(f);
    return found;
}

static void add_run(struct maker *m) {
    char path[PATH_MAX], seed[32];
    if (own_file(path))
        add_digest(m, TERM_PLUGIN, "hepaflow", path, "hepaflow");
    else
        m->status = hf_fail(m->e, HF_IO, "the file of the program's own code cannot be found");
    (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)m->scope->seed);
    terms_add(m->to, TERM_SET, "seed", seed, "");
}

/* ---- all of them ---- */

static enum hf_status no_memory(struct hf_error *e) {
    return hf_fail(e, HF_NO_MEMORY, "no memory for the keys of the store");
}

static enum hf_status make(const struct key_scope *scope, struct keys *k, struct hf_error *e) {
    struct maker m = {.scope = scope, .to = &k->run, .stage = "", .e = e};
    add_run(&m);
    bool failed = k->run.failed;
    for (int i = 0; m.status == HF_OK && i < k->stages; i++) {
        m.to = &k->stage[i];
        add_stage(&m, &scope->plan->stage[i]);
        failed = failed || m.to->failed;
    }
    return m.status == HF_OK && failed ? no_memory(e) : m.status;
}

enum hf_status keys_new(const struct key_scope *scope, struct keys **ret, struct hf_error *e) {
    size_t stages = (size_t)scope->plan->stages + 1;
    struct keys *k = calloc(1, sizeof *k);
    /* Numbers are written the same way wherever the embedding program is at home. */
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (k) {
        k->stages = scope->plan->stages;
        k->stage = calloc(stages, sizeof *k->stage);
        k->key = calloc(stages, sizeof *k->key);
    }
    enum hf_status st = k && plain && k->stage && k->key ? HF_OK : no_memory(e);
    if (st == HF_OK) {
        locale_t before = uselocale(plain);
        st = make(scope, k, e);
        (void)uselocale(before);
    }
    if (plain)
        freelocale(plain);
    if (st == HF_OK)
        *ret = k;
    else
        keys_free(k);
    return st;
}

void keys_free(struct keys *k) {
    if (!k)
        return;
    for (int i = 0; k->stage && i < k->stages; i++)
        terms_clear(&k->stage[i]);
    terms_clear(&k->run);
    free(k->stage);
    free(k->key);
    free(k);
}

void keys_cone(const struct hf_plan *plan, int stage, bool models, bool *marked) {
    /* A stage stands behind its inputs and its model. */
    marked[stage] = true;
    for (int i = stage; i >= 0; i--) {
        const struct plan_stage *ps = &plan->stage[i];
        for (int k = 0; marked[i] && k < ps->inputs; k++)
            marked[ps->input[k]] = true;
        if (marked[i] && models && ps->model >= 0)
            marked[ps->model] = true;
    }
}

static void gather(const struct hf_plan *plan, const struct keys *k, int stage, bool *seen,
                   struct terms *ret) {
    const struct plan_stage *ps = &plan->stage[stage];
    if (seen[stage])
        return;
    seen[stage] = true;
    for (int i = 0; i < ps->inputs; i++)
        gather(plan, k, ps->input[i], seen, ret);
    if (ps->model >= 0)
        gather(plan, k, ps->model, seen, ret);
    terms_join(ret, &k->stage[stage]);
}

enum hf_status keys_terms(const struct hf_plan *plan, const struct keys *k, int stage,
                          struct terms *ret, struct hf_error *e) {
    bool *seen = calloc((size_t)plan->stages + 1, sizeof *seen);
    *ret = (struct terms){.failed = !seen};
    terms_join(ret, &k->run);
    if (seen)
        gather(plan, k, stage, seen, ret);
    free(seen);
    if (!ret->failed)
        return HF_OK;
    terms_clear(ret);
    return no_memory(e);
}

enum hf_status keys_finish(const struct hf_plan *plan, struct keys *k, struct hf_error *e) {
    for (int i = 0; i < k->stages; i++) {
        struct terms all;
        enum hf_status st = keys_terms(plan, k, i, &all, e);
        if (st != HF_OK)
            return st;
        bool good = terms_key(&all, &k->key[i]);
        terms_clear(&all);
        if (!good)
            return no_memory(e);
    }
    return HF_OK;
}
