/*
 * watch.c - `hepaflow run --watch`: rounds of a graph, one after each change of what it is made of.
 * A round is `hepaflow run` in a process of its own: modules that were rebuilt are loaded anew, and
 * one that crashes ends its round alone.
 */
#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "cli/child.h"
#include "cli/watched.h"

#define SETTLE_MS 200 /* that nothing must change before a change is taken up */
#define MAX_TOLD  4   /* files that a line names */

struct watch {
    const struct run_request *request;
    uv_loop_t loop;
    uv_signal_t stop[2];
    uv_timer_t settle;
    uv_process_t round;
    bool running, again, stopping; /* again: a change is waiting for the round to end */
    int status;                    /* of the last round */
    FILE *left;                    /* by each round for the next one (round.h) */
    struct watched *watched;
    char program[PATH_MAX], workers[32], seed[32];
    const char *word[2 * MAX_SETS + 20];
};

static void start_round(struct watch *w);

/* ---- events ---- */

/* An edit in the middle of a round. */
static void tell_stopped(int changed, const char *const *path) {
    fputs(isatty(STDERR_FILENO) ? "\r\033[Kchanged: " : "changed: ", stderr);
    for (int i = 0; i < changed && i < MAX_TOLD; i++)
        fprintf(stderr, "%s%s", i > 0 ? ", " : "", path[i]);
    if (changed > MAX_TOLD)
        fprintf(stderr, ", and %d more", changed - MAX_TOLD);
    fputs("; the run is stopped\n", stderr);
}

static void on_settled(uv_timer_t *timer) {
    struct watch *w = timer->data;
    const char *path[MAX_TOLD];
    int changed = w->stopping ? 0 : watched_look(w->watched, path, MAX_TOLD);
    if (changed == 0)
        return;
    if (!w->running) {
        start_round(w);
    } else if (!w->again) {
        tell_stopped(changed, path);
        w->again = true;
        (void)uv_process_kill(&w->round, SIGINT);
    }
}

static void on_event(void *arg) {
    struct watch *w = arg;
    (void)uv_timer_start(&w->settle, on_settled, SETTLE_MS, 0);
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

/* Only now all is known that the round has read, and may have changed since. */
static void on_round_closed(uv_handle_t *handle) {
    struct watch *w = handle->data;
    w->running = false;
    if (w->stopping) {
        uv_walk(&w->loop, close_handle, NULL);
    } else if (w->again || watched_look(w->watched, NULL, 0) > 0) {
        start_round(w);
    } else {
        fprintf(stderr, "watching %d files; Ctrl-C ends\n", watched_count(w->watched));
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
    uv_stdio_container_t stream[] = {{.flags = UV_IGNORE},
                                     {.flags = UV_INHERIT_FD, .data.fd = STDOUT_FILENO},
                                     {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
                                     {.flags = UV_INHERIT_FD, .data.fd = fileno(w->left)}};
    w->again = false;
    w->running = true;
    w->round.data = w;
    watched_round(w->watched, fileno(w->left));
    int code = child_start(&w->loop, &w->round, w->word, stream, 4, on_round_exit);
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
    w->word[n++] = "--round"; /* what is left for it stands behind stdin, stdout and stderr */
    w->word[n++] = "3";
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
    int code = uv_timer_init(&w->loop, &w->settle);
    w->settle.data = w;
    if (code == 0)
        code = child_prepare(&w->loop, w->stop, on_signal, w, w->program, sizeof w->program);
    if (code == 0 && !(w->left = tmpfile()))
        code = uv_translate_sys_error(errno);
    if (code == 0 && !(w->watched = watched_new(&w->loop, w->request, w->program, on_event, w)))
        code = UV_ENOMEM;
    return code;
}

static void close_watch(struct watch *w) {
    (void)uv_loop_close(&w->loop);
    watched_free(w->watched);
    if (w->left)
        (void)fclose(w->left);
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
        (void)watched_look(w->watched, NULL, 0);
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
