/*
 * progress.c - runs a plan and shows it: one live line on a terminal, plain lines elsewhere, or one
 * JSON object a line; in the end the scores.
 */
#include "cli/cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "engine.h"

#define MAX_JOBS    64
#define MAX_RESULTS 64
#define MAX_COLUMNS 12

struct job_view {
    char name[64];
    double started;           /* seconds since the run began */
    double shown;             /* when a plain line last told of it */
    double speed;             /* samples a second since it began; 0: not known */
    double done, total, loss; /* as last heard */
};

struct view {
    bool terminal, json;
    int jobs;
    struct job_view job[MAX_JOBS]; /* that are running */
    double drawn;                  /* when the live line was last drawn */
    bool line;                     /* a live line stands there */
    const struct hf_plan *plan;
    int results; /* in the order of the plan's stages, as in scores.json */
    int result_stage[MAX_RESULTS];
    char *result_name[MAX_RESULTS];
    cJSON *result[MAX_RESULTS];
};

/* ---- the live line ---- */

static void clear_line(struct view *v) {
    if (v->line)
        fputs("\r\033[K", stdout);
    v->line = false;
}

void print_time(char *out, size_t size, double seconds) {
    long s = seconds < 0 || seconds > 1e7 ? 0 : (long)(seconds + 0.5);
    if (s >= 3600)
        (void)snprintf(out, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        (void)snprintf(out, size, "%ld:%02ld", s / 60, s % 60);
}

size_t terminal_width(void) {
    struct winsize window;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1)
        return (size_t)window.ws_col - 1;
    return 79;
}

/* "[2/6] spotter  43 %  12.3 samples/s  loss 0.1234  1:20 left" */
static void print_job(char *out, size_t size, const struct job_view *j,
                      const struct hf_run_event *ev) {
    size_t n =
        (size_t)snprintf(out, size, "[%d/%d] %s", ev->jobs_done + 1, ev->jobs_total, j->name);
    double part = j->total > 0 ? j->done / j->total : 0;
    if (j->total > 0 && n < size)
        n += (size_t)snprintf(out + n, size - n, "  %.0f %%", 100 * part);
    if (j->speed > 0 && n < size)
        n += (size_t)snprintf(out + n, size - n, "  %.*f samples/s", j->speed < 10 ? 1 : 0,
                              j->speed);
    if (!isnan(j->loss) && n < size)
        n += (size_t)snprintf(out + n, size - n, "  loss %.4f", j->loss);
    double spent = ev->seconds - j->started;
    if (part > 0.01 && part < 1 && spent > 1 && n < size) {
        char left[32];
        print_time(left, sizeof left, spent * (1 - part) / part);
        (void)snprintf(out + n, size - n, "  %s left", left);
    }
}

static void draw(struct view *v, const struct job_view *j, const struct hf_run_event *ev) {
    char line[256];
    size_t width = terminal_width();
    print_job(line, sizeof line, j, ev);
    if (strlen(line) > width && width < sizeof line)
        line[width] = 0;
    printf("\r\033[K%s", line);
    (void)fflush(stdout);
    v->line = true;
    v->drawn = ev->seconds;
}

/* ---- events ---- */

static struct job_view *find_job(struct view *v, const struct hf_run_event *ev, bool make) {
    const char *name = ev->job ? ev->job : "";
    for (int i = 0; i < v->jobs; i++)
        if (strcmp(v->job[i].name, name) == 0)
            return &v->job[i];
    if (!make || v->jobs == MAX_JOBS)
        return NULL;
    struct job_view *j = &v->job[v->jobs++];
    *j = (struct job_view){.started = ev->seconds, .loss = NAN};
    j->shown = ev->seconds;
    (void)snprintf(j->name, sizeof j->name, "%s", name);
    return j;
}

static void on_progress(struct view *v, const struct hf_run_event *ev) {
    struct job_view *j = find_job(v, ev, true);
    if (!j)
        return;
    j->done = ev->done;
    j->total = ev->total;
    j->loss = ev->loss;
    double spent = ev->seconds - j->started;
    j->speed = spent > 1 ? ev->samples / spent : 0;
    if (v->terminal) {
        if (ev->seconds - v->drawn > 0.1)
            draw(v, j, ev);
    } else if (ev->seconds - j->shown >= 10) {
        char line[256];
        print_job(line, sizeof line, j, ev);
        puts(line);
        (void)fflush(stdout);
        j->shown = ev->seconds;
    }
}

static void on_job(struct view *v, const struct hf_run_event *ev) {
    if (ev->kind == HF_EVENT_JOB_DONE && ev->state != HF_JOB_RUN) {
        clear_line(v);
        printf("[%d/%d] %s %s\n", ev->jobs_done, ev->jobs_total, ev->job,
               ev->state == HF_JOB_REUSED ? "reused" : "left out: what needs it is in the store");
        (void)fflush(stdout);
        return;
    }
    struct job_view *j = find_job(v, ev, ev->kind == HF_EVENT_JOB_START);
    if (!j)
        return;
    if (ev->kind == HF_EVENT_JOB_START) {
        if (v->terminal)
            draw(v, j, ev);
        else
            printf("[%d/%d] %s begins\n", ev->jobs_done + 1, ev->jobs_total, j->name);
    } else {
        char spent[32];
        clear_line(v);
        print_time(spent, sizeof spent, ev->seconds - j->started);
        printf("[%d/%d] %s done in %s", ev->jobs_done, ev->jobs_total, j->name, spent);
        if (!isnan(j->loss))
            printf(", loss %.4f", j->loss);
        putchar('\n');
        *j = v->job[--v->jobs];
    }
    (void)fflush(stdout);
}

static int stage_index(const struct hf_plan *plan, const char *name) {
    int i = 0;
    while (i < plan->stages && (!name || strcmp(plan->stage[i].name, name) != 0))
        i++;
    return i;
}

static void keep_result(struct view *v, const struct hf_run_event *ev) {
    cJSON *json = ev->text ? cJSON_Parse(ev->text) : NULL;
    if (!json)
        return;
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "name"));
    name = name ? name : ev->job ? ev->job : "";
    for (int i = 0; i < v->results; i++)
        if (strcmp(v->result_name[i], name) == 0) {
            cJSON_Delete(v->result[i]);
            v->result[i] = json;
            return;
        }
    char *copy = v->results < MAX_RESULTS ? strdup(name) : NULL;
    if (!copy) {
        cJSON_Delete(json);
        return;
    }
    int stage = stage_index(v->plan, ev->job), at = v->results++;
    for (; at > 0 && v->result_stage[at - 1] > stage; at--) {
        v->result_stage[at] = v->result_stage[at - 1];
        v->result_name[at] = v->result_name[at - 1];
        v->result[at] = v->result[at - 1];
    }
    v->result_stage[at] = stage;
    v->result_name[at] = copy;
    v->result[at] = json;
}

static void print_json_event(const struct hf_run_event *ev) {
    static const char *const kind[] = {"job_start", "job_done", "progress", "log", "result"};
    static const char *const level[] = {"debug", "info", "warning"};
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "event", kind[ev->kind]);
    if (ev->job)
        cJSON_AddStringToObject(o, "job", ev->job);
    cJSON_AddNumberToObject(o, "seconds", ev->seconds);
    cJSON_AddNumberToObject(o, "jobs_done", ev->jobs_done);
    cJSON_AddNumberToObject(o, "jobs_total", ev->jobs_total);
    if (ev->kind == HF_EVENT_PROGRESS) {
        cJSON_AddNumberToObject(o, "done", ev->done);
        cJSON_AddNumberToObject(o, "total", ev->total);
        cJSON_AddNumberToObject(o, "samples", ev->samples);
        cJSON_AddItemToObject(o, "loss",
                              isnan(ev->loss) ? cJSON_CreateNull() : cJSON_CreateNumber(ev->loss));
    } else if (ev->kind == HF_EVENT_JOB_DONE) {
        static const char *const state[] = {"run", "reused", "left out"};
        cJSON_AddStringToObject(o, "state", state[ev->state]);
        cJSON_AddNumberToObject(o, "memory_cpu", ev->memory[0]);
        if (ev->memory[1] > 0)
            cJSON_AddNumberToObject(o, "memory_device", ev->memory[1]);
    } else if (ev->kind == HF_EVENT_LOG) {
        cJSON_AddStringToObject(o, "level", level[ev->level]);
        cJSON_AddStringToObject(o, "text", ev->text ? ev->text : "");
    } else if (ev->kind == HF_EVENT_RESULT) {
        cJSON *result = ev->text ? cJSON_Parse(ev->text) : NULL;
        cJSON_AddItemToObject(o, "result", result ? result : cJSON_CreateNull());
    }
    char *text = cJSON_PrintUnformatted(o);
    if (text)
        puts(text);
    (void)fflush(stdout);
    cJSON_free(text);
    cJSON_Delete(o);
}

static void print_log(const struct hf_run_event *ev) {
    const char *job = ev->job ? ev->job : "", *text = ev->text ? ev->text : "";
    bool told = strncmp(text, job, strlen(job)) == 0; /* whose line it is */
    printf("%s%s%s%s\n", ev->level == HF_LOG_WARNING ? "warning: " : "", told ? "" : job,
           told ? "" : ": ", text);
}

/* Of a job's progress, one line a second. */
static void on_json_event(struct view *v, const struct hf_run_event *ev) {
    bool progress = ev->kind == HF_EVENT_PROGRESS, ended = ev->kind == HF_EVENT_JOB_DONE;
    if (progress || ended || ev->kind == HF_EVENT_JOB_START) {
        struct job_view *j = find_job(v, ev, !ended);
        if (progress && (!j || ev->seconds - j->shown < 1))
            return;
        if (j)
            j->shown = ev->seconds;
        if (j && ended)
            *j = v->job[--v->jobs];
    }
    print_json_event(ev);
}

static void on_event(void *arg, const struct hf_run_event *ev) {
    struct view *v = arg;
    if (v->json) {
        on_json_event(v, ev);
        return;
    }
    switch (ev->kind) {
    case HF_EVENT_PROGRESS:
        on_progress(v, ev);
        break;
    case HF_EVENT_LOG:
        if (ev->level == HF_LOG_DEBUG)
            break;
        clear_line(v);
        print_log(ev);
        (void)fflush(stdout);
        break;
    case HF_EVENT_RESULT:
        keep_result(v, ev);
        break;
    case HF_EVENT_JOB_START:
    case HF_EVENT_JOB_DONE:
        on_job(v, ev);
        break;
    }
}

/* ---- in the end ---- */

struct column {
    const char *name;
    int width;
    bool whole; /* numbers only */
};

static const cJSON *number_at(const cJSON *result, const char *name) {
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(result, name);
    return cJSON_IsNumber(n) ? n : NULL;
}

/* The numbers that results have, as far as they fit into `width` columns; the first come first. */
static int find_columns(const struct view *v, int width, struct column column[MAX_COLUMNS]) {
    int columns = 0;
    for (int i = 0; i < v->results; i++) {
        const cJSON *item;
        cJSON_ArrayForEach(item, v->result[i]) {
            int k = 0;
            if (!cJSON_IsNumber(item) || !item->string)
                continue;
            bool whole = item->valuedouble == floor(item->valuedouble);
            while (k < columns && strcmp(column[k].name, item->string) != 0)
                k++;
            if (k < columns) {
                column[k].whole = column[k].whole && whole;
                continue;
            }
            int size = (int)strlen(item->string);
            size = size < 7 ? 7 : size;
            width -= size + 2;
            if (width >= 0 && k < MAX_COLUMNS)
                column[columns++] = (struct column){item->string, size, whole};
        }
    }
    return columns;
}

static void print_scores(const struct view *v) {
    int width = 0;
    for (int i = 0; i < v->results; i++)
        if ((int)strlen(v->result_name[i]) > width)
            width = (int)strlen(v->result_name[i]);
    struct column column[MAX_COLUMNS];
    int columns = find_columns(v, 80 - width, column);
    if (columns == 0)
        return;
    printf("\n%-*s", width, "");
    for (int k = 0; k < columns; k++)
        printf("  %*s", column[k].width, column[k].name);
    putchar('\n');
    for (int i = 0; i < v->results; i++) {
        printf("%-*s", width, v->result_name[i]);
        for (int k = 0; k < columns; k++) {
            const cJSON *n = number_at(v->result[i], column[k].name);
            if (n)
                printf("  %*.*f", column[k].width, column[k].whole ? 0 : 3, n->valuedouble);
            else
                printf("  %*s", column[k].width, "-");
        }
        putchar('\n');
    }
}

static void print_files(const char *out_dir) {
    static const char *const files[] = {"scores.json", "report.html", "ledger.csv"};
    bool any = false;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[4096];
        if (snprintf(path, sizeof path, "%s/%s", out_dir, files[i]) < (int)sizeof path &&
            access(path, F_OK) == 0) {
            printf("%s%s\n", any ? "" : "\n", path);
            any = true;
        }
    }
}

static void print_json_end(enum hf_status st, const struct hf_error *e, const char *out_dir) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "event",
                            st == HF_OK         ? "done"
                            : st == HF_CANCELED ? "canceled"
                                                : "failed");
    cJSON_AddStringToObject(o, "out", out_dir);
    if (st != HF_OK)
        cJSON_AddStringToObject(o, "error", e->text);
    char *text = cJSON_PrintUnformatted(o);
    if (text)
        puts(text);
    cJSON_free(text);
    cJSON_Delete(o);
}

int graph_run(struct hf_engine *engine, struct hf_plan *plan, const struct hf_run_options *options,
              bool json) {
    struct view *v = calloc(1, sizeof *v);
    if (!v) {
        fputs("hepaflow: out of memory\n", stderr);
        return EXIT_FAILED;
    }
    v->plan = plan;
    v->json = json;
    v->terminal = !json && isatty(STDOUT_FILENO);
    v->drawn = -1;
    struct hf_run_options watched = *options;
    watched.on_event = on_event;
    watched.arg = v;
    struct hf_error e = {0};
    enum hf_status st = hf_run(engine, plan, &watched, &e);
    clear_line(v);
    if (json) {
        print_json_end(st, &e, options->out_dir);
    } else if (st == HF_OK) {
        print_scores(v);
        print_files(options->out_dir);
        if (options->trace)
            printf("%s\n", options->trace);
    }
    (void)fflush(stdout);
    if (st == HF_CANCELED)
        fputs("canceled\n", stderr);
    else if (st != HF_OK)
        fprintf(stderr, "hepaflow: %s%s\n", e.text,
                engine->no_device ? "; use --device cpu or auto" : "");
    for (int i = 0; i < v->results; i++) {
        free(v->result_name[i]);
        cJSON_Delete(v->result[i]);
    }
    free(v);
    return st == HF_OK ? EXIT_DONE : engine->no_device ? EXIT_USAGE : EXIT_FAILED;
}
