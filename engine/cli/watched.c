/*
 * watched.c - the files that a graph and its results are made of (see watched.h): those of the
 * graph itself as its text tells them, modules, and what the last round has left of all that it
 * read.
 */
#include "cli/watched.h"

#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/round.h"
#include "engine.h"
#include "graph/files.h"

struct folder {
    struct watched *watched;
    char *path;
    bool gone; /* it was removed or renamed: another one may have its path */
    uv_fs_event_t event;
    struct folder *next;
};

struct file {
    char *path, *real; /* the same but where it is a link */
    struct digest digest;
    struct stat info;     /* when that was taken */
    bool read;            /* it has a digest */
    bool listed, input;   /* by the graph as it is now; by the last round */
    struct folder *at[2]; /* of `path` and `real` */
};

struct watched {
    uv_loop_t *loop;
    const struct run_request *request;
    const char *program;
    void (*on_event)(void *arg);
    void *arg;
    int round;          /* the file that rounds leave */
    struct digest left; /* what was found there last */
    time_t began;       /* the last round */
    int files, capacity;
    struct file *file;
    struct folder *folder;
};

/* ---- folders ---- */

static bool is_part(const char *path, const char *name) {
    size_t size = strlen(name);
    for (const char *at = path; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (strncmp(at, name, size) == 0 && (at[size] == 0 || at[size] == '/'))
            return true;
    }
    return false;
}

static bool is_base(const char *path, const char *name) {
    const char *slash = strrchr(path, '/');
    return strcmp(slash ? slash + 1 : path, name) == 0;
}

/* Folders see much more than the files of the graph, its results among them. */
static bool concerns(const struct watched *w, const char *name) {
    size_t size = strlen(name);
    bool ret = size > 3 && strcmp(name + size - 3, ".so") == 0;
    for (int i = 0; i < w->files && !ret; i++)
        ret = is_part(w->file[i].path, name) || is_part(w->file[i].real, name);
    return ret;
}

/* What happens to the folder itself comes with its own name. */
static void on_change(uv_fs_event_t *event, const char *name, int events, int status) {
    struct folder *f = event->data;
    (void)events;
    if (name && is_base(f->path, name)) {
        f->gone = true;
        (void)uv_fs_event_stop(event);
    }
    if (status == 0 && (!name || concerns(f->watched, name)))
        f->watched->on_event(f->watched->arg);
}

static struct folder *folder_new(struct watched *w, const char *path) {
    struct folder *f = calloc(1, sizeof *f);
    if (!f || !(f->path = strdup(path)) || uv_fs_event_init(w->loop, &f->event) != 0) {
        if (f)
            free(f->path);
        free(f);
        return NULL;
    }
    f->watched = w;
    f->event.data = f;
    f->next = w->folder;
    w->folder = f;
    int code = uv_fs_event_start(&f->event, on_change, f->path, 0);
    if (code != 0)
        fprintf(stderr, "hepaflow run: warning: changes in '%s' are not seen: %s\n", f->path,
                uv_strerror(code));
    return f;
}

/* The folder of the file or, while that is not there, the one that it will come into. */
static struct folder *folder_of(struct watched *w, const char *file) {
    char path[PATH_MAX];
    struct stat info;
    if (snprintf(path, sizeof path, "%s", file) >= (int)sizeof path)
        return NULL;
    do {
        const char *up = dirname(path);
        memmove(path, up, strlen(up) + 1);
    } while (stat(path, &info) != 0 && strcmp(path, "/") != 0 && strcmp(path, ".") != 0);
    for (struct folder *f = w->folder; f; f = f->next)
        if (!f->gone && strcmp(f->path, path) == 0)
            return f;
    return folder_new(w, path);
}

static bool is_beside(const struct folder *f, const char *file) {
    size_t size = f ? strlen(f->path) : 0;
    const char *slash = strrchr(file, '/');
    if (!f || f->gone)
        return false;
    return slash ? (size_t)(slash - file) == size && strncmp(f->path, file, size) == 0
                 : strcmp(f->path, ".") == 0;
}

static void watch_file(struct watched *w, struct file *f) {
    const char *const path[2] = {f->path, f->real};
    for (int i = 0; i < 2; i++)
        if (!is_beside(f->at[i], path[i]))
            f->at[i] = folder_of(w, path[i]);
}

/* ---- files ---- */

static struct file *file_for(struct watched *w, const char *path) {
    for (int i = 0; i < w->files; i++)
        if (strcmp(w->file[i].path, path) == 0)
            return &w->file[i];
    if (w->files == w->capacity) {
        int n = w->capacity ? 2 * w->capacity : 64;
        struct file *more = realloc(w->file, (size_t)n * sizeof *more);
        if (!more)
            return NULL;
        w->file = more;
        w->capacity = n;
    }
    struct file *f = &w->file[w->files];
    *f = (struct file){.path = strdup(path), .real = realpath(path, NULL)};
    if (!f->real)
        f->real = strdup(path);
    if (!f->path || !f->real) {
        free(f->path);
        free(f->real);
        return NULL;
    }
    w->files++;
    return f;
}

static void list_file(void *arg, const char *path) {
    struct file *f = file_for(arg, path);
    if (f)
        f->listed = true;
}

static void forget_unlisted(struct watched *w) {
    int kept = 0;
    for (int i = 0; i < w->files; i++) {
        if (w->file[i].listed || w->file[i].input) {
            w->file[kept++] = w->file[i];
        } else {
            free(w->file[i].path);
            free(w->file[i].real);
        }
    }
    w->files = kept;
}

/* A file as the round has read it, of which what is there now may differ already. */
static void take_input(struct watched *w, const struct term *t) {
    struct file *f = file_for(w, t->note);
    struct digest digest;
    if (!f)
        return;
    f->input = true;
    if (!digest_parse(t->value, &digest)) { /* it was not there */
        f->read = false;
    } else if (!f->read || !digest_same(digest, f->digest)) {
        f->read = true;
        f->digest = digest;
        if (stat(f->path, &f->info) != 0 || f->info.st_mtime >= w->began ||
            f->info.st_ctime >= w->began)
            f->info = (struct stat){0}; /* it is read again when it is looked at */
    }
}

/* What the last round reads, once it has said that. */
static void take_inputs(struct watched *w) {
    struct terms terms;
    struct digest digest;
    if (w->round >= 0 && round_read(w->round, &terms, &digest)) {
        if (!digest_same(digest, w->left)) {
            for (int i = 0; i < w->files; i++)
                w->file[i].input = false;
            for (int i = 0; i < terms.count; i++)
                if (terms.term[i].kind == TERM_FILE)
                    take_input(w, &terms.term[i]);
            w->left = digest;
        }
        terms_clear(&terms);
    }
}

static void list_files(struct watched *w) {
    const struct sets *sets = &w->request->sets;
    struct hf_engine *engine = NULL;
    struct hf_error e;
    for (int i = 0; i < w->files; i++)
        w->file[i].listed = false;
    bool whole = graph_files(w->request->graph, sets->item, sets->count, list_file, w);
    list_file(w, w->program);
    whole = hf_engine_open(&engine, &e) == HF_OK && whole;
    for (int i = 0; engine && i < engine->modules; i++)
        list_file(w, engine->module[i].path);
    if (engine)
        hf_engine_close(engine);
    take_inputs(w);
    if (whole)
        forget_unlisted(w);
    for (int i = 0; i < w->files; i++)
        watch_file(w, &w->file[i]);
}

/* Whether a file has other content than when it was last looked at. One that is gone is about to
 * come back: it is being written. */
static bool file_changed(struct file *f) {
    struct stat info;
    struct digest digest;
    struct hf_error e;
    if (stat(f->path, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    if (f->read && info.st_ino == f->info.st_ino && info.st_size == f->info.st_size &&
        info.st_mtim.tv_sec == f->info.st_mtim.tv_sec &&
        info.st_mtim.tv_nsec == f->info.st_mtim.tv_nsec)
        return false;
    if (digest_file(f->path, &digest, NULL, &e) != HF_OK)
        return false;
    bool changed = !f->read || !digest_same(digest, f->digest);
    f->read = true;
    f->info = info;
    f->digest = digest;
    return changed;
}

int watched_look(struct watched *w, const char **ret_path, int most) {
    int changed = 0;
    list_files(w);
    for (int i = 0; i < w->files; i++)
        if (file_changed(&w->file[i]) && changed++ < most)
            ret_path[changed - 1] = w->file[i].path;
    return changed;
}

int watched_count(const struct watched *w) {
    int ret = 0;
    for (int i = 0; i < w->files; i++)
        ret += w->file[i].read;
    return ret;
}

/* ---- the whole ---- */

struct watched *watched_new(uv_loop_t *loop, const struct run_request *request, const char *program,
                            void (*on_event)(void *arg), void *arg) {
    struct watched *w = calloc(1, sizeof *w);
    if (w)
        *w = (struct watched){.loop = loop,
                              .request = request,
                              .program = program,
                              .on_event = on_event,
                              .arg = arg,
                              .round = -1};
    return w;
}

void watched_free(struct watched *w) {
    if (!w)
        return;
    for (int i = 0; i < w->files; i++)
        w->file[i].listed = w->file[i].input = false;
    forget_unlisted(w);
    free(w->file);
    for (struct folder *f = w->folder, *next; f; f = next) {
        next = f->next;
        free(f->path);
        free(f);
    }
    free(w);
}

void watched_round(struct watched *w, int fd) {
    w->round = fd;
    w->began = time(NULL) - 1; /* times of files are not those of the clock to the last bit */
    for (int i = 0; i < w->files; i++) /* a round that goes without it: it counts when it comes */
        if (access(w->file[i].path, F_OK) != 0)
            w->file[i].read = false;
}
