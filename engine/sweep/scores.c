/*
 * scores.c - what the runs of a sweep scored: scores.json of every run, and cases.json of what was
 * scored case by case, brought into one table of arms, seeds and cases for each metric.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "run/run.h"
#include "sweep/sweep.h"

/* A list of names in the order in which they were first met; lent from the JSON. */
struct names {
    const char **item;
    int count, capacity;
};

/* The index of a name, which is added where it is new; -1: no memory. */
static int names_index(struct names *n, const char *name) {
    for (int i = 0; i < n->count; i++)
        if (strcmp(n->item[i], name) == 0)
            return i;
    if (n->count == n->capacity) {
        int more = n->capacity ? 2 * n->capacity : 16;
        const char **item = realloc(n->item, (size_t)more * sizeof *item);
        if (!item)
            return -1;
        n->item = item;
        n->capacity = more;
    }
    n->item[n->count] = name;
    return n->count++;
}

/* What one run has of one score. */
struct scored {
    const cJSON *all; /* its object in scores.json; NULL: none */
    cJSON *cases;     /* its cases.json; NULL: none */
    int *case_of;     /* of the entries of `cases`: their index among all cases; -1: no case */
};

struct loaded {
    cJSON *file; /* scores.json */
    struct scored *score;
};

struct comparison {
    const struct sweep *sw;
    const struct sweep_run *run;
    const char *folder;
    int runs;
    struct loaded *of; /* per run */
    struct names scores;
    struct names *cases; /* per score */
};

static enum hf_status no_memory(struct hf_error *e) {
    return hf_fail(e, HF_NO_MEMORY, "no memory for the scores of the sweep");
}

const char *sweep_state_name(enum sweep_state state) {
    static const char *const name[] = {"waiting", "done", "failed", "canceled"};
    return name[state];
}

enum hf_status sweep_folder(const struct sweep *sw, const struct sweep_run *run, char *ret,
                            size_t size, struct hf_error *e) {
    int n =
        snprintf(ret, size, "%s/seed-%lld", sw->arm[run->arm].name, (long long)sw->seed[run->seed]);
    return n >= 0 && (size_t)n < size ? HF_OK : hf_fail(e, HF_INVALID, "the path is too long");
}

enum sweep_state sweep_arm_state(const struct sweep *sw, const struct sweep_run *run, int arm,
                                 const char **ret_error) {
    enum sweep_state worst = SWEEP_DONE;
    *ret_error = NULL;
    for (int i = 0; i < sw->arms * sw->seeds; i++) {
        if (run[i].arm != arm)
            continue;
        if (run[i].state == SWEEP_FAILED && !*ret_error)
            *ret_error = run[i].error;
        bool worse = run[i].state == SWEEP_FAILED || worst == SWEEP_DONE;
        if (run[i].state != SWEEP_DONE && worse)
            worst = run[i].state;
    }
    return worst;
}

/* ---- runs before ---- */

static enum hf_status forget(const char *path, struct hf_error *e) {
    if (unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR)
        return HF_OK;
    return hf_fail(e, HF_IO, "%s: the scores of a run before cannot be removed: %s", path,
                   strerror(errno));
}

enum hf_status sweep_forget(const struct sweep *sw, const struct sweep_run *run, const char *folder,
                            struct hf_error *e) {
    char below[512], path[PATH_MAX];
    enum hf_status st = sweep_folder(sw, run, below, sizeof below, e);
    if (st != HF_OK)
        return st;
    (void)snprintf(path, sizeof path, "%s/%s", folder, below);
    DIR *d = opendir(path);
    if (!d)
        return HF_OK; /* there was none */
    for (const struct dirent *one; st == HF_OK && (one = readdir(d));)
        if (one->d_name[0] != '.' && snprintf(path, sizeof path, "%s/%s/%s/cases.json", folder,
                                              below, one->d_name) < (int)sizeof path)
            st = forget(path, e);
    (void)closedir(d);
    (void)snprintf(path, sizeof path, "%s/%s/scores.json", folder, below);
    return st == HF_OK ? forget(path, e) : st;
}

/* ---- reading ---- */

/* A file of JSON of the kind; NULL where there is none, which is no error. */
static enum hf_status read_json(const char *path, bool list, cJSON **ret, struct hf_error *e) {
    void *bytes = NULL;
    size_t size = 0;
    *ret = NULL;
    enum hf_status st = file_read(path, &bytes, &size, e);
    if (st != HF_OK)
        return st == HF_NOT_FOUND ? HF_OK : st;
    *ret = cJSON_ParseWithLength(bytes, size);
    free(bytes);
    if (*ret && (list ? cJSON_IsArray(*ret) : cJSON_IsObject(*ret)))
        return HF_OK;
    cJSON_Delete(*ret);
    *ret = NULL;
    return hf_fail(e, HF_INVALID, "%s: this is no JSON %s", path, list ? "list" : "object");
}

static enum hf_status read_cases(struct comparison *c, int run, int score, struct hf_error *e) {
    struct scored *s = &c->of[run].score[score];
    const char *stage = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(s->all, "stage"));
    char below[512], path[PATH_MAX];
    enum hf_status st = sweep_folder(c->sw, &c->run[run], below, sizeof below, e);
    if (st != HF_OK)
        return st;
    (void)snprintf(path, sizeof path, "%s/%s/%s/cases.json", c->folder, below,
                   stage ? stage : c->scores.item[score]);
    st = read_json(path, true, &s->cases, e);
    if (st != HF_OK || !s->cases)
        return st;
    s->case_of = calloc((size_t)cJSON_GetArraySize(s->cases) + 1, sizeof *s->case_of);
    if (!s->case_of)
        return no_memory(e);
    int i = 0;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, s->cases) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "case"));
        s->case_of[i] = name ? names_index(&c->cases[score], name) : -1;
        if (name && s->case_of[i] < 0)
            return no_memory(e);
        i++;
    }
    return HF_OK;
}

static enum hf_status read_runs(struct comparison *c, struct hf_error *e) {
    char below[512], path[PATH_MAX];
    for (int r = 0; r < c->runs; r++) {
        if (c->run[r].state != SWEEP_DONE)
            continue;
        enum hf_status st = sweep_folder(c->sw, &c->run[r], below, sizeof below, e);
        (void)snprintf(path, sizeof path, "%s/%s/scores.json", c->folder, below);
        if (st == HF_OK)
            st = read_json(path, false, &c->of[r].file, e);
        if (st != HF_OK)
            return st;
        const cJSON *one;
        cJSON_ArrayForEach(one, c->of[r].file) {
            if (cJSON_IsObject(one) && names_index(&c->scores, one->string) < 0)
                return no_memory(e);
        }
    }
    c->cases = calloc((size_t)c->scores.count + 1, sizeof *c->cases);
    for (int r = 0; r < c->runs && c->cases; r++) {
        c->of[r].score = calloc((size_t)c->scores.count + 1, sizeof *c->of[r].score);
        if (!c->of[r].score)
            return no_memory(e);
        for (int k = 0; k < c->scores.count; k++) {
            c->of[r].score[k].all =
                cJSON_GetObjectItemCaseSensitive(c->of[r].file, c->scores.item[k]);
            enum hf_status st = c->of[r].score[k].all ? read_cases(c, r, k, e) : HF_OK;
            if (st != HF_OK)
                return st;
        }
    }
    return c->cases ? HF_OK : no_memory(e);
}

static void comparison_clear(struct comparison *c) {
    for (int r = 0; c->of && r < c->runs; r++) {
        for (int k = 0; c->of[r].score && k < c->scores.count; k++) {
            cJSON_Delete(c->of[r].score[k].cases);
            free(c->of[r].score[k].case_of);
        }
        free(c->of[r].score);
        cJSON_Delete(c->of[r].file);
    }
    for (int k = 0; c->cases && k < c->scores.count; k++)
        free(c->cases[k].item);
    free(c->cases);
    free(c->scores.item);
    free(c->of);
}

/* ---- comparing ---- */

static double number_of(const cJSON *object, const char *name) {
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(n) ? n->valuedouble : NAN;
}

/* The metrics of a score: those of cases, in which a null is a number that is not defined, then
 * those that are told for all cases only. `*ret_cases` is how many the former are. */
static enum hf_status find_metrics(const struct comparison *c, int score, struct names *ret,
                                   int *ret_cases, struct hf_error *e) {
    const cJSON *entry, *item;
    for (int r = 0; r < c->runs; r++)
        cJSON_ArrayForEach(entry, c->of[r].score[score].cases) {
            cJSON_ArrayForEach(item, entry) {
                if ((cJSON_IsNumber(item) || cJSON_IsNull(item)) && item->string &&
                    names_index(ret, item->string) < 0)
                    return no_memory(e);
            }
        }
    *ret_cases = ret->count;
    for (int r = 0; r < c->runs; r++)
        cJSON_ArrayForEach(item, c->of[r].score[score].all) {
            if (cJSON_IsNumber(item) && names_index(ret, item->string) < 0)
                return no_memory(e);
        }
    return HF_OK;
}

/* The metric's values, [arms][cases][seeds], of a pooled one [arms][seeds]. */
static void fill_values(const struct comparison *c, int score, const char *metric, bool pooled,
                        double *value) {
    int cases = pooled ? 1 : c->cases[score].count, seeds = c->sw->seeds;
    for (size_t i = 0; i < (size_t)c->sw->arms * (size_t)(cases * seeds); i++)
        value[i] = NAN;
    for (int r = 0; r < c->runs; r++) {
        const struct scored *s = &c->of[r].score[score];
        double *of = value + (size_t)c->run[r].arm * (size_t)(cases * seeds) + c->run[r].seed;
        if (pooled) {
            *of = number_of(s->all, metric);
            continue;
        }
        int i = 0;
        const cJSON *entry;
        cJSON_ArrayForEach(entry, s->cases) {
            int at = s->case_of[i++];
            if (at >= 0)
                of[(size_t)at * (size_t)seeds] = number_of(entry, metric);
        }
    }
}

static enum hf_status compare_metric(const struct comparison *c, int score,
                                     struct sweep_metric *metric, struct hf_error *e) {
    int cases = metric->pooled ? 1 : c->cases[score].count;
    if (cases > INT_MAX / c->sw->seeds)
        return hf_fail(e, HF_INVALID, "%s: %d cases with %d seeds are too many to compare",
                       c->scores.item[score], cases, c->sw->seeds);
    int of = cases * c->sw->seeds;
    double *value = calloc((size_t)c->sw->arms * (size_t)of + 1, sizeof *value);
    enum hf_status st = HF_OK;
    metric->value = calloc((size_t)c->sw->arms, sizeof *metric->value);
    if (!value || !metric->value) {
        free(value);
        return no_memory(e);
    }
    fill_values(c, score, metric->name, metric->pooled, value);
    const double *baseline = value + (size_t)c->sw->baseline * (size_t)of;
    for (int a = 0; a < c->sw->arms && st == HF_OK; a++) {
        const double *arm = value + (size_t)a * (size_t)of;
        metric->value[a].spread = spread_of(arm, of);
        st = difference_of(arm, baseline, cases, c->sw->seeds, &metric->value[a].difference, e);
    }
    free(value);
    return st;
}

static enum hf_status compare_score(const struct comparison *c, int score, struct sweep_score *ret,
                                    struct hf_error *e) {
    struct names metrics = {0};
    int of_cases = 0;
    ret->name = strdup(c->scores.item[score]);
    enum hf_status st = ret->name ? find_metrics(c, score, &metrics, &of_cases, e) : no_memory(e);
    if (st == HF_OK)
        ret->metric = calloc((size_t)metrics.count + 1, sizeof *ret->metric);
    if (st == HF_OK && !ret->metric)
        st = no_memory(e);
    for (int k = 0; k < metrics.count && st == HF_OK; k++) {
        struct sweep_metric *m = &ret->metric[ret->metrics++];
        m->pooled = k >= of_cases;
        m->name = strdup(metrics.item[k]);
        st = m->name ? compare_metric(c, score, m, e) : no_memory(e);
    }
    free(metrics.item);
    return st;
}

enum hf_status sweep_compare(const struct sweep *sw, const struct sweep_run *run,
                             const char *folder, struct sweep_table *ret, struct hf_error *e) {
    struct comparison c = {.sw = sw, .run = run, .folder = folder, .runs = sw->arms * sw->seeds};
    struct sweep_table t = {0};
    c.of = calloc((size_t)c.runs + 1, sizeof *c.of);
    enum hf_status st = c.of ? read_runs(&c, e) : no_memory(e);
    if (st == HF_OK)
        t.score = calloc((size_t)c.scores.count + 1, sizeof *t.score);
    if (st == HF_OK && !t.score)
        st = no_memory(e);
    for (int k = 0; k < c.scores.count && st == HF_OK; k++)
        st = compare_score(&c, k, &t.score[t.scores++], e);
    comparison_clear(&c);
    if (st == HF_OK)
        *ret = t;
    else
        sweep_table_free(&t);
    return st;
}

void sweep_table_free(struct sweep_table *t) {
    for (int k = 0; k < t->scores; k++) {
        for (int i = 0; i < t->score[k].metrics; i++) {
            free(t->score[k].metric[i].name);
            free(t->score[k].metric[i].value);
        }
        free(t->score[k].metric);
        free(t->score[k].name);
    }
    free(t->score);
    *t = (struct sweep_table){0};
}
