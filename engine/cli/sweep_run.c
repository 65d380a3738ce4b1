/*
 * sweep_run.c - runs the arms of a sweep: each run is `hepaflow run --json` in a process of its
 * own, so that one that fails, or crashes, takes no other with it. What they say moves one line.
 */
#include "cli/sweep.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <uv.h>

#include "cli/child.h"
#include "run/run.h"

#define LINE_MAX_BYTES ((size_t)1 << 20) /* of an event; a longer one is not looked at */

struct all;

/* A line that is being read. */
struct line {
    char *bytes;
    size_t size, capacity;
    bool cut; /* it was too long */
};

struct child {
    struct all *all;
    struct sweep_run *run;
    bool busy;
    int handles; /* that are open */
    uv_process_t process;
    uv_pipe_t pipe[2]; /* its stdout and stderr */
    struct line line[2];
    char block[16384];
    char said[512]; /* its last line on stderr */
    int64_t exit;
    int signal;
    bool ended; /* it has said how */
    int jobs, reused;
    uint64_t began; /* ns */
};

struct all {
    const struct sweep *sw;
    const struct sweep_start *how;
    struct sweep_run *run;
    bool *begun;    /* per run */
    int runs, over; /* runs that are over */
    uv_loop_t loop;
    uv_signal_t stop[2];
    int signal; /* that canceled it, or 0 */
    char program[PATH_MAX];
    struct child *child;
    int busy;
    bool terminal, line; /* a live line stands there */
    uint64_t drawn;
};

static void finish(struct child *c);
static void start_more(struct all *all);

/* ---- what is shown ---- */

static void clear_line(struct all *all) {
    if (all->line)
        fputs("\r\033[K", stdout);
    all->line = false;
}

static const char *title_of(const struct all *all, const struct sweep_run *run, char *text,
                            size_t size) {
    int n = snprintf(text, size, "%s", all->sw->arm[run->arm].name);
    if (all->sw->seeds > 1 && n > 0 && (size_t)n < size)
        (void)snprintf(text + n, size - (size_t)n, " seed %lld",
                       (long long)all->sw->seed[run->seed]);
    return text;
}

/* "3/12 value=0.3 seed 66: [2/6] spotter  43 %  (2 at once)" */
static void draw(struct child *c, const cJSON *event) {
    struct all *all = c->all;
    uint64_t now = uv_hrtime();
    if (!all->terminal || (all->line && now - all->drawn < 100000000))
        return;
    char title[256], text[512];
    const char *job = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "job"));
    double done = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(event, "done"));
    double total = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(event, "total"));
    double jobs = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(event, "jobs_total"));
    double gone = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(event, "jobs_done"));
    int n = snprintf(text, sizeof text, "%d/%d %s: ", all->over + 1, all->runs,
                     title_of(all, c->run, title, sizeof title));
    if (job)
        n += snprintf(text + n, sizeof text - (size_t)n, "[%.0f/%.0f] %.60s", gone + 1, jobs, job);
    if (total > 0)
        n += snprintf(text + n, sizeof text - (size_t)n, "  %.0f %%", 100 * done / total);
    if (all->busy > 1)
        n += snprintf(text + n, sizeof text - (size_t)n, "  (%d at once)", all->busy);
    size_t width = terminal_width();
    if ((size_t)n > width)
        text[width] = 0;
    printf("\r\033[K%s", text);
    (void)fflush(stdout);
    all->line = true;
    all->drawn = now;
}

static void tell_begin(struct child *c) {
    char title[256];
    if (c->all->terminal)
        draw(c, NULL);
    else
        printf("%s begins\n", title_of(c->all, c->run, title, sizeof title));
    (void)fflush(stdout);
}

static void tell_end(struct child *c) {
    struct all *all = c->all;
    char title[256], spent[32];
    clear_line(all);
    print_time(spent, sizeof spent, (double)(uv_hrtime() - c->began) * 1e-9);
    printf("%d/%d %s %s in %s", all->over, all->runs, title_of(all, c->run, title, sizeof title),
           sweep_state_name(c->run->state), spent);
    if (c->reused > 0)
        printf(", %d of %d jobs reused", c->reused, c->jobs);
    printf(c->run->state == SWEEP_FAILED ? ": %s\n" : "\n", c->run->error);
    (void)fflush(stdout);
}

/* ---- what a run says ---- */

static void keep_error(struct sweep_run *run, const char *text) {
    size_t size = strcspn(text, "\n");
    if (size >= sizeof run->error)
        size = sizeof run->error - 1;
    memcpy(run->error, text, size);
    run->error[size] = 0;
}

static void on_job_done(struct child *c, const cJSON *event) {
    const char *job = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "job"));
    const char *state = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "state"));
    c->jobs++;
    c->reused += state && strcmp(state, "reused") == 0;
    draw(c, event);
    if (c->all->how->share && job) {
        share_made(c->all->how->share, c->run, job);
        start_more(c->all);
    }
}

static void on_event(struct child *c, const char *text) {
    cJSON *event = cJSON_Parse(text);
    const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "event"));
    const char *error = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "error"));
    const char *level = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "level"));
    const char *said = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "text"));
    if (kind && strcmp(kind, "done") == 0) {
        c->run->state = SWEEP_DONE;
        c->ended = true;
    } else if (kind && (strcmp(kind, "failed") == 0 || strcmp(kind, "canceled") == 0)) {
        c->run->state = kind[0] == 'c' ? SWEEP_CANCELED : SWEEP_FAILED;
        keep_error(c->run, error ? error : "");
        c->ended = true;
    } else if (kind && strcmp(kind, "log") == 0) {
        if (level && strcmp(level, "warning") == 0 && said) {
            char title[256];
            clear_line(c->all);
            printf("warning: %s: %s\n", title_of(c->all, c->run, title, sizeof title), said);
        }
    } else if (kind && strcmp(kind, "job_done") == 0) {
        on_job_done(c, event);
    } else if (kind) {
        draw(c, event);
    }
    cJSON_Delete(event);
}

static void end_line(struct child *c, int which) {
    struct line *l = &c->line[which];
    if (l->size > 0 && !l->cut) {
        l->bytes[l->size] = 0;
        if (which == 0)
            on_event(c, l->bytes);
        else if (l->bytes[0] != ' ')
            (void)snprintf(c->said, sizeof c->said, "%s", l->bytes);
    }
    l->size = 0;
    l->cut = false;
}

static void take_bytes(struct child *c, int which, const char *bytes, size_t size) {
    struct line *l = &c->line[which];
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') {
            end_line(c, which);
            continue;
        }
        if (l->size + 2 > l->capacity) {
            size_t capacity = l->capacity ? 2 * l->capacity : 1024;
            char *more = capacity > LINE_MAX_BYTES ? NULL : realloc(l->bytes, capacity);
            l->cut = l->cut || !more;
            l->bytes = more ? more : l->bytes;
            l->capacity = more ? capacity : l->capacity;
        }
        if (!l->cut)
            l->bytes[l->size++] = bytes[i];
    }
}

/* ---- processes ---- */

static void on_closed(uv_handle_t *handle) {
    struct child *c = handle->data;
    if (--c->handles == 0)
        finish(c);
}

static void on_block(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    struct child *c = handle->data;
    (void)suggested;
    *buf = uv_buf_init(c->block, sizeof c->block);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf) {
    struct child *c = stream->data;
    int which = (uv_pipe_t *)stream == &c->pipe[1];
    if (size > 0) {
        take_bytes(c, which, buf->base, (size_t)size);
    } else if (size < 0) {
        end_line(c, which);
        uv_close((uv_handle_t *)stream, on_closed);
    }
}

static void on_exit_of(uv_process_t *process, int64_t status, int signal) {
    struct child *c = process->data;
    c->exit = status;
    c->signal = signal;
    uv_close((uv_handle_t *)process, on_closed);
}

/* The arguments of a run, in one block with the texts that are made for it. */
struct arguments {
    const char *word[2 * MAX_SETS + 20];
    char out[PATH_MAX], seed[32], workers[32];
};

static bool make_arguments(const struct all *all, const struct sweep_run *run,
                           struct arguments *ret) {
    const struct sweep_start *how = all->how;
    const struct sweep_arm *arm = &all->sw->arm[run->arm];
    char below[512];
    struct hf_error e;
    int n = 0;
    if (sweep_folder(all->sw, run, below, sizeof below, &e) != HF_OK ||
        snprintf(ret->out, sizeof ret->out, "%s/%s", how->out, below) >= (int)sizeof ret->out)
        return false;
    (void)snprintf(ret->seed, sizeof ret->seed, "%lld", (long long)all->sw->seed[run->seed]);
    int64_t workers = how->workers;
    if (workers == 0 && how->at_once > 1) {
        workers = (int64_t)uv_available_parallelism() / how->at_once;
        workers = workers > 1 ? workers : 1;
    }
    (void)snprintf(ret->workers, sizeof ret->workers, "%lld", (long long)workers);
    const char *const first[] = {all->program, "run",    how->graph, "--json",    "--out",
                                 ret->out,     "--seed", ret->seed,  "--workers", ret->workers};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        ret->word[n++] = first[i];
    ret->word[n++] = how->store ? "--store" : "--no-store";
    if (how->store)
        ret->word[n++] = how->store;
    for (int i = 0; i < how->sets->count + arm->sets; i++) {
        ret->word[n++] = "--set";
        ret->word[n++] = i < how->sets->count ? how->sets->item[i] : arm->set[i - how->sets->count];
    }
    ret->word[n] = NULL;
    return true;
}

static int spawn(struct child *c, struct arguments *a) {
    uv_stdio_container_t stream[3];
    for (int i = 0; i < 2; i++) {
        int code = uv_pipe_init(&c->all->loop, &c->pipe[i], 0);
        if (code != 0)
            return code;
        c->pipe[i].data = c;
        c->handles++;
        stream[i + 1].flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
        stream[i + 1].data.stream = (uv_stream_t *)&c->pipe[i];
    }
    c->process.data = c;
    c->handles++; /* even a process that could not be started has a handle to close */
    int code = child_start(&c->all->loop, &c->process, a->word, stream, 3, on_exit_of);
    if (code != 0) {
        uv_close((uv_handle_t *)&c->process, on_closed);
        return code;
    }
    for (int i = 0; i < 2 && code == 0; i++)
        code = uv_read_start((uv_stream_t *)&c->pipe[i], on_block, on_read);
    return code;
}

static void start(struct child *c, struct sweep_run *run) {
    struct arguments *a = calloc(1, sizeof *a);
    if (c->all->how->share)
        share_begins(c->all->how->share, run);
    c->run = run;
    c->busy = true;
    c->all->busy++;
    c->ended = false;
    c->jobs = c->reused = 0;
    c->said[0] = 0;
    c->exit = 0;
    c->signal = 0;
    c->began = uv_hrtime();
    c->handles = 1; /* this function, until all is open */
    struct hf_error e = {0};
    int code = UV_ENOMEM;
    if (sweep_forget(c->all->sw, run, c->all->how->out, &e) == HF_OK && a &&
        make_arguments(c->all, run, a)) {
        tell_begin(c);
        code = spawn(c, a);
    }
    free(a);
    if (code != 0) {
        (void)snprintf(c->said, sizeof c->said, "the run cannot be started: %.450s",
                       e.text[0] ? e.text : uv_strerror(code));
        c->exit = 1;
        for (int i = 0; i < 2; i++)
            if (c->pipe[i].data && !uv_is_closing((uv_handle_t *)&c->pipe[i]))
                uv_close((uv_handle_t *)&c->pipe[i], on_closed);
    }
    if (--c->handles == 0)
        finish(c);
}

/* The first run that need not wait for what another is making; NULL: none. */
static struct sweep_run *next_run(struct all *all) {
    for (int i = 0; i < all->runs && all->signal == 0; i++)
        if (!all->begun[i] &&
            !(all->how->share && share_must_wait(all->how->share, &all->run[i]))) {
            all->begun[i] = true;
            return &all->run[i];
        }
    return NULL;
}

static void start_more(struct all *all) {
    struct sweep_run *run;
    for (int i = 0; i < all->how->at_once; i++)
        if (!all->child[i].busy && (run = next_run(all)))
            start(&all->child[i], run);
    if (all->busy == 0)
        for (int i = 0; i < 2; i++)
            if (!uv_is_closing((uv_handle_t *)&all->stop[i]))
                uv_close((uv_handle_t *)&all->stop[i], NULL);
}

/* The process is gone and all it said was read. */
static void finish(struct child *c) {
    struct all *all = c->all;
    struct sweep_run *run = c->run;
    if (c->signal != 0 && !c->ended) {
        run->state = SWEEP_FAILED;
        (void)snprintf(run->error, sizeof run->error, "it was ended by signal %d (%s)%s%.300s",
                       c->signal, strsignal(c->signal), c->said[0] ? ": " : "", c->said);
    } else if (!c->ended || (c->exit != 0 && run->state == SWEEP_DONE)) {
        run->state = SWEEP_FAILED;
        keep_error(run, c->said[0] ? c->said : "it ended without a word");
    }
    if (all->signal != 0 && run->state == SWEEP_FAILED)
        run->state = SWEEP_CANCELED;
    if (all->how->share)
        share_ends(all->how->share, run);
    all->over++;
    all->busy--;
    c->busy = false;
    c->pipe[0].data = c->pipe[1].data = NULL;
    tell_end(c);
    start_more(all);
}

/* A signal from a terminal has reached the runs already: a run takes two at once for one. */
static void on_signal(uv_signal_t *handle, int number) {
    struct all *all = handle->data;
    all->signal = number;
    for (int i = 0; i < all->how->at_once; i++)
        if (all->child[i].busy && uv_is_active((uv_handle_t *)&all->child[i].process))
            (void)uv_process_kill(&all->child[i].process, number);
}

/* ---- the whole ---- */

bool sweep_run_all(const struct sweep *sw, struct sweep_run *run, const struct sweep_start *how) {
    struct all *all = calloc(1, sizeof *all);
    struct child *child = calloc((size_t)how->at_once, sizeof *child);
    bool *begun = calloc((size_t)(sw->arms * sw->seeds), sizeof *begun);
    int code = all && child && begun ? uv_loop_init(&all->loop) : UV_ENOMEM;
    if (code != 0) {
        fprintf(stderr, "hepaflow sweep: %s\n", uv_strerror(code));
        free(begun);
        free(child);
        free(all);
        return false;
    }
    all->sw = sw;
    all->how = how;
    all->run = run;
    all->runs = sw->arms * sw->seeds;
    all->child = child;
    all->begun = begun;
    all->terminal = isatty(STDOUT_FILENO);
    for (int i = 0; i < how->at_once; i++)
        child[i].all = all;
    code = child_prepare(&all->loop, all->stop, on_signal, all, all->program, sizeof all->program);
    if (code == 0)
        start_more(all);
    else
        fprintf(stderr, "hepaflow sweep: %s\n", uv_strerror(code));
    (void)uv_run(&all->loop, code == 0 ? UV_RUN_DEFAULT : UV_RUN_NOWAIT);
    (void)uv_loop_close(&all->loop);
    clear_line(all);
    for (int i = 0; i < all->runs && all->signal != 0; i++)
        if (run[i].state == SWEEP_WAITING)
            run[i].state = SWEEP_CANCELED;
    for (int i = 0; i < how->at_once; i++)
        for (int k = 0; k < 2; k++)
            free(child[i].line[k].bytes);
    free(begun);
    free(child);
    free(all);
    return code == 0;
}
