/*
 * watch.c - `hepaflow run --watch`: rounds of a graph, one after each change of what it is made of.
 * A round is `hepaflow run` in a process of its own: modules that were rebuilt are loaded anew, and
 * one that crashes ends its round alone. Folders are watched rather than files, since editors and
 * linkers put a new file in the place of the old one.
 */
#include "cli/cli.h"

#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "engine.h"
#include "graph/files.h"
#include "store/store.h"

#define SETTLE_MS 200 /* that nothing must change before a change is taken up */
#define MAX_TOLD  4   /* files that a line names */

struct file {
    char *path, *real; /* the same but where it is a link */
    struct digest digest;
    struct stat info; /* when that was taken */
    bool read;        /* it was there at some time */
    bool listed;      /* the graph as it is now has it */
};

struct folder {
    struct watch *watch;
    char *path;
    uv_fs_event_t event;
    struct folder *next;
};

struct watch {
    const struct run_request *request;
    uv_loop_t loop;
    uv_signal_t stop[2];
    uv_timer_t settle;
    uv_process_t round;
    bool running, again, stopping; /* again: a change is waiting for the round to end */
    int status;                    /* of the last round */
    int files;
    struct file *file;
    struct folder *folder;
    char program[PATH_MAX], workers[32], seed[32];
    const char *word[2 * MAX_SETS + 20];
};

static void start_round(struct watch *w);

/* ---- what is watched ---- */

static void on_change(uv_fs_event_t *event, const char *name, int events, int status);

static void watch_folder(struct watch *w, const char *file) {
    char text[PATH_MAX];
    if (snprintf(text, sizeof text, "%s", file) >= (int)sizeof text)
        return;
    const char *path = dirname(text);
    for (const struct folder *f = w->folder; f; f = f->next)
        if (strcmp(f->path, path) == 0 && uv_is_active((const uv_handle_t *)&f->event))
            return;
    struct folder *f = calloc(1, sizeof *f);
    if (!f || !(f->path = strdup(path)) || uv_fs_event_init(&w->loop, &f->event) != 0) {
        if (f)
            free(f->path);
        free(f);
        return;
    }
    f->watch = w;
    f->event.data = f;
    f->next = w->folder;
    w->folder = f;
    int code = uv_fs_event_start(&f->event, on_change, f->path, 0);
    if (code != 0 && code != UV_ENOENT) /* a folder that is not there has its message elsewhere */
        fprintf(stderr, "hepaflow run: warning: changes in '%s' are not seen: %s\n", f->path,
                uv_strerror(code));
}

static void list_file(void *arg, const char *path) {
    struct watch *w = arg;
    for (int i = 0; i < w->files; i++)
        if (strcmp(w->file[i].path, path) == 0) {
            w->file[i].listed = true;
            return;
        }
    struct file *more = realloc(w->file, ((size_t)w->files + 1) * sizeof *more);
    if (!more)
        return;
    w->file = more;
    struct file *f = &more[w->files];
    *f = (struct file){.path = strdup(path), .real = realpath(path, NULL), .listed = true};
    if (!f->real)
        f->real = strdup(path);
    if (!f->path || !f->real) {
        free(f->path);
        free(f->real);
        return;
    }
    w->files++;
    watch_folder(w, f->path);
    watch_folder(w, f->real);
}

static void forget_unlisted(struct watch *w) {
    int kept = 0;
    for (int i = 0; i < w->files; i++) {
        if (w->file[i].listed) {
            w->file[kept++] = w->file[i];
        } else {
            free(w->file[i].path);
            free(w->file[i].real);
        }
    }
    w->files = kept;
}

static void list_files(struct watch *w) {
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
    if (whole)
        forget_unlisted(w);
}

/* Whether a file has other content than when it was last looked at. One that is gone is about to
 * come back: it is being written. */
static bool file_changed(struct file *f) {
    struct stat info;
    struct digest digest;
    struct hf_error e;
    if (stat(f->path, &info) != 0)
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

/* Looks at all files, and with `tell` says which have changed; how many that are. */
static int look(struct watch *w, bool tell) {
    int changed = 0;
    const char *first = w->running && isatty(STDERR_FILENO) ? "\r\033[Kchanged: " : "changed: ";
    list_files(w);
    for (int i = 0; i < w->files; i++)
        if (file_changed(&w->file[i]) && changed++ < MAX_TOLD && tell)
            fprintf(stderr, "%s%s", changed == 1 ? first : ", ", w->file[i].path);
    if (tell && changed > MAX_TOLD)
        fprintf(stderr, ", and %d more", changed - MAX_TOLD);
    if (tell && changed > 0)
        fputs(w->running ? "; the run is stopped\n" : "\n", stderr);
    return changed;
}

/* ---- events ---- */

static bool is_base(const char *path, const char *name) {
    const char *slash = strrchr(path, '/');
    return strcmp(slash ? slash + 1 : path, name) == 0;
}

/* Folders see much more than the files of the graph, its results among them. */
static bool concerns(const struct watch *w, const char *name) {
    size_t size = strlen(name);
    bool ret = size > 3 && strcmp(name + size - 3, ".so") == 0;
    for (int i = 0; i < w->files && !ret; i++)
        ret = is_base(w->file[i].path, name) || is_base(w->file[i].real, name);
    return ret;
}

static void on_settled(uv_timer_t *timer) {
    struct watch *w = timer->data;
    if (w->stopping || look(w, true) == 0)
        return;
    if (!w->running) {
        start_round(w);
    } else if (!w->again) {
        w->again = true;
        (void)uv_process_kill(&w->round, SIGINT);
    }
}

static void on_change(uv_fs_event_t *event, const char *name, int events, int status) {
    const struct folder *f = event->data;
    (void)events;
    if (status == 0 && (!name || concerns(f->watch, name)))
        (void)uv_timer_start(&f->watch->settle, on_settled, SETTLE_MS, 0);
}

static void close_handle(uv_handle_t *handle, void *arg) {
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* A signal from a terminal has reached the round already: a run takes two at once for one. */
static void on_signal(uv_signal_t *handle, int number) {
    struct watch *w = handle->data;
    w->stopping = true;
    if (w->running)
        (void)uv_process_kill(&w->round, number);
    else
        uv_walk(&w->loop, close_handle, NULL);
}

/* ---- rounds ---- */

static void on_round_closed(uv_handle_t *handle) {
    struct watch *w = handle->data;
    w->running = false;
    if (w->stopping) {
        uv_walk(&w->loop, close_handle, NULL);
    } else if (w->again) {
        start_round(w);
    } else {
        fprintf(stderr, "watching %d files; Ctrl-C ends\n", w->files);
    }
}

static void on_round_exit(uv_process_t *process, int64_t status, int signal) {
    struct watch *w = process->data;
    w->status = signal ? EXIT_FAILED : (int)status;
    if (signal && !w->stopping && !w->again)
        fprintf(stderr, "hepaflow run: the run was ended by signal %d (%s)\n", signal,
                strsignal(signal));
    uv_close((uv_handle_t *)process, on_round_closed);
}

static void start_round(struct watch *w) {
    uv_stdio_container_t stream[3] = {{.flags = UV_IGNORE}};
    for (int i = 1; i < 3; i++) {
        stream[i].flags = UV_INHERIT_FD;
        stream[i].data.fd = i;
    }
    const uv_process_options_t options = {.exit_cb = on_round_exit,
                                          .file = w->program,
                                          .args = (char **)(uintptr_t)w->word,
                                          .stdio = stream,
                                          .stdio_count = 3};
    w->again = false;
    w->running = true;
    w->round.data = w;
    int code = uv_spawn(&w->loop, &w->round, &options);
    if (code != 0) {
        fprintf(stderr, "hepaflow run: the run cannot be started: %s\n", uv_strerror(code));
        w->status = EXIT_FAILED;
        uv_close((uv_handle_t *)&w->round, on_round_closed);
    }
}

static void make_words(struct watch *w) {
    const struct run_request *r = w->request;
    const struct {
        const char *name, *value;
    } valued[] = {{"--out", r->out},
                  {"--device", r->device},
                  {"--trace", r->trace},
                  {"--store", r->store},
                  {"--workers", r->workers > 0 ? w->workers : NULL},
                  {"--seed", r->seed >= 0 ? w->seed : NULL}};
    int n = 0;
    (void)snprintf(w->workers, sizeof w->workers, "%lld", (long long)r->workers);
    (void)snprintf(w->seed, sizeof w->seed, "%lld", (long long)r->seed);
    w->word[n++] = w->program;
    w->word[n++] = "run";
    for (size_t i = 0; i < sizeof valued / sizeof *valued; i++)
        if (valued[i].value) {
            w->word[n++] = valued[i].name;
            w->word[n++] = valued[i].value;
        }
    for (int i = 0; i < r->sets.count; i++) {
        w->word[n++] = "--set";
        w->word[n++] = r->sets.item[i];
    }
    if (r->json)
        w->word[n++] = "--json";
    if (r->no_store)
        w->word[n++] = "--no-store";
    w->word[n++] = "--";
    w->word[n++] = r->graph;
    w->word[n] = NULL;
}

/* ---- the whole ---- */

static int open_watch(struct watch *w) {
    size_t size = sizeof w->program;
    int code = uv_exepath(w->program, &size);
    if (code == 0)
        code = uv_timer_init(&w->loop, &w->settle);
    w->settle.data = w;
    for (int i = 0; i < 2 && code == 0; i++) {
        code = uv_signal_init(&w->loop, &w->stop[i]);
        w->stop[i].data = w;
        if (code == 0)
            code = uv_signal_start(&w->stop[i], on_signal, i == 0 ? SIGINT : SIGTERM);
    }
    return code;
}

static void close_watch(struct watch *w) {
    (void)uv_loop_close(&w->loop);
    for (int i = 0; i < w->files; i++)
        w->file[i].listed = false;
    forget_unlisted(w);
    free(w->file);
    for (struct folder *f = w->folder, *next; f; f = next) {
        next = f->next;
        free(f->path);
        free(f);
    }
}

int run_watch(const struct run_request *r) {
    struct watch *w = calloc(1, sizeof *w);
    int code = w ? uv_loop_init(&w->loop) : UV_ENOMEM;
    if (code != 0) {
        fprintf(stderr, "hepaflow run: %s\n", uv_strerror(code));
        free(w);
        return EXIT_FAILED;
    }
    w->request = r;
    w->status = EXIT_FAILED;
    code = open_watch(w);
    if (code == 0) {
        make_words(w);
        (void)look(w, false);
        start_round(w);
    } else {
        fprintf(stderr, "hepaflow run: %s\n", uv_strerror(code));
        uv_walk(&w->loop, close_handle, NULL);
    }
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    int status = w->status;
    close_watch(w);
    free(w);
    return status;
}
