/*
 * results.c - scores.json and report.html.
 */
#include "results.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cJSON.h>

#include "run.h"

#define COLUMNS 5 /* side by side in a table of the report */

/* ---- collecting ---- */

enum hf_status results_init(struct results *r, int stages, struct hf_error *e) {
    *r = (struct results){.stages = stages};
    r->stage = calloc((size_t)stages + 1, sizeof *r->stage);
    return r->stage ? HF_OK : hf_fail(e, HF_NO_MEMORY, "no memory for the results");
}

void results_clear(struct results *r) {
    for (int i = 0; r->stage && i < r->stages; i++) {
        struct result *of = &r->stage[i];
        for (int k = 0; k < of->sections; k++) {
            free(of->section[k].title);
            free(of->section[k].html);
        }
        free(of->section);
        free(of->json);
    }
    free(r->stage);
    ledger_clear(&r->ledger);
    *r = (struct results){0};
}

enum hf_status results_set(struct results *r, int stage, const char *json, struct hf_error *e) {
    cJSON *parsed = cJSON_Parse(json);
    bool good = cJSON_IsObject(parsed);
    cJSON_Delete(parsed);
    if (!good)
        return hf_fail(e, HF_INVALID, "the result is not a JSON object: %.200s", json);
    char *copy = strdup(json);
    if (!copy)
        return hf_fail(e, HF_NO_MEMORY, "no memory for a result");
    free(r->stage[stage].json);
    r->stage[stage].json = copy;
    return HF_OK;
}

enum hf_status results_add(struct results *r, int stage, const char *title, const char *html,
                           struct hf_error *e) {
    struct result *of = &r->stage[stage];
    struct section *more = realloc(of->section, ((size_t)of->sections + 1) * sizeof *more);
    if (!more)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the report");
    of->section = more;
    struct section s = {strdup(title), strdup(html)};
    if (!s.title || !s.html) {
        free(s.title);
        free(s.html);
        return hf_fail(e, HF_NO_MEMORY, "no memory for the report");
    }
    of->section[of->sections++] = s;
    return HF_OK;
}

static bool results_any(const struct results *r) {
    for (int i = 0; r->stage && i < r->stages; i++)
        if (r->stage[i].json || r->stage[i].sections)
            return true;
    return false;
}

/* ---- scores.json ---- */

/* The key of a stage's scores: the "name" that they give themselves, if nobody has it yet. Such
 * scores also tell the stage, in whose folder its files are. */
static const char *key_of(const cJSON *all, const cJSON *one, const char *stage) {
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(one, "name");
    bool good = cJSON_IsString(name) && name->valuestring[0] &&
                !cJSON_GetObjectItemCaseSensitive(all, name->valuestring);
    return good ? name->valuestring : stage;
}

static cJSON *all_scores(const struct results *r) {
    cJSON *all = cJSON_CreateObject();
    for (int i = 0; all && i < r->stages; i++) {
        if (!r->stage[i].json)
            continue;
        const char *name = r->stage[i].name;
        cJSON *one = cJSON_Parse(r->stage[i].json);
        const char *key = key_of(all, one, name);
        bool renamed = strcmp(key, name) != 0;
        if (!one || (renamed && !cJSON_AddStringToObject(one, "stage", name)) ||
            !cJSON_AddItemToObject(all, key, one)) {
            cJSON_Delete(one);
            cJSON_Delete(all);
            return NULL;
        }
    }
    return all;
}

/* What the ledger counts, if it has anything, unless a stage has its key. */
static bool add_ledger(cJSON *all, const struct ledger *l, cJSON **ret) {
    if (l->count == 0 || cJSON_GetObjectItemCaseSensitive(all, "ledger"))
        return true;
    cJSON *one = *ret = cJSON_AddObjectToObject(all, "ledger");
    bool good = one && cJSON_AddStringToObject(one, "file", "ledger.csv");
    for (int i = 0; good && i < 3; i++)
        good = cJSON_AddNumberToObject(one, ledger_outcome_name((enum ledger_outcome)i),
                                       (double)l->outcomes[i]);
    return good;
}

/* ---- report.html ---- */

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;"
    "color:#1c2126;background:#fff}"
    "h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.15rem;margin-top:2.2rem;"
    "border-bottom:1px solid #d8dde2}.about{color:#5b6670}"
    "table{border-collapse:collapse;margin:1rem 0}"
    "th,td{padding:.25rem .8rem;border-bottom:1px solid #e3e7ea;text-align:right}"
    "th:first-child,td:first-child{text-align:left}th{color:#5b6670;font-weight:600}"
    "img,svg{max-width:100%;height:auto}.wide{overflow-x:auto}"
    "summary{cursor:pointer;color:#5b6670}"
    "@media(prefers-color-scheme:dark){body{color:#dde3e8;background:#15191c}"
    "h2,th,td{border-color:#343c43}.about,th,summary{color:#98a4ae}}";

static void put_text(FILE *f, const char *text) {
    for (; *text; text++) {
        const char *name = *text == '<'   ? "&lt;"
                           : *text == '>' ? "&gt;"
                           : *text == '&' ? "&amp;"
                           : *text == '"' ? "&quot;"
                                          : NULL;
        if (name)
            (void)fputs(name, f);
        else
            (void)fputc(*text, f);
    }
}

/* Rows: stages with an object; columns: those of `columns` from one to before another. */
static void put_table(FILE *f, const cJSON *all, const cJSON *columns, int from, int to) {
    const cJSON *stage, *value;
    (void)fputs("<div class=\"wide\"><table><tr><th>stage</th>", f);
    for (int i = from; i < to; i++) {
        (void)fputs("<th>", f);
        put_text(f, cJSON_GetArrayItem(columns, i)->string);
        (void)fputs("</th>", f);
    }
    (void)fputs("</tr>\n", f);
    cJSON_ArrayForEach(stage, all) {
        (void)fputs("<tr><td>", f);
        put_text(f, stage->string);
        (void)fputs("</td>", f);
        for (int i = from; i < to; i++) {
            const char *column = cJSON_GetArrayItem(columns, i)->string;
            value = cJSON_GetObjectItemCaseSensitive(stage, column);
            if (cJSON_IsNumber(value))
                (void)fprintf(f, "<td>%.4g</td>", value->valuedouble);
            else
                (void)fputs("<td></td>", f);
        }
        (void)fputs("</tr>\n", f);
    }
    (void)fputs("</table></div>\n", f);
}

/* Every number in any of the scores, as first met: the first few to be seen at once, the others
 * folded away, as many as fit side by side a table. */
static void put_scores(FILE *f, const cJSON *all) {
    cJSON *columns = cJSON_CreateObject();
    const cJSON *stage, *value;
    cJSON_ArrayForEach(stage, all) {
        cJSON_ArrayForEach(value, stage) {
            if (cJSON_IsNumber(value) && value->string &&
                !cJSON_GetObjectItemCaseSensitive(columns, value->string))
                (void)cJSON_AddNullToObject(columns, value->string);
        }
    }
    int count = cJSON_GetArraySize(columns);
    if (count > 0) {
        (void)fputs("<h2>Scores</h2>", f);
        put_table(f, all, columns, 0, count < COLUMNS ? count : COLUMNS);
    }
    if (count > COLUMNS) {
        (void)fputs("<details><summary>More scores</summary>", f);
        for (int i = COLUMNS; i < count; i += COLUMNS)
            put_table(f, all, columns, i, count < i + COLUMNS ? count : i + COLUMNS);
        (void)fputs("</details>\n", f);
    }
    cJSON_Delete(columns);
}

/* The title, and whose section it is where that does not tell it. */
static void put_heading(FILE *f, const char *title, const char *stage) {
    (void)fputs("<h2>", f);
    put_text(f, title);
    if (!strstr(title, stage)) {
        (void)fputs(" <small class=\"about\">", f);
        put_text(f, stage);
        (void)fputs("</small>", f);
    }
    (void)fputs("</h2>\n", f);
}

#define LEDGER_SHOWN 50

static void put_ledger(FILE *f, const struct ledger *l) {
    if (l->count == 0)
        return;
    (void)fputs("<h2>What failed</h2><div class=\"wide\"><table><tr><th>stage</th><th>case</th>"
                "<th>sample</th><th>epoch</th><th>attempts</th><th>outcome</th><th>error</th>"
                "</tr>\n",
                f);
    for (int i = 0; i < l->count && i < LEDGER_SHOWN; i++) {
        const struct ledger_line *k = &l->line[i];
        const char *const words[] = {k->name, k->case_id, k->sample};
        (void)fputs("<tr>", f);
        for (int w = 0; w < 3; w++) {
            (void)fputs("<td>", f);
            put_text(f, words[w]);
            (void)fputs("</td>", f);
        }
        (void)fprintf(f, "<td>%llu</td><td>%d</td><td>%s</td><td>", (unsigned long long)k->epoch,
                      k->attempts, ledger_outcome_name(k->outcome));
        put_text(f, k->error);
        (void)fputs("</td></tr>\n", f);
    }
    (void)fputs("</table></div>\n", f);
    if (l->count > LEDGER_SHOWN)
        (void)fprintf(f, "<p class=\"about\">and %d more in ledger.csv</p>\n",
                      l->count - LEDGER_SHOWN);
}

static void put_report(FILE *f, const struct results *r, const cJSON *all, const char *graph,
                       uint64_t seed, const char *device) {
    (void)fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                "<meta name=\"viewport\" content=\"width=device-width\"><title>",
                f);
    put_text(f, graph);
    (void)fprintf(f, "</title><style>%s</style></head><body>\n<h1>", style);
    put_text(f, graph);
    (void)fprintf(f, "</h1><p class=\"about\">hepaflow, seed %llu, ", (unsigned long long)seed);
    put_text(f, device);
    (void)fputs("</p>\n", f);
    put_scores(f, all);
    put_ledger(f, &r->ledger);
    for (int i = 0; i < r->stages; i++)
        for (int k = 0; k < r->stage[i].sections; k++) {
            (void)fputs("<section>", f);
            put_heading(f, r->stage[i].section[k].title, r->stage[i].name);
            (void)fprintf(f, "%s\n</section>\n", r->stage[i].section[k].html);
        }
    (void)fputs("</body></html>\n", f);
}

static enum hf_status write_report(const struct results *r, const cJSON *all, const char *graph,
                                   uint64_t seed, const char *device, const char *path,
                                   struct hf_error *e) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return hf_fail(e, HF_NO_MEMORY, "%s: no memory for the report", path);
    put_report(f, r, all, graph, seed, device);
    bool bad = ferror(f);
    bad = fclose(f) != 0 || bad;
    enum hf_status st = bad ? hf_fail(e, HF_NO_MEMORY, "%s: no memory for the report", path)
                            : file_write(path, text, size, e);
    free(text);
    return st;
}

static enum hf_status write_scores(const cJSON *all, const char *path, struct hf_error *e) {
    char *text = cJSON_Print(all);
    enum hf_status st = text ? file_write(path, text, strlen(text), e)
                             : hf_fail(e, HF_NO_MEMORY, "%s: no memory for the scores", path);
    cJSON_free(text);
    return st;
}

enum hf_status results_write(struct results *r, const char *graph, uint64_t seed,
                             const char *device, const char *folder, struct hf_error *e) {
    char path[PATH_MAX];
    if (!results_any(r))
        return HF_OK;
    cJSON *all = all_scores(r);
    enum hf_status st = all ? HF_OK : hf_fail(e, HF_NO_MEMORY, "no memory for the scores");
    ledger_sort(&r->ledger);
    /* A run that stopped before its first score leaves those of an earlier one alone. */
    if (st == HF_OK && cJSON_GetArraySize(all) > 0) {
        (void)snprintf(path, sizeof path, "%s/scores.json", folder);
        cJSON *counts = NULL;
        st = add_ledger(all, &r->ledger, &counts)
                 ? write_scores(all, path, e)
                 : hf_fail(e, HF_NO_MEMORY, "no memory for the scores");
        if (counts)
            cJSON_Delete(cJSON_DetachItemViaPointer(all, counts)); /* it is no stage's score */
    }
    if (st == HF_OK) {
        (void)snprintf(path, sizeof path, "%s/report.html", folder);
        st = write_report(r, all, graph, seed, device, path, e);
    }
    cJSON_Delete(all);
    return st;
}
