/* write.c - sweep.csv, a line for each arm and metric, and sweep.json, which the report reads. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "run/record.h"
#include "run/run.h"
#include "sweep/sweep.h"

/* ---- sweep.csv ---- */

static void put_entry(FILE *f, const char *text) {
    bool quote = strpbrk(text, ",\"\r\n") != NULL;
    if (quote)
        (void)fputc('"', f);
    for (; *text; text++) {
        if (*text == '"')
            (void)fputc('"', f);
        (void)fputc(*text, f);
    }
    if (quote)
        (void)fputc('"', f);
}

/* Nothing where it is not known. */
static void put_number(FILE *f, double v) {
    if (isfinite(v))
        (void)fprintf(f, ",%.9g", v);
    else
        (void)fputc(',', f);
}

static void put_line(FILE *f, const struct sweep *sw, int arm, enum sweep_state state,
                     const char *score, const struct sweep_metric *m) {
    put_entry(f, sw->arm[arm].name);
    (void)fprintf(f, ",%s,", sweep_state_name(state));
    put_entry(f, score);
    (void)fputc(',', f);
    put_entry(f, m ? m->name : "");
    const struct sweep_value *v = m ? &m->value[arm] : NULL;
    bool compared = v && arm != sw->baseline;
    (void)fprintf(f, ",%d", v ? v->spread.n : 0);
    put_number(f, v ? v->spread.mean : NAN);
    put_number(f, v ? v->spread.sd : NAN);
    put_number(f, compared ? v->difference.mean : NAN);
    put_number(f, compared ? v->difference.low : NAN);
    put_number(f, compared ? v->difference.high : NAN);
    (void)fputc('\n', f);
}

static void put_csv(FILE *f, const struct sweep *sw, const struct sweep_run *run,
                    const struct sweep_table *t) {
    (void)fputs("arm,state,score,metric,n,mean,sd,difference,low,high\n", f);
    for (int a = 0; a < sw->arms; a++) {
        const char *error;
        enum sweep_state state = sweep_arm_state(sw, run, a, &error);
        int lines = 0;
        for (int k = 0; k < t->scores; k++)
            for (int i = 0; i < t->score[k].metrics; i++)
                if (t->score[k].metric[i].value[a].spread.n > 0) {
                    put_line(f, sw, a, state, t->score[k].name, &t->score[k].metric[i]);
                    lines++;
                }
        if (lines == 0)
            put_line(f, sw, a, state, "", NULL);
    }
}

static enum hf_status write_csv(const struct sweep *sw, const struct sweep_run *run,
                                const struct sweep_table *t, const char *path, struct hf_error *e) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return hf_fail(e, HF_NO_MEMORY, "%s: no memory", path);
    put_csv(f, sw, run, t);
    bool bad = ferror(f);
    bad = fclose(f) != 0 || bad;
    enum hf_status st =
        bad ? hf_fail(e, HF_NO_MEMORY, "%s: no memory", path) : file_write(path, text, size, e);
    free(text);
    return st;
}

/* ---- sweep.json ---- */

static bool add(cJSON *object, const char *key, cJSON *item) {
    if (item && cJSON_AddItemToObject(object, key, item))
        return true;
    cJSON_Delete(item);
    return false;
}

static bool add_number(cJSON *object, const char *key, double v) {
    return add(object, key, isfinite(v) ? cJSON_CreateNumber(v) : cJSON_CreateNull());
}

static bool append(cJSON *list, cJSON *item) {
    if (item && cJSON_AddItemToArray(list, item))
        return true;
    cJSON_Delete(item);
    return false;
}

static bool add_axes(cJSON *all, const struct sweep *sw) {
    cJSON *axes = cJSON_AddArrayToObject(all, "axes");
    for (int i = 0; axes && i < sw->axes; i++) {
        cJSON *axis = cJSON_CreateObject();
        if (!append(axes, axis) || !cJSON_AddStringToObject(axis, "name", sw->axis[i].name) ||
            !add(axis, "values", cJSON_CreateStringArray(sw->axis[i].value, sw->axis[i].values)))
            return false;
    }
    cJSON *seeds = cJSON_AddArrayToObject(all, "seeds");
    for (int i = 0; seeds && i < sw->seeds; i++)
        if (!append(seeds, record_seed(sw->seed[i])))
            return false;
    return axes && seeds;
}

static bool add_set(cJSON *arm, const struct sweep_arm *of) {
    cJSON *set = cJSON_AddObjectToObject(arm, "set");
    for (int i = 0; set && i < of->sets; i++) {
        const char *equals = strchr(of->set[i], '=');
        char *key = strndup(of->set[i], (size_t)(equals - of->set[i]));
        bool good = key && cJSON_AddStringToObject(set, key, equals + 1);
        free(key);
        if (!good)
            return false;
    }
    return set;
}

static bool add_value(cJSON *score, const struct sweep_metric *m, int arm, bool baseline) {
    const struct sweep_value *v = &m->value[arm];
    cJSON *o = cJSON_AddObjectToObject(score, m->name);
    return o && add_number(o, "mean", v->spread.mean) && add_number(o, "sd", v->spread.sd) &&
           add_number(o, "n", v->spread.n) &&
           add_number(o, "difference", baseline ? NAN : v->difference.mean) &&
           add_number(o, "low", baseline ? NAN : v->difference.low) &&
           add_number(o, "high", baseline ? NAN : v->difference.high);
}

static bool add_scores(cJSON *arm, const struct sweep *sw, const struct sweep_table *t, int a) {
    cJSON *scores = cJSON_AddObjectToObject(arm, "scores");
    for (int k = 0; scores && k < t->scores; k++) {
        const struct sweep_score *s = &t->score[k];
        cJSON *score = NULL;
        for (int i = 0; i < s->metrics; i++) {
            if (s->metric[i].value[a].spread.n == 0)
                continue;
            if (!score)
                score = cJSON_AddObjectToObject(scores, s->name);
            if (!score || !add_value(score, &s->metric[i], a, a == sw->baseline))
                return false;
        }
    }
    return scores;
}

static bool add_arms(cJSON *all, const struct sweep *sw, const struct sweep_run *run,
                     const struct sweep_table *t) {
    cJSON *arms = cJSON_AddArrayToObject(all, "arms");
    for (int a = 0; arms && a < sw->arms; a++) {
        const char *error;
        enum sweep_state state = sweep_arm_state(sw, run, a, &error);
        cJSON *arm = cJSON_CreateObject();
        if (!append(arms, arm) || !cJSON_AddStringToObject(arm, "name", sw->arm[a].name) ||
            !add_set(arm, &sw->arm[a]) ||
            !cJSON_AddStringToObject(arm, "state", sweep_state_name(state)) ||
            !add(arm, "error", error ? cJSON_CreateString(error) : cJSON_CreateNull()) ||
            !cJSON_AddStringToObject(arm, "folder", sw->arm[a].name) || !add_scores(arm, sw, t, a))
            return false;
    }
    return arms;
}

static enum hf_status write_json(const struct sweep *sw, const struct sweep_run *run,
                                 const struct sweep_table *t, const char *path,
                                 struct hf_error *e) {
    cJSON *all = cJSON_CreateObject();
    bool good = all && cJSON_AddStringToObject(all, "graph", sw->graph) && add_axes(all, sw) &&
                cJSON_AddStringToObject(all, "baseline", sw->arm[sw->baseline].name) &&
                add_arms(all, sw, run, t);
    char *text = good ? cJSON_Print(all) : NULL;
    cJSON_Delete(all);
    enum hf_status st = text ? file_write(path, text, strlen(text), e)
                             : hf_fail(e, HF_NO_MEMORY, "%s: no memory", path);
    cJSON_free(text);
    return st;
}

enum hf_status sweep_write(const struct sweep *sw, const struct sweep_run *run,
                           const struct sweep_table *t, const char *folder, struct hf_error *e) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/sweep.csv", folder);
    enum hf_status st = write_csv(sw, run, t, path, e);
    (void)snprintf(path, sizeof path, "%s/sweep.json", folder);
    return st == HF_OK ? write_json(sw, run, t, path, e) : st;
}
