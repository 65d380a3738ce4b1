/*
 * results.c - see results.h.
 */
#include "results.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <cJSON.h>

#include "run.h"

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
            free(of->section[k].json);
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

/* What a section may be, and the member that it cannot do without. */
static const struct kind {
    const char *name, *member;
} kinds[] = {{"text", "text"},
             {"table", "rows"},
             {"curves", "series"},
             {"slices", "cases"},
             {"pictures", "pictures"}};
#define KINDS (sizeof kinds / sizeof *kinds)

/* The section as it is kept, for cJSON_free. */
static enum hf_status check_section(const char *title, const char *json, char **ret,
                                    struct hf_error *e) {
    cJSON *parsed = cJSON_Parse(json);
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(parsed, "kind"));
    enum hf_status st =
        hf_fail(e, HF_INVALID,
                "section '%s' of the report is no JSON object whose \"kind\" is text, table, "
                "curves, slices or pictures: %.200s",
                title, json);
    for (size_t i = 0; name && i < KINDS; i++) {
        if (strcmp(kinds[i].name, name) != 0)
            continue;
        const cJSON *member = cJSON_GetObjectItemCaseSensitive(parsed, kinds[i].member);
        bool good = i == 0 ? cJSON_IsString(member) : cJSON_IsArray(member);
        *ret = good ? cJSON_PrintUnformatted(parsed) : NULL;
        st = *ret   ? HF_OK
             : good ? hf_fail(e, HF_NO_MEMORY, "no memory for the report")
                    : hf_fail(e, HF_INVALID, "section '%s' of the report has no %s \"%s\"", title,
                              i == 0 ? "text" : "list", kinds[i].member);
    }
    cJSON_Delete(parsed);
    return st;
}

enum hf_status results_add(struct results *r, int stage, const char *title, const char *json,
                           struct hf_error *e) {
    struct result *of = &r->stage[stage];
    char *checked = NULL;
    enum hf_status st = check_section(title, json, &checked, e);
    if (st != HF_OK)
        return st;
    struct section s = {strdup(title), strdup(checked)};
    cJSON_free(checked);
    struct section *more = realloc(of->section, ((size_t)of->sections + 1) * sizeof *more);
    if (more)
        of->section = more;
    if (!more || !s.title || !s.json) {
        free(s.title);
        free(s.json);
        return hf_fail(e, HF_NO_MEMORY, "no memory for the report");
    }
    of->section[of->sections++] = s;
    return HF_OK;
}

bool results_any(const struct results *r) {
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

cJSON *results_scores(const struct results *r) {
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
static bool add_ledger(cJSON *all, const struct ledger *l) {
    if (l->count == 0 || cJSON_GetObjectItemCaseSensitive(all, "ledger"))
        return true;
    cJSON *one = cJSON_AddObjectToObject(all, "ledger");
    bool good = one && cJSON_AddStringToObject(one, "file", "ledger.csv");
    for (int i = 0; good && i < 3; i++)
        good = cJSON_AddNumberToObject(one, ledger_outcome_name((enum ledger_outcome)i),
                                       (double)l->outcomes[i]);
    return good;
}

enum hf_status results_write(const struct results *r, const char *folder, bool fresh,
                             struct hf_error *e) {
    char path[PATH_MAX];
    cJSON *all = results_scores(r);
    (void)snprintf(path, sizeof path, "%s/scores.json", folder);
    if (all && cJSON_GetArraySize(all) == 0) {
        cJSON_Delete(all);
        return fresh ? file_remove(path, e) : HF_OK;
    }
    char *text = all && add_ledger(all, &r->ledger) ? cJSON_Print(all) : NULL;
    enum hf_status st = text ? file_write(path, text, strlen(text), e)
                             : hf_fail(e, HF_NO_MEMORY, "%s: no memory for the scores", path);
    cJSON_free(text);
    cJSON_Delete(all);
    return st;
}
