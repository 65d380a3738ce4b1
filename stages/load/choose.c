/**
 * choose.c - reads what the dataset is made of, and chooses the cases that are wanted.
 */
#include "folder.h"
#include "load.h"
#include "read.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <sys/stat.h>

static int has_name(const struct hf_names *names, const char *name) {
    for (int32_t i = 0; i < names->count; i++)
        if (strcmp(names->name[i], name) == 0)
            return 1;
    return 0;
}

/** What `require` may name: the files, and the annotation. */
enum {
    NEED_SEGMENTS = HF_CASE_FILES,
    NEEDS
};

static const char *need_name(int need) {
    return need == NEED_SEGMENTS ? "segments" : hf_case_file_name((enum hf_case_file)need);
}

int load_wants(const struct load_options *o, enum hf_case_file f) {
    return f == HF_CASE_IMAGE || has_name(&o->fields, hf_case_file_name(f)) ||
           has_name(&o->require, hf_case_file_name(f));
}

static enum hf_status check_there(const struct load_options *o, const struct hf_case *c,
                                  enum hf_case_file f, struct hf_error *e) {
    struct stat s;
    const char *what = NULL;
    if (stat(c->path[f], &s) != 0)
        what = errno == ENOENT ? "is not there" : strerror(errno);
    else if (S_ISDIR(s.st_mode))
        what = "is a folder; expected a NIfTI file";
    else if (s.st_size == 0)
        what = "is empty; expected a NIfTI file";
    if (!what)
        return HF_OK;
    char where[64] = "";
    if (c->column[f] > 0)
        (void)snprintf(where, sizeof where, ":%d:%d", (int)c->at.line, (int)c->column[f]);
    return hf_fail(e, HF_NOT_FOUND, "%s%s: %s of case '%s': %s %s",
                   c->column[f] > 0 ? c->at.file : o->dataset, where, hf_case_file_name(f), c->name,
                   c->path[f], what);
}

enum hf_status load_paths_of(const struct load_options *o, const struct hf_case *c,
                             enum hf_case_file f, struct load_paths *ret, struct hf_error *e) {
    enum hf_status st = check_there(o, c, f, e);
    return st == HF_OK ? hf_nifti_paths(c->path[f], ret->header, ret->image, sizeof ret->header, e)
                       : st;
}

enum hf_status load_slices_of(const struct hf_stage *s, const struct hf_case *c,
                              struct hf_slices *ret, struct hf_error *e) {
    struct stat info;
    const char *what = NULL;
    if (stat(c->slices, &info) != 0)
        what = errno == ENOENT ? "is not there" : strerror(errno);
    else if (!S_ISREG(info.st_mode))
        what = "is no file; expected a table of slices";
    else if (info.st_size == 0)
        what = "is empty; expected a table of slices";
    if (what)
        return hf_fail(e, HF_NOT_FOUND, "%s:%d:%d: segments of case '%s': %s %s", c->slices_at.file,
                       (int)c->slices_at.line, (int)c->slices_column, c->name, c->slices, what);
    void *text = NULL;
    size_t size = 0;
    enum hf_status st = s->host->file_take(s->host, c->slices, &text, &size, e);
    if (st != HF_OK)
        return st;
    st = hf_slices_parse(text, size, c->slices, ret, e);
    s->host->file_free(s->host, text);
    return st;
}

/** Looks for a case's files, so that a mistake shows before the work. */
static enum hf_status check_item(const struct hf_stage *s, const struct load_item *it,
                                 struct hf_error *e) {
    enum hf_status st = HF_OK;
    for (int f = 0; f < HF_CASE_FILES && st == HF_OK; f++) {
        struct load_paths paths;
        if (it->reads[f])
            st = load_paths_of(s->options, it->c, (enum hf_case_file)f, &paths, e);
    }
    if (st != HF_OK || !it->c->slices)
        return st;
    struct hf_slices slices = {0, NULL};
    st = load_slices_of(s, it->c, &slices, e);
    hf_slices_free(&slices);
    return st;
}

static int fits(const struct hf_names *patterns, const char *name) {
    for (int32_t i = 0; i < patterns->count; i++)
        if (fnmatch(patterns->name[i], name, 0) == 0)
            return 1;
    return 0;
}

static int is_named(const struct load_options *o, const struct hf_case *c) {
    return (o->cases.count == 0 || fits(&o->cases, c->name)) && !fits(&o->omit, c->name);
}

/** 1 if the manifest has all that is required of the case; adds up what it lacks. */
static int is_complete(const struct load_options *o, const struct hf_case *c,
                       int64_t lacks[NEEDS]) {
    int whole = 1;
    for (int need = 0; need < NEEDS; need++) {
        int there = need == NEED_SEGMENTS ? c->annotated : c->path[need] != NULL;
        if (!there && has_name(&o->require, need_name(need))) {
            whole = 0;
            lacks[need]++;
        }
    }
    return whole;
}

/** A list of names as text: "liver, couinaud". */
static const char *list(const struct hf_names *names, char *buffer, size_t size) {
    size_t used = 0;
    buffer[0] = '\0';
    for (int32_t i = 0; i < names->count && used < size; i++) {
        int n = snprintf(buffer + used, size - used, "%s%s", i ? ", " : "", names->name[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    return buffer;
}

/** Says how many cases `require` has left out, and how many of them want for what. */
static void log_left_out(const struct hf_stage *s, int64_t left_out, int64_t of,
                         const int64_t lacks[NEEDS]) {
    const struct load_options *o = s->options;
    char line[LOAD_PATH_BYTES + 256];
    int used = snprintf(line, sizeof line, "%s: %lld of %lld cases left out:", o->dataset,
                        (long long)left_out, (long long)of);
    const char *comma = "";
    for (int need = 0; need < NEEDS; need++) {
        if (lacks[need] == 0 || used < 0 || (size_t)used >= sizeof line)
            continue;
        used += snprintf(line + used, sizeof line - (size_t)used, "%s %lld without %s", comma,
                         (long long)lacks[need], need_name(need));
        comma = ",";
    }
    s->host->log(s, HF_LOG_INFO, line);
}

/** No case has all that is required: for want of a column, of files, or of entries. */
static enum hf_status fail_incomplete(const struct load_options *o, const struct hf_cases *cases,
                                      int64_t named, const char *split, struct hf_error *e) {
    char names[512];
    for (int need = 0; need < NEEDS; need++) {
        if (cases->has[need] || !has_name(&o->require, need_name(need)))
            continue;
        const char *unknown = cases->unknown;
        if (cases->header_line > 0)
            return hf_fail(
                e, HF_INVALID,
                "%s:%d:1: no column '%s' in the header%s%s%s; it is required of each case",
                cases->item[0].at.file, (int)cases->header_line, need_name(need),
                *unknown ? ", but an unknown one '" : "", unknown, *unknown ? "'" : "");
        if (need == NEED_SEGMENTS)
            return hf_fail(e, HF_INVALID,
                           "%s: a folder has no annotations; give them in the column 'segments' of "
                           "a file that `overrides` names, or do not require them",
                           o->dataset);
        if (cases->unlabeled)
            return hf_fail(e, HF_NOT_FOUND,
                           "%s/labelsTr: not there; expected the label files of its cases, or a "
                           "folder of %s masks: `%s: FOLDER/{case}.nii.gz`",
                           o->dataset, need_name(need), need_name(need));
        return hf_fail(
            e, HF_INVALID,
            "%s: none of its files is a %s mask (its labels: %s); name a folder of them: "
            "`%s: FOLDER/{case}.nii.gz`",
            o->dataset, need_name(need), cases->labels, need_name(need));
    }
    return hf_fail(e, HF_INVALID, "%s: none of %lld cases in %s has all that is required: %s",
                   o->dataset, (long long)named, split, list(&o->require, names, sizeof names));
}

/** Chooses among the cases. */
static enum hf_status choose(const struct hf_stage *s, struct hf_error *e) {
    const struct load_options *o = s->options;
    struct load_state *st = s->state;
    static const char *const split_names[] = {"split train", "split test", "any split"};
    int64_t in_split = 0, named = 0, lacks[NEEDS] = {0};
    st->item = calloc((size_t)st->cases.count, sizeof *st->item);
    if (!st->item)
        return hf_fail(e, HF_NO_MEMORY, "%s: no memory for its cases", o->dataset);
    for (int32_t i = 0; i < st->cases.count; i++) {
        const struct hf_case *c = &st->cases.item[i];
        if (o->split != SPLIT_ALL && (int)c->split != o->split)
            continue;
        in_split++;
        if (!is_named(o, c))
            continue;
        named++;
        if (!is_complete(o, c, lacks))
            continue;
        struct load_item *it = &st->item[st->items++];
        it->c = c;
        for (int f = 0; f < HF_CASE_FILES; f++)
            it->reads[f] = c->path[f] && load_wants(o, (enum hf_case_file)f);
        enum hf_status status = s->items_may_fail ? HF_OK : check_item(s, it, e);
        if (status != HF_OK)
            return status;
    }
    char names[512];
    if (st->items > 0) {
        if (st->items < named)
            log_left_out(s, named - st->items, named, lacks);
        return HF_OK;
    }
    if (in_split == 0)
        return hf_fail(e, HF_INVALID, "%s: none of its %d cases is in %s", o->dataset,
                       (int)st->cases.count, split_names[o->split]);
    if (named == 0 && o->cases.count == 0)
        return hf_fail(e, HF_INVALID, "%s: all of the %lld cases in %s are omitted: %s", o->dataset,
                       (long long)in_split, split_names[o->split],
                       list(&o->omit, names, sizeof names));
    if (named == 0)
        return hf_fail(e, HF_INVALID, "%s: none of the %lld cases in %s is called %s", o->dataset,
                       (long long)in_split, split_names[o->split],
                       list(&o->cases, names, sizeof names));
    return fail_incomplete(o, &st->cases, named, split_names[o->split], e);
}

/* ---- what the dataset is made of ---- */

/** The content of a file that must be there: freed with file_free. */
static enum hf_status take(const struct hf_stage *s, const char *path, const char *what, void **ret,
                           size_t *ret_size, struct hf_error *e) {
    struct stat info;
    if (stat(path, &info) != 0)
        return hf_fail(e, HF_NOT_FOUND, "%s: %s; expected %s", path,
                       errno == ENOENT ? "not there" : strerror(errno), what);
    if (!S_ISREG(info.st_mode))
        return hf_fail(e, HF_INVALID, "%s: no file; expected %s", path, what);
    if (info.st_size == 0)
        return hf_fail(e, HF_INVALID, "%s: the file is empty; expected %s", path, what);
    return s->host->file_take(s->host, path, ret, ret_size, e);
}

static enum hf_status read_dataset(const struct hf_stage *s, struct hf_error *e) {
    const struct load_options *o = s->options;
    struct load_state *state = s->state;
    struct stat info;
    enum hf_folder_kind kind = HF_FOLDER_MANIFEST;
    if (stat(o->dataset, &info) != 0)
        return hf_fail(e, HF_NOT_FOUND,
                       "%s: %s; expected a manifest (cases.csv) or the folder of a data set",
                       o->dataset, errno == ENOENT ? "not there" : strerror(errno));
    (void)snprintf(state->file, sizeof state->file, "%s", o->dataset);
    if (S_ISDIR(info.st_mode))
        kind = hf_folder_kind(o->dataset, state->file, sizeof state->file);
    if (kind == HF_FOLDER_LITS)
        return hf_folder_lits(o->dataset, &state->cases, e);
    if (kind == HF_FOLDER_NONE)
        return hf_fail(
            e, HF_INVALID,
            "%s: a folder; expected a manifest, such as cases.csv, or in it one of "
            "cases.csv, dataset.json (MSD, nnU-Net), volume-N.nii and segmentation-N.nii "
            "(LiTS)",
            o->dataset);
    void *text = NULL;
    size_t size = 0;
    enum hf_status st = take(s, state->file, "a manifest of cases", &text, &size, e);
    if (st != HF_OK)
        return st;
    st = kind == HF_FOLDER_JSON ? hf_folder_json(o->dataset, text, size, &state->cases, e)
                                : hf_cases_parse(text, size, state->file, &state->cases, e);
    s->host->file_free(s->host, text);
    if (st == HF_OK && state->cases.unlabeled) {
        char line[LOAD_PATH_BYTES + 64];
        (void)snprintf(line, sizeof line, "%s/labelsTr: not there: its cases have no labels",
                       o->dataset);
        s->host->log(s, HF_LOG_WARNING, line);
    }
    return st;
}

/** Adds what the file of `overrides` tells of the cases. */
static enum hf_status read_overrides(const struct hf_stage *s, struct hf_error *e) {
    const struct load_options *o = s->options;
    struct load_state *state = s->state;
    void *text = NULL;
    size_t size = 0;
    char unused[256];
    if (!o->overrides)
        return HF_OK;
    enum hf_status st = take(s, o->overrides, "remarks on cases (a CSV file)", &text, &size, e);
    if (st != HF_OK)
        return st;
    st = hf_cases_remark(&state->cases, text, size, o->overrides, unused, sizeof unused, e);
    s->host->file_free(s->host, text);
    if (st == HF_OK && unused[0]) {
        char line[LOAD_PATH_BYTES + 320];
        (void)snprintf(line, sizeof line, "%s: no case of the dataset fits line %s", o->overrides,
                       unused);
        s->host->log(s, HF_LOG_INFO, line);
    }
    for (int32_t i = 0; i < state->cases.count; i++)
        state->cases.has[NEED_SEGMENTS] |= state->cases.item[i].annotated;
    return st;
}

/** What the options say of a field's files: where they are, and what their values mean. */
static enum hf_status read_field(const struct hf_stage *s, enum hf_case_file f, const char *pattern,
                                 const struct hf_reals *values, struct hf_error *e) {
    struct hf_cases *cases = &((struct load_state *)s->state)->cases;
    struct hf_values *v = &cases->values[f];
    enum hf_status st = pattern ? hf_folder_pattern(pattern, f, cases, e) : HF_OK;
    if (st != HF_OK || values->count == 0)
        return st;
    memset(v, 0, sizeof *v);
    v->given = 1;
    v->largest = f == HF_CASE_COUINAUD ? values->count : 255;
    for (int i = 0; i < values->count; i++) {
        int value = (int)values->value[i];
        if ((double)value != values->value[i])
            return hf_fail(e, HF_INVALID, "option '%s_values' has %g; expected whole numbers",
                           hf_case_file_name(f), values->value[i]);
        if (f == HF_CASE_COUINAUD && value > 8)
            return hf_fail(e, HF_INVALID,
                           "option 'couinaud_values' has %d; expected segments 1 to 8, or 0",
                           value);
        if (f == HF_CASE_COUINAUD)
            v->to[i + 1] = (uint8_t)value;
        else
            v->to[value] = 1;
    }
    return HF_OK;
}

enum hf_status load_choose(struct hf_stage *s, struct hf_error *e) {
    const struct load_options *o = s->options;
    struct load_state *state = s->state;
    enum hf_status st = read_dataset(s, e);
    if (st == HF_OK)
        st = read_field(s, HF_CASE_LIVER, o->liver, &o->liver_values, e);
    if (st == HF_OK)
        st = read_field(s, HF_CASE_COUINAUD, o->couinaud, &o->couinaud_values, e);
    if (st == HF_OK)
        st = read_field(s, HF_CASE_TUMOR, o->tumor, &o->tumor_values, e);
    if (st == HF_OK)
        st = read_overrides(s, e);
    if (st == HF_OK)
        st = hf_cases_split(&state->cases, o->test_share, o->dataset, e);
    return st == HF_OK ? choose(s, e) : st;
}
