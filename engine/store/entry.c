/*
 * entry.c - results in the store: results/KK/KEY holds `terms`, the files that a stage wrote, named
 * by their number, and `entry`, a line with the digest of the JSON that follows, which tells their
 * sizes and digests.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "run/run.h"

#define TITLE "hepaflow entry 1 "

static const char *entry_path(const struct store *s, char *buffer, size_t size, struct digest key,
                              const char *file) {
    char text[DIGEST_TEXT];
    digest_text(key, text);
    return store_path(s, buffer, size, "results/%.2s/%s%s%s", text, text, *file ? "/" : "", file);
}

static const char *file_path(const struct store *s, char *buffer, size_t size, struct digest key,
                             int which) {
    char name[16];
    (void)snprintf(name, sizeof name, "%d", which);
    return entry_path(s, buffer, size, key, name);
}

/* ---- in memory ---- */

void entry_clear(struct entry *en) {
    for (int i = 0; i < en->files; i++)
        free(en->file[i].path);
    for (int i = 0; i < en->said_count; i++) {
        free(en->said[i].stage);
        free(en->said[i].title);
        free(en->said[i].text);
    }
    free(en->stage);
    free(en->graph);
    free(en->file);
    free(en->said);
    ledger_clear(&en->ledger);
    *en = (struct entry){0};
}

bool entry_add_said(struct entry *en, const char *stage, const char *title, const char *text) {
    struct entry_said *more = realloc(en->said, ((size_t)en->said_count + 1) * sizeof *more);
    if (!more)
        return false;
    en->said = more;
    struct entry_said *one = &more[en->said_count++];
    *one = (struct entry_said){strdup(stage), title ? strdup(title) : NULL, strdup(text)};
    return one->stage && one->text && (!title || one->title);
}

bool entry_add_file(struct entry *en, const char *path, int64_t size, struct digest digest) {
    struct entry_file *more = realloc(en->file, ((size_t)en->files + 1) * sizeof *more);
    if (!more)
        return false;
    en->file = more;
    struct entry_file *one = &more[en->files++];
    *one = (struct entry_file){.path = path ? strdup(path) : NULL, .size = size, .digest = digest};
    return !path || one->path;
}

/* ---- as JSON ---- */

static cJSON *file_json(const struct entry_file *f) {
    char text[DIGEST_TEXT];
    cJSON *o = cJSON_CreateObject();
    digest_text(f->digest, text);
    if (f->path)
        cJSON_AddStringToObject(o, "path", f->path);
    cJSON_AddNumberToObject(o, "size", (double)f->size);
    cJSON_AddStringToObject(o, "digest", text);
    if (f->model)
        cJSON_AddTrueToObject(o, "model");
    return o;
}

static cJSON *line_json(const struct ledger_line *l) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "stage", l->name);
    cJSON_AddNumberToObject(o, "epoch", (double)l->epoch);
    cJSON_AddNumberToObject(o, "ticket", (double)l->ticket);
    cJSON_AddStringToObject(o, "case", l->case_id);
    cJSON_AddStringToObject(o, "sample", l->sample);
    cJSON_AddNumberToObject(o, "attempts", l->attempts);
    cJSON_AddStringToObject(o, "outcome", ledger_outcome_name(l->outcome));
    cJSON_AddStringToObject(o, "error", l->error);
    return o;
}

/* The whole of the file `entry`; NULL: no memory. */
static char *print(const struct entry *en, struct digest terms) {
    char digest[DIGEST_TEXT], *json = NULL, *ret = NULL;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "stage", en->stage);
    cJSON_AddStringToObject(o, "graph", en->graph);
    cJSON_AddNumberToObject(o, "seconds", en->seconds);
    digest_text(terms, digest);
    cJSON_AddStringToObject(o, "terms", digest);
    cJSON *files = cJSON_AddArrayToObject(o, "files");
    for (int i = 0; i < en->files; i++)
        cJSON_AddItemToArray(files, file_json(&en->file[i]));
    cJSON *said = cJSON_AddArrayToObject(o, "said");
    for (int i = 0; i < en->said_count; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "stage", en->said[i].stage);
        if (en->said[i].title)
            cJSON_AddStringToObject(one, "title", en->said[i].title);
        cJSON_AddStringToObject(one, "text", en->said[i].text);
        cJSON_AddItemToArray(said, one);
    }
    cJSON *ledger = cJSON_AddArrayToObject(o, "ledger");
    for (int i = 0; i < en->ledger.count; i++)
        cJSON_AddItemToArray(ledger, line_json(&en->ledger.line[i]));
    if (o && files && said && ledger)
        json = cJSON_Print(o);
    cJSON_Delete(o);
    if (!json)
        return NULL;
    digest_text(digest_bytes(json, strlen(json)), digest);
    if (asprintf(&ret, TITLE "%s\n%s", digest, json) < 0)
        ret = NULL;
    cJSON_free(json);
    return ret;
}

static const char *text_at(const cJSON *o, const char *name) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));
}

static double number_at(const cJSON *o, const char *name) {
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNumber(n) ? n->valuedouble : 0;
}

static bool parse_files(const cJSON *list, struct entry *ret) {
    const cJSON *one;
    cJSON_ArrayForEach(one, list) {
        const char *digest = text_at(one, "digest");
        struct digest d;
        const char *path = text_at(one, "path");
        if (!digest || !digest_parse(digest, &d) || (path && path_goes_up(path)) ||
            !entry_add_file(ret, path, (int64_t)number_at(one, "size"), d))
            return false;
        ret->file[ret->files - 1].model =
            cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(one, "model"));
    }
    return true;
}

static bool parse_ledger(const cJSON *list, struct entry *ret) {
    const cJSON *one;
    cJSON_ArrayForEach(one, list) {
        const char *name = text_at(one, "stage"), *case_id = text_at(one, "case");
        const char *sample = text_at(one, "sample"), *error = text_at(one, "error");
        const char *outcome = text_at(one, "outcome");
        int what = LEDGER_RECOVERED;
        if (!name || !case_id || !sample || !error || !outcome)
            return false;
        while (what < LEDGER_FAILED &&
               strcmp(outcome, ledger_outcome_name((enum ledger_outcome)what)) != 0)
            what++;
        bool first;
        struct ledger_line line = {.epoch = (uint64_t)number_at(one, "epoch"),
                                   .ticket = (int64_t)number_at(one, "ticket"),
                                   .job_name = (char *)(uintptr_t) "",
                                   .name = (char *)(uintptr_t)name,
                                   .case_id = (char *)(uintptr_t)case_id,
                                   .sample = (char *)(uintptr_t)sample,
                                   .attempts = (int)number_at(one, "attempts"),
                                   .outcome = (enum ledger_outcome)what,
                                   .error = (char *)(uintptr_t)error};
        ledger_add(&ret->ledger, &line, &first);
    }
    return true;
}

static bool parse(const char *json, struct entry *ret, struct digest *ret_terms) {
    cJSON *o = cJSON_Parse(json);
    const char *stage = text_at(o, "stage"), *graph = text_at(o, "graph");
    const char *terms = text_at(o, "terms");
    const cJSON *said = cJSON_GetObjectItemCaseSensitive(o, "said"), *one;
    bool good = stage && graph && terms && digest_parse(terms, ret_terms);
    if (good) {
        ret->stage = strdup(stage);
        ret->graph = strdup(graph);
        ret->seconds = number_at(o, "seconds");
        good = ret->stage && ret->graph &&
               parse_files(cJSON_GetObjectItemCaseSensitive(o, "files"), ret) &&
               parse_ledger(cJSON_GetObjectItemCaseSensitive(o, "ledger"), ret);
    }
    cJSON_ArrayForEach(one, said) {
        const char *of = text_at(one, "stage"), *text = text_at(one, "text");
        good = good && of && text && entry_add_said(ret, of, text_at(one, "title"), text);
    }
    cJSON_Delete(o);
    return good;
}

/* ---- writing ---- */

/* Flushes a folder's names; file systems that cannot are let be. */
static void sync_folder(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

static enum hf_status fill(struct entry *en, const struct terms *terms, const char *from,
                           const void *model, size_t model_size, const char *aside,
                           struct hf_error *e) {
    char path[PATH_MAX], source[PATH_MAX];
    enum hf_status st = folder_make(aside, e);
    for (int i = 0; st == HF_OK && i < en->files; i++) {
        (void)snprintf(path, sizeof path, "%.3800s/%d", aside, i);
        int n = snprintf(source, sizeof source, "%s/%s", from, en->file[i].path);
        if (n < 0 || (size_t)n >= sizeof source)
            return hf_fail(e, HF_IO, "%.200s...: the path is too long", from);
        st = digest_copy(source, path, en->file[i].size, en->file[i].digest, e);
    }
    if (st == HF_OK && model) {
        (void)snprintf(path, sizeof path, "%.3800s/%d", aside, en->files);
        st = file_write(path, model, model_size, e);
        if (st == HF_OK &&
            !entry_add_file(en, NULL, (int64_t)model_size, digest_bytes(model, model_size)))
            return hf_fail(e, HF_NO_MEMORY, "no memory for the store");
        if (st == HF_OK)
            en->file[en->files - 1].model = true;
    }
    char *text = terms_text(terms);
    char *whole = text ? print(en, digest_bytes(text, strlen(text))) : NULL;
    if (st == HF_OK && !whole)
        st = hf_fail(e, HF_NO_MEMORY, "no memory for the store");
    (void)snprintf(path, sizeof path, "%.3800s/terms", aside);
    if (st == HF_OK)
        st = file_write(path, text, strlen(text), e);
    (void)snprintf(path, sizeof path, "%.3800s/entry", aside);
    if (st == HF_OK)
        st = file_write(path, whole, strlen(whole), e);
    free(whole);
    free(text);
    if (st == HF_OK)
        sync_folder(aside);
    return st;
}

enum hf_status entry_save(struct store *s, struct digest key, const struct entry *en,
                          const struct terms *terms, const char *folder, const void *model,
                          size_t model_size, bool replace, struct hf_error *e) {
    char aside[PATH_MAX], path[PATH_MAX], above[PATH_MAX];
    if (!replace && entry_there(s, key))
        return HF_OK;
    struct entry mine = *en;
    mine.file = malloc(((size_t)en->files + 1) * sizeof *mine.file);
    if (!mine.file)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the store");
    if (en->files > 0)
        memcpy(mine.file, en->file, (size_t)en->files * sizeof *mine.file);
    (void)store_aside(s, aside, sizeof aside);
    enum hf_status st = fill(&mine, terms, folder, model, model_size, aside, e);
    free(mine.file); /* its paths are the caller's */
    (void)entry_path(s, path, sizeof path, key, "");
    (void)snprintf(above, sizeof above, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (st == HF_OK)
        st = folder_make(above, e);
    if (st == HF_OK) {
        char results[PATH_MAX];
        sync_folder(store_path(s, results, sizeof results, "results"));
    }
    if (st == HF_OK && replace)
        store_drop(s, path);
    /* Another run may have been faster; what it made is the same. */
    if (st == HF_OK && rename(aside, path) != 0 && errno != ENOTEMPTY && errno != EEXIST)
        st = hf_fail(e, HF_IO, "%s: cannot be written: %s", path, strerror(errno));
    if (st == HF_OK)
        sync_folder(above);
    store_drop(s, aside);
    return st;
}

/* ---- reading ---- */

bool entry_known(const struct store *s, struct digest key) {
    char path[PATH_MAX];
    return access(entry_path(s, path, sizeof path, key, ""), F_OK) == 0;
}

bool entry_there(const struct store *s, struct digest key) {
    char path[PATH_MAX];
    return access(entry_path(s, path, sizeof path, key, "entry"), R_OK) == 0;
}

static enum hf_status damaged(const char *path, const char *what, struct hf_error *e) {
    return hf_fail(e, HF_INVALID, "%s: %s", path, what);
}

/* The text of a file of the entry; an error of it is damage, but for want of memory. */
static enum hf_status read_text(const char *path, char **ret, struct hf_error *e) {
    enum hf_status st = store_text(path, ret, e);
    return st == HF_OK || st == HF_NO_MEMORY ? st : (e->status = HF_INVALID);
}

static enum hf_status check_terms(const struct store *s, struct digest key, struct digest digest,
                                  struct hf_error *e) {
    char path[PATH_MAX];
    struct digest found;
    enum hf_status st =
        digest_file(entry_path(s, path, sizeof path, key, "terms"), &found, NULL, e);
    if (st != HF_OK)
        return st == HF_NO_MEMORY ? st : (e->status = HF_INVALID);
    return digest_same(found, digest) ? HF_OK : damaged(path, "its checksum is wrong", e);
}

enum hf_status entry_load(struct store *s, struct digest key, struct entry *ret,
                          struct hf_error *e) {
    char path[PATH_MAX], *text = NULL;
    struct digest sum, terms;
    *ret = (struct entry){0};
    if (!entry_known(s, key))
        return hf_fail(e, HF_NOT_FOUND, "%s: is not in the store",
                       entry_path(s, path, sizeof path, key, ""));
    enum hf_status st = read_text(entry_path(s, path, sizeof path, key, "entry"), &text, e);
    if (st != HF_OK)
        return st;
    char *json = strchr(text, '\n');
    if (json)
        *json++ = 0;
    if (!json || strncmp(text, TITLE, strlen(TITLE)) != 0 ||
        !digest_parse(text + strlen(TITLE), &sum) ||
        !digest_same(sum, digest_bytes(json, strlen(json))))
        st = damaged(path, "its checksum is wrong", e);
    else if (!parse(json, ret, &terms))
        st = damaged(path, "it cannot be read", e);
    free(text);
    if (st == HF_OK)
        st = check_terms(s, key, terms, e);
    if (st != HF_OK)
        entry_clear(ret);
    return st;
}

static enum hf_status place_of(const char *folder, const struct entry_file *f, char ret[PATH_MAX],
                               struct hf_error *e) {
    int n = snprintf(ret, PATH_MAX, "%s/%s", folder, f->path);
    return n > 0 && n < PATH_MAX ? HF_OK
                                 : hf_fail(e, HF_IO, "%.200s...: the path is too long", folder);
}

/* Whether all of them are in the folder already, as they should be. */
static bool all_there(const struct entry *en, const char *folder) {
    for (int i = 0; i < en->files; i++) {
        const struct entry_file *f = &en->file[i];
        char path[PATH_MAX];
        struct stat info;
        struct digest found;
        struct hf_error e;
        if (!f->path)
            continue;
        if (place_of(folder, f, path, &e) != HF_OK || stat(path, &info) != 0 ||
            info.st_size != f->size || digest_file(path, &found, NULL, &e) != HF_OK ||
            !digest_same(found, f->digest))
            return false;
    }
    return true;
}

static enum hf_status restore_one(struct store *s, struct digest key, const struct entry *en,
                                  int which, const char *folder, struct hf_error *e) {
    const struct entry_file *f = &en->file[which];
    char path[PATH_MAX], above[PATH_MAX], from[PATH_MAX];
    enum hf_status st = place_of(folder, f, path, e);
    if (st != HF_OK)
        return st;
    (void)snprintf(above, sizeof above, "%.*s", (int)(strrchr(path, '/') - path), path);
    st = folder_make(above, e);
    if (st == HF_OK)
        st = digest_copy(file_path(s, from, sizeof from, key, which), path, f->size, f->digest, e);
    return st;
}

enum hf_status entry_restore(struct store *s, struct digest key, const struct entry *en,
                             const char *folder, struct hf_error *e) {
    enum hf_status st = HF_OK;
    char path[PATH_MAX];
    if (all_there(en, folder))
        return HF_OK;
    /* A file that says that others are there was written after them: it goes first, comes last. */
    for (int i = en->files - 1; st == HF_OK && i >= 0; i--) {
        if (!en->file[i].path)
            continue;
        st = place_of(folder, &en->file[i], path, e);
        if (st == HF_OK && unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
            st = hf_fail(e, HF_IO, "%s: cannot be replaced: %s", path, strerror(errno));
    }
    for (int i = 0; st == HF_OK && i < en->files; i++)
        if (en->file[i].path)
            st = restore_one(s, key, en, i, folder, e);
    return st;
}

enum hf_status entry_model(struct store *s, struct digest key, const struct entry *en, void **ret,
                           size_t *ret_size, struct hf_error *e) {
    int which = 0;
    char path[PATH_MAX];
    while (which < en->files && !en->file[which].model)
        which++;
    if (which == en->files)
        return hf_fail(e, HF_NOT_FOUND, "the store's result of '%s' has no model", en->stage);
    struct stat info;
    (void)file_path(s, path, sizeof path, key, which);
    if (stat(path, &info) != 0 || info.st_size != en->file[which].size)
        return damaged(path, "it has not the size that it should have", e);
    enum hf_status st = file_read(path, ret, ret_size, e);
    if (st != HF_OK)
        return st == HF_NO_MEMORY ? st : (e->status = HF_INVALID);
    if ((int64_t)*ret_size == en->file[which].size &&
        digest_same(digest_bytes(*ret, *ret_size), en->file[which].digest))
        return HF_OK;
    free(*ret);
    return damaged(path, "its checksum is wrong", e);
}

void entry_drop(struct store *s, struct digest key) {
    char path[PATH_MAX];
    store_drop(s, entry_path(s, path, sizeof path, key, ""));
}

void entry_touch(struct store *s, struct digest key) {
    char path[PATH_MAX];
    store_touch(entry_path(s, path, sizeof path, key, "entry"));
}

enum hf_status entry_check(struct store *s, struct digest key, struct hf_error *e) {
    struct entry en;
    enum hf_status st = entry_load(s, key, &en, e);
    for (int i = 0; st == HF_OK && i < en.files; i++) {
        char path[PATH_MAX];
        struct digest found;
        st = digest_file(file_path(s, path, sizeof path, key, i), &found, NULL, e);
        if (st == HF_OK && !digest_same(found, en.file[i].digest))
            st = damaged(path, "its checksum is wrong", e);
        else if (st != HF_OK && st != HF_NO_MEMORY)
            st = e->status = HF_INVALID;
    }
    entry_clear(&en);
    /* Another program may have removed it meanwhile. */
    return st == HF_INVALID && !entry_known(s, key) ? (e->status = HF_NOT_FOUND) : st;
}
