/*
 * modules.c - the plugin host: finds modules, opens them when they are needed, refuses those of
 * another interface, and looks up what they bring.
 *
 * A file `<module>.<device>.so` is a companion: it holds the ops of that module for that device,
 * links what only that device needs, and is opened only when such an op is looked for.
 */
#include "modules.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/run.h"

/* ---- finding ---- */

static void clear_module(struct module *m) {
    free(m->name);
    free(m->path);
    free(m->dir);
    free(m->refusal);
}

static int by_name(const void *a, const void *b) {
    const struct module *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static enum hf_status add_module(struct hf_engine *en, const char *dir, const char *file,
                                 struct hf_error *e) {
    struct module m = {.name = strndup(file, strlen(file) - 3), .dir = strdup(dir)};
    if (asprintf(&m.path, "%s/%s", dir, file) < 0)
        m.path = NULL;
    struct module *at = NULL;
    for (int i = 0; m.name && i < en->modules; i++)
        if (strcmp(en->module[i].name, m.name) == 0)
            at = &en->module[i];
    if (at) {
        clear_module(at);
    } else {
        struct module *more = realloc(en->module, ((size_t)en->modules + 1) * sizeof *more);
        if (more) {
            en->module = more;
            at = &more[en->modules++];
        }
    }
    const char *dot = m.name ? strrchr(m.name, '.') : NULL;
    if (dot && dot > m.name && dot[1])
        m.device = dot + 1;
    if (!at || !m.name || !m.dir || !m.path) {
        if (at)
            *at = (struct module){0};
        clear_module(&m);
        return hf_fail(e, HF_NO_MEMORY, "out of memory for the list of modules");
    }
    *at = m;
    return HF_OK;
}

/* The modules of a folder, and of the folders in it `depth` deep. */
static enum hf_status scan(struct hf_engine *en, const char *dir, int depth, struct hf_error *e) {
    struct dirent **list = NULL;
    int count = scandir(dir, &list, NULL, alphasort);
    enum hf_status st = HF_OK;
    for (int i = 0; i < count; i++) {
        const char *name = list[i]->d_name;
        size_t size = strlen(name);
        char path[PATH_MAX];
        struct stat info;
        int n = snprintf(path, sizeof path, "%s/%s", dir, name);
        if (st == HF_OK && name[0] != '.' && n > 0 && (size_t)n < sizeof path &&
            stat(path, &info) == 0) {
            if (S_ISREG(info.st_mode) && size > 3 && strcmp(name + size - 3, ".so") == 0)
                st = add_module(en, dir, name, e);
            else if (S_ISDIR(info.st_mode) && depth > 0 && !strstr(name, ".so.p"))
                st = scan(en, path, depth - 1, e);
        }
        free(list[i]);
    }
    free(list);
    return st;
}

/* The file that this code was loaded from: the program, or the library. */
static bool own_file(char path[PATH_MAX]) {
    Dl_info info;
    if (dladdr((void *)(uintptr_t)hf_engine_open, &info) && info.dli_fname &&
        strstr(info.dli_fname, ".so") && realpath(info.dli_fname, path))
        return true;
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (n > 0)
        path[n] = 0;
    return n > 0;
}

/* The build tree that this program or library lies in, if it does. */
static bool build_tree(char path[PATH_MAX]) {
    if (!own_file(path))
        return false;
    for (int up = 0; up < 4; up++) {
        char *slash = strrchr(path, '/');
        if (!slash || slash == path)
            return false;
        *slash = 0;
        char mark[PATH_MAX + 16];
        (void)snprintf(mark, sizeof mark, "%s/build.ninja", path);
        if (access(mark, F_OK) == 0)
            return true;
    }
    return false;
}

/* The folder of the installed modules: where they lie beside this program or library, so that a
 * whole installation may be moved, or else where they were to be installed. */
static void installed_folder(char ret[PATH_MAX + 64]) {
    static const char *const beside[] = {"../" HF_LIB_DIR "/hepaflow/plugins", "hepaflow/plugins"};
    char own[PATH_MAX];
    char *slash = own_file(own) ? strrchr(own, '/') : NULL;
    for (int i = 0; slash && i < 2; i++) {
        *slash = 0;
        (void)snprintf(ret, PATH_MAX + 64, "%s/%s", own, beside[i]);
        if (access(ret, F_OK) == 0)
            return;
    }
    (void)snprintf(ret, PATH_MAX + 64, "%s", HF_PLUGIN_DIR);
}

/* A folder of HEPAFLOW_PLUGIN_PATH that is not there may be a slip, or not yet be made. */
static enum hf_status warn(struct hf_engine *en, const char *dir, const char *why,
                           struct hf_error *e) {
    char *text = NULL;
    int n = en->warning ? asprintf(&text, "%s; '%s': %s", en->warning, dir, why)
                        : asprintf(&text, "HEPAFLOW_PLUGIN_PATH: no modules are read from '%s': %s",
                                   dir, why);
    if (n < 0)
        return hf_fail(e, HF_NO_MEMORY, "out of memory for the list of modules");
    free(en->warning);
    en->warning = text;
    return HF_OK;
}

static enum hf_status scan_all(struct hf_engine *en, struct hf_error *e) {
    char tree[PATH_MAX], dir[PATH_MAX + 64];
    enum hf_status st = HF_OK;
    if (build_tree(tree)) {
        static const char *const folders[] = {"plugins", "stages"};
        for (int i = 0; i < 2 && st == HF_OK; i++) {
            (void)snprintf(dir, sizeof dir, "%s/%s", tree, folders[i]);
            st = scan(en, dir, 1, e);
        }
    } else {
        installed_folder(dir);
        st = scan(en, dir, 0, e);
    }
    const char *paths = getenv("HEPAFLOW_PLUGIN_PATH");
    while (st == HF_OK && paths && *paths) {
        size_t size = strcspn(paths, ":");
        if (size > 0 && size < sizeof dir) {
            struct stat info;
            memcpy(dir, paths, size);
            dir[size] = 0;
            if (stat(dir, &info) != 0)
                st = warn(en, dir, strerror(errno), e);
            else if (!S_ISDIR(info.st_mode))
                st = warn(en, dir, "it is no folder", e);
            else
                st = scan(en, dir, 1, e);
        }
        paths += size + (paths[size] == ':');
    }
    if (en->modules > 0)
        qsort(en->module, (size_t)en->modules, sizeof *en->module, by_name);
    return st;
}

/* ---- opening ---- */

HF_PRINTF(2, 3) static void refuse(struct module *m, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (vasprintf(&m->refusal, format, args) < 0)
        m->refusal = NULL;
    va_end(args);
    if (m->handle)
        (void)dlclose(m->handle);
    m->handle = NULL;
    m->plugin = NULL;
}

/* What a class must have and lacks, or NULL. */
static const char *stage_lacks(const struct hf_stage_class *k) {
    if (!k->name || !k->declare)
        return k->name ? "declare" : "name";
    switch (k->kind) {
    case HF_SOURCE:
        return !k->count ? "count" : k->open ? NULL : "open";
    case HF_MAP:
    case HF_MIX:
        return k->process ? NULL : "process";
    case HF_SINK:
    case HF_MODEL:
        return k->run ? NULL : "run";
    }
    return "kind";
}

/* Refuses a module whose classes could not be called. */
static void check_classes(struct module *m) {
    const struct hf_plugin *p = m->plugin;
    const char *lacks = NULL, *what = NULL, *name = NULL;
    for (const struct hf_stage_class *const *k = p->stages; k && *k && !lacks; k++) {
        lacks = stage_lacks(*k);
        what = "stage";
        name = (*k)->name;
    }
    for (const struct hf_network_class *const *k = p->networks; k && *k && !lacks; k++) {
        lacks = !(*k)->name ? "name" : (*k)->build ? NULL : "build";
        what = "network";
        name = (*k)->name;
    }
    for (const struct hf_op *const *k = p->ops; k && *k && !lacks; k++) {
        lacks = !(*k)->name ? "name" : (*k)->launch ? NULL : "launch";
        what = "op";
        name = (*k)->name;
    }
    for (const struct hf_device_class *const *k = p->devices; k && *k && !lacks; k++) {
        lacks = !(*k)->name ? "name" : (*k)->open ? NULL : "open";
        what = "device";
        name = (*k)->name;
    }
    if (lacks)
        refuse(m, "module '%s' is faulty: its %s '%s' has no '%s', which it must have", m->path,
               what, name ? name : "", lacks);
    else if (m->device && ((p->stages && p->stages[0]) || (p->networks && p->networks[0]) ||
                           (p->devices && p->devices[0])))
        refuse(m,
               "module '%s' is faulty: with a dot in its name it can bring ops alone, those of a "
               "module for the device '%s'",
               m->path, m->device);
}

static void open_module(struct module *m) {
    if (m->tried)
        return;
    m->tried = true;
    if (stat(m->path, &m->loaded) != 0)
        m->loaded = (struct stat){0};
    m->handle = dlopen(m->path, RTLD_NOW | RTLD_LOCAL);
    if (!m->handle) {
        const char *why = dlerror();
        refuse(m, "module '%s' does not load: %s", m->path, why ? why : "no reason given");
        return;
    }
    const struct hf_plugin *p = dlsym(m->handle, "hf_plugin");
    if (!p)
        refuse(m, "module '%s' is no hepaflow plugin: it has no symbol hf_plugin", m->path);
    else if (p->abi != HF_ABI_VERSION)
        refuse(m, "module '%s' speaks plugin interface %u, this hepaflow speaks %u: rebuild it",
               m->path, p->abi, HF_ABI_VERSION);
    else if (p->size < sizeof *p)
        refuse(m, "module '%s' has a descriptor of %u bytes, not %zu: rebuild it", m->path, p->size,
               sizeof *p);
    else
        m->plugin = p;
    if (m->plugin)
        check_classes(m);
    /* A device brings threads (OpenMP's among them), whose code must stay when the engine closes.
     */
    if (m->plugin && m->plugin->devices && m->plugin->devices[0]) {
        void *again = dlopen(m->path, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD | RTLD_NODELETE);
        if (again)
            (void)dlclose(again);
    }
}

bool module_is_loaded_one(const struct module *m) {
    struct stat now;
    return stat(m->path, &now) == 0 && now.st_dev == m->loaded.st_dev &&
           now.st_ino == m->loaded.st_ino && now.st_size == m->loaded.st_size &&
           now.st_mtim.tv_sec == m->loaded.st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == m->loaded.st_mtim.tv_nsec &&
           now.st_ctim.tv_sec == m->loaded.st_ctim.tv_sec &&
           now.st_ctim.tv_nsec == m->loaded.st_ctim.tv_nsec;
}

static void lock(const struct hf_engine *en) {
    (void)pthread_mutex_lock(en->lock);
}

static void unlock(const struct hf_engine *en) {
    (void)pthread_mutex_unlock(en->lock);
}

void engine_open_all(const struct hf_engine *en) {
    lock(en);
    for (int i = 0; i < en->modules; i++)
        if (!en->module[i].device)
            open_module(&en->module[i]);
    unlock(en);
}

void engine_open_companion(const struct hf_engine *en, const char *name) {
    lock(en);
    for (int i = 0; i < en->modules; i++)
        if (en->module[i].device && strcmp(en->module[i].name, name) == 0)
            open_module(&en->module[i]);
    unlock(en);
}

const char *engine_refusal(const struct hf_engine *en, const char *name) {
    const char *ret = NULL;
    lock(en);
    for (int i = 0; i < en->modules; i++)
        if (strcmp(en->module[i].name, name) == 0)
            ret = en->module[i].refusal;
    unlock(en);
    return ret;
}

/* ---- looking up ---- */

/* What a module has under a name. */
static const void *stage_in(const struct hf_plugin *p, const char *name, enum hf_device_kind kind) {
    (void)kind;
    for (const struct hf_stage_class *const *k = p->stages; k && *k; k++)
        if (strcmp((*k)->name, name) == 0)
            return *k;
    return NULL;
}

static const void *network_in(const struct hf_plugin *p, const char *name,
                              enum hf_device_kind kind) {
    (void)kind;
    for (const struct hf_network_class *const *k = p->networks; k && *k; k++)
        if (strcmp((*k)->name, name) == 0)
            return *k;
    return NULL;
}

static const void *device_in(const struct hf_plugin *p, const char *name,
                             enum hf_device_kind kind) {
    (void)kind;
    for (const struct hf_device_class *const *k = p->devices; k && *k; k++)
        if (strcmp((*k)->name, name) == 0)
            return *k;
    return NULL;
}

static const void *op_in(const struct hf_plugin *p, const char *name, enum hf_device_kind kind) {
    for (const struct hf_op *const *k = p->ops; k && *k; k++)
        if ((*k)->kind == kind && strcmp((*k)->name, name) == 0)
            return *k;
    return NULL;
}

/* Whether a module is called `file`, or is a companion of the one that is. */
static bool is_called(const struct module *m, const char *file) {
    size_t size = m->device ? (size_t)(m->device - m->name) - 1 : strlen(m->name);
    return strlen(file) == size && memcmp(m->name, file, size) == 0;
}

/* Whether a companion's device is one of that kind; its class was opened before its ops. */
static bool is_for(const struct hf_engine *en, const struct module *m, enum hf_device_kind kind) {
    for (int i = 0; i < en->modules; i++) {
        const struct hf_plugin *p = en->module[i].plugin;
        for (const struct hf_device_class *const *k = p ? p->devices : NULL; k && *k; k++)
            if ((*k)->op_kind == kind && strcmp((*k)->name, m->device) == 0)
                return true;
    }
    return false;
}

/* In the module called `file` and its companions, then in those that are open, then in all. */
static const void *look_up(const struct hf_engine *en,
                           const void *(*in)(const struct hf_plugin *, const char *,
                                             enum hf_device_kind),
                           const char *file, const char *name, enum hf_device_kind kind,
                           const struct module **ret_module) {
    const void *found = NULL;
    lock(en);
    for (int round = 0; round < 3 && !found; round++)
        for (int i = 0; i < en->modules && !found; i++) {
            struct module *m = &en->module[i];
            if (round == 0 ? !is_called(m, file) : round == 1 && !m->tried)
                continue;
            if (m->device && (in != op_in || !is_for(en, m, kind)))
                continue;
            open_module(m);
            found = m->plugin ? in(m->plugin, name, kind) : NULL;
            if (found && ret_module)
                *ret_module = m;
        }
    unlock(en);
    return found;
}

const struct hf_stage_class *engine_stage(const struct hf_engine *en, const char *name,
                                          const struct module **ret_module) {
    return look_up(en, stage_in, name, name, HF_KIND_CPU, ret_module);
}

const struct hf_network_class *engine_network(const struct hf_engine *en, const char *name) {
    return look_up(en, network_in, name, name, HF_KIND_CPU, NULL);
}

const struct hf_device_class *engine_device(const struct hf_engine *en, const char *name) {
    return look_up(en, device_in, name, name, HF_KIND_CPU, NULL);
}

static const struct hf_op *find_op_in(const struct hf_engine *en, const char *name,
                                      enum hf_device_kind kind, const struct module **ret_module) {
    /* "threshold.gate" is of the module threshold; a plain name is the device's, which is open. */
    char file[64] = "";
    size_t size = strcspn(name, ".");
    if (name[size] == '.' && size < sizeof file)
        memcpy(file, name, size);
    return look_up(en, op_in, file, name, kind, ret_module);
}

const struct hf_op *engine_op(const struct hf_engine *en, const char *name,
                              enum hf_device_kind kind) {
    return find_op_in(en, name, kind, NULL);
}

const struct module *engine_network_module(const struct hf_engine *en, const char *name) {
    const struct module *m = NULL;
    (void)look_up(en, network_in, name, name, HF_KIND_CPU, &m);
    return m;
}

const struct module *engine_device_module(const struct hf_engine *en, const char *name) {
    const struct module *m = NULL;
    (void)look_up(en, device_in, name, name, HF_KIND_CPU, &m);
    return m;
}

const struct module *engine_op_module(const struct hf_engine *en, const char *name,
                                      enum hf_device_kind kind) {
    const struct module *m = NULL;
    (void)find_op_in(en, name, kind, &m);
    return m;
}

const char *engine_missing_op(const struct hf_engine *en, const struct hf_stage_class *cls,
                              enum hf_device_kind op_kind) {
    for (const char *const *op = cls->ops; op && *op; op++)
        if (!engine_op(en, *op, op_kind))
            return *op;
    return NULL;
}

const char *engine_op_refusal(const struct hf_engine *en, const char *op, const char *device) {
    char name[128];
    (void)snprintf(name, sizeof name, "%.*s.%s", (int)strcspn(op, "."), op, device);
    return engine_refusal(en, name);
}

const char *engine_stage_name(const struct hf_engine *en, int i) {
    engine_open_all(en);
    for (int m = 0; m < en->modules; m++) {
        const struct hf_plugin *p = en->module[m].plugin;
        for (const struct hf_stage_class *const *k = p ? p->stages : NULL; k && *k; k++)
            if (i-- == 0)
                return (*k)->name;
    }
    return NULL;
}

const char *engine_network_name(const struct hf_engine *en, int i) {
    engine_open_all(en);
    for (int m = 0; m < en->modules; m++) {
        const struct hf_plugin *p = en->module[m].plugin;
        for (const struct hf_network_class *const *k = p ? p->networks : NULL; k && *k; k++)
            if (i-- == 0)
                return (*k)->name;
    }
    return NULL;
}

static const struct hf_device_class *device_at(const struct hf_engine *en, int i) {
    engine_open_all(en);
    for (int m = 0; m < en->modules; m++) {
        const struct hf_plugin *p = en->module[m].plugin;
        for (const struct hf_device_class *const *k = p ? p->devices : NULL; k && *k; k++)
            if (i-- == 0)
                return *k;
    }
    return NULL;
}

const char *engine_device_name(const struct hf_engine *en, int i) {
    const struct hf_device_class *k = device_at(en, i);
    return k ? k->name : NULL;
}

const char *engine_kind_name(const struct hf_engine *en, enum hf_device_kind kind) {
    const struct hf_device_class *k;
    for (int i = 0; (k = device_at(en, i)); i++)
        if (k->kind == kind)
            return k->name;
    return NULL;
}

/* Of those of one priority, the first stands first. */
const struct hf_device_class *engine_device_ranked(const struct hf_engine *en, int i) {
    const struct hf_device_class *last = NULL, *k;
    int last_at = -1;
    do {
        const struct hf_device_class *best = NULL;
        int best_at = -1;
        for (int at = 0; (k = device_at(en, at)); at++) {
            bool left = !last || k->priority < last->priority ||
                        (k->priority == last->priority && at > last_at);
            if (k->priority >= 0 && left && (!best || k->priority > best->priority)) {
                best = k;
                best_at = at;
            }
        }
        last = best;
        last_at = best_at;
    } while (last && i-- > 0);
    return last;
}

const char *engine_lost_device(const struct hf_engine *en, int i, const char **ret_why) {
    engine_open_all(en);
    for (int m = 0; m < en->modules; m++) {
        const struct module *lost = &en->module[m];
        bool wanted = false;
        for (int k = 0; k < en->modules && lost->refusal && !lost->device; k++)
            wanted =
                wanted || (en->module[k].device && strcmp(en->module[k].device, lost->name) == 0);
        if (wanted && i-- == 0) {
            *ret_why = lost->refusal;
            return lost->name;
        }
    }
    return NULL;
}

enum hf_status engine_device_open(const struct hf_device_class *cls,
                                  const struct hf_device_options *options, struct hf_device **ret,
                                  struct hf_error *e) {
    struct hf_device *d = NULL;
    enum hf_status st = cls->open(options, &d, e);
    if (st != HF_OK)
        return st;
    const struct hf_device_methods *m = d ? d->methods : NULL;
    uint32_t size = m ? m->size : 0;
    if (size < sizeof *m) {
        if (size >= offsetof(struct hf_device_methods, alloc))
            m->destroy(d);
        return hf_fail(e, HF_ABI,
                       "the module of the device '%s' has a table of methods of %u bytes, not %zu: "
                       "rebuild it",
                       cls->name, size, sizeof *m);
    }
    *ret = d;
    return HF_OK;
}

/* ---- the engine ---- */

static const struct hf_op *find_op(void *engine, const char *name, enum hf_device_kind kind) {
    return engine_op(engine, name, kind);
}

enum hf_status hf_engine_open(struct hf_engine **ret, struct hf_error *e) {
    struct hf_engine *en = calloc(1, sizeof *en);
    pthread_mutex_t *mutex = malloc(sizeof *mutex);
    struct services *sv = NULL;
    enum hf_status st = en && mutex ? services_new(&sv, e)
                                    : hf_fail(e, HF_NO_MEMORY, "out of memory for the engine");
    if (st != HF_OK) {
        free(en);
        free(mutex);
        return st;
    }
    (void)pthread_mutex_init(mutex, NULL);
    en->lock = mutex;
    en->host = &sv->host;
    sv->find_op = find_op;
    sv->arg = en;
    st = scan_all(en, e);
    if (st == HF_OK)
        *ret = en;
    else
        hf_engine_close(en);
    return st;
}

void hf_engine_close(struct hf_engine *en) {
    if (!en)
        return;
    services_free(services_of(en->host));
    for (int i = 0; i < en->modules; i++) {
        if (en->module[i].handle)
            (void)dlclose(en->module[i].handle);
        clear_module(&en->module[i]);
    }
    free(en->module);
    free(en->warning);
    (void)pthread_mutex_destroy(en->lock);
    free(en->lock);
    free(en);
}

void hf_free(void *p) {
    free(p);
}
