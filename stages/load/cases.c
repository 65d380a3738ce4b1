/**
 * cases.c - reads cases.csv: anything that would quietly become a wrong experiment is an error with
 * its line and column.
 */
#include "cases.h"
#include "csv.h"

#include <stdlib.h>
#include <string.h>

#define MAX_NAME 120

enum column {
    COLUMN_CASE,
    COLUMN_PATIENT,
    COLUMN_SPLIT,
    COLUMN_SEGMENTS,
    COLUMN_FILES, /* the first of HF_CASE_FILES columns */
    COLUMNS = COLUMN_FILES + HF_CASE_FILES
};

static const char *const column_names[COLUMNS] = {"case",  "patient", "split",    "segments",
                                                  "image", "liver",   "couinaud", "tumor"};

const char *hf_case_file_name(enum hf_case_file f) {
    return column_names[COLUMN_FILES + (int)f];
}

struct parser {
    struct hf_csv csv;
    int32_t place[COLUMNS]; /* which entry is which column; -1: none */
    struct hf_error *error;
};

static const struct hf_csv_entry *entry_of(const struct parser *p, int column) {
    static const struct hf_csv_entry none = {"", 1};
    return p->place[column] < 0 ? &none : &p->csv.entry[p->place[column]];
}

static char *copy_text(const char *text) {
    size_t n = strlen(text) + 1;
    char *copy = malloc(n);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

/** A path of the manifest: relative ones start from its folder. */
static char *copy_path(const char *manifest, const char *path) {
    const char *slash = strrchr(manifest, '/');
    size_t folder = slash && path[0] != '/' ? (size_t)(slash - manifest) + 1 : 0;
    size_t n = strlen(path) + 1;
    char *copy = malloc(folder + n);
    if (copy) {
        memcpy(copy, manifest, folder);
        memcpy(copy + folder, path, n);
    }
    return copy;
}

/** Names go into file names and messages. */
static enum hf_status check_name(const struct parser *p, int column) {
    const struct hf_csv_entry *n = entry_of(p, column);
    const char *what = column_names[column];
    if (strlen(n->text) > MAX_NAME)
        return hf_csv_fail(&p->csv, n->column, "a %s name of %zu bytes; at most %d", what,
                           strlen(n->text), MAX_NAME);
    if (n->text[0] == '.')
        return hf_csv_fail(&p->csv, n->column, "%s '%s' begins with a dot", what, n->text);
    for (const char *c = n->text; *c; c++)
        if (*c == '/' || *c == '\\' || (unsigned char)*c < 32 || *c == 127)
            return hf_csv_fail(&p->csv, n->column,
                               "%s '%s' holds a slash or control character; it names result files",
                               what, n->text);
    return HF_OK;
}

/** The annotation: segments, or the path of a table of slices. */
static enum hf_status read_segments(const struct parser *p, struct hf_case *c) {
    const struct hf_csv_entry *n = entry_of(p, COLUMN_SEGMENTS);
    size_t length = strlen(n->text);
    if (length == 0)
        return HF_OK;
    c->annotated = 1;
    c->slices_column = n->column;
    if (length <= 4 || strcmp(n->text + length - 4, ".csv") != 0)
        return hf_csv_segments(&p->csv, n, c->segment);
    c->slices = copy_path(p->csv.path, n->text);
    return c->slices ? HF_OK
                     : hf_fail(p->error, HF_NO_MEMORY, "%s: no memory for its cases", p->csv.path);
}

static enum hf_status read_case(const struct parser *p, struct hf_case *c, int *ret_split) {
    const struct hf_csv_entry *name = entry_of(p, COLUMN_CASE);
    const struct hf_csv_entry *patient = entry_of(p, COLUMN_PATIENT);
    const struct hf_csv_entry *split = entry_of(p, COLUMN_SPLIT);
    const struct hf_csv_entry *image = entry_of(p, COLUMN_FILES + HF_CASE_IMAGE);
    c->line = p->csv.line;
    if (!name->text[0])
        return hf_csv_fail(&p->csv, name->column, "no case name");
    if (!image->text[0])
        return hf_csv_fail(&p->csv, image->column, "case '%s' has no image", name->text);
    enum hf_status st = check_name(p, COLUMN_CASE);
    if (st == HF_OK)
        st = check_name(p, COLUMN_PATIENT);
    if (st == HF_OK)
        st = read_segments(p, c);
    if (st != HF_OK)
        return st;
    *ret_split = strcmp(split->text, "train") == 0  ? HF_SPLIT_TRAIN
                 : strcmp(split->text, "test") == 0 ? HF_SPLIT_TEST
                                                    : -1;
    if (*ret_split < 0 && split->text[0])
        return hf_csv_fail(&p->csv, split->column,
                           "split '%.40s'; expected train, test, or nothing", split->text);
    c->name = copy_text(name->text);
    c->patient = copy_text(patient->text[0] ? patient->text : name->text);
    int whole = c->name && c->patient;
    for (int f = 0; f < HF_CASE_FILES; f++) {
        const struct hf_csv_entry *n = entry_of(p, COLUMN_FILES + f);
        c->column[f] = n->column;
        if (!n->text[0])
            continue;
        c->path[f] = copy_path(p->csv.path, n->text);
        whole = whole && c->path[f];
    }
    return whole ? HF_OK
                 : hf_fail(p->error, HF_NO_MEMORY, "%s: no memory for its cases", p->csv.path);
}

/** A case with the split that its line gives (-1: none), to be sorted. */
struct line {
    struct hf_case *c;
    int split;
};

static int by_name(const void *a, const void *b) {
    const struct line *x = a, *y = b;
    int order = strcmp(x->c->name, y->c->name);
    return order ? order : (x->c->line > y->c->line) - (x->c->line < y->c->line);
}

static int by_patient(const void *a, const void *b) {
    const struct line *x = a, *y = b;
    int order = strcmp(x->c->patient, y->c->patient);
    return order ? order : (x->c->line > y->c->line) - (x->c->line < y->c->line);
}

/** No case twice; one split a patient, from any of the patient's lines or else by a hash. */
static enum hf_status settle(struct parser *p, struct line *lines, int32_t n) {
    qsort(lines, (size_t)n, sizeof *lines, by_name);
    for (int32_t i = 1; i < n; i++)
        if (strcmp(lines[i].c->name, lines[i - 1].c->name) == 0) {
            p->csv.line = lines[i].c->line;
            return hf_csv_fail(&p->csv, 1, "case '%s' stands in line %d already", lines[i].c->name,
                               (int)lines[i - 1].c->line);
        }
    qsort(lines, (size_t)n, sizeof *lines, by_patient);
    for (int32_t i = 0, next; i < n; i = next) {
        const struct line *given = NULL;
        for (next = i; next < n && strcmp(lines[next].c->patient, lines[i].c->patient) == 0;
             next++) {
            if (lines[next].split < 0)
                continue;
            if (given && given->split != lines[next].split) {
                p->csv.line = lines[next].c->line;
                return hf_csv_fail(&p->csv, 1,
                                   "patient '%s' is in split '%s' here and in '%s' in line %d; a "
                                   "patient belongs to one split",
                                   lines[i].c->patient, lines[next].split ? "test" : "train",
                                   given->split ? "test" : "train", (int)given->c->line);
            }
            given = given ? given : &lines[next];
        }
        enum hf_split split =
            given ? (enum hf_split)given->split : hf_split_of(lines[i].c->patient);
        for (int32_t k = i; k < next; k++)
            lines[k].c->split = split;
    }
    return HF_OK;
}

/** Notes what the header has: a column that is misspelled is one that is not there. */
static void note_header(const struct parser *p, struct hf_cases *cases) {
    cases->header_line = p->csv.line;
    for (int f = 0; f < HF_CASE_FILES; f++)
        cases->has[f] = p->place[COLUMN_FILES + f] >= 0;
    cases->has[HF_CASE_FILES] = p->place[COLUMN_SEGMENTS] >= 0;
    for (int32_t i = 0; i < p->csv.entries && !cases->unknown[0]; i++) {
        int known = 0;
        for (int c = 0; c < COLUMNS; c++)
            known = known || p->place[c] == i;
        if (!known)
            (void)snprintf(cases->unknown, sizeof cases->unknown, "%s", p->csv.entry[i].text);
    }
}

/** Reads the records behind the header. */
static enum hf_status read_cases(struct parser *p, struct hf_cases *cases, int **splits) {
    int32_t room = 0;
    for (;;) {
        int more = 0;
        enum hf_status st = hf_csv_next(&p->csv, &more);
        if (st != HF_OK)
            return st;
        if (!more)
            break;
        if (cases->count == room) {
            room = room ? 2 * room : 16;
            struct hf_case *item = realloc(cases->item, (size_t)room * sizeof *item);
            if (item)
                cases->item = item;
            int *wider = realloc(*splits, (size_t)room * sizeof *wider);
            if (wider)
                *splits = wider;
            if (!item || !wider)
                return hf_fail(p->error, HF_NO_MEMORY, "%s: no memory for its cases", p->csv.path);
        }
        struct hf_case *c = &cases->item[cases->count];
        memset(c, 0, sizeof *c);
        cases->count++;
        st = read_case(p, c, &(*splits)[cases->count - 1]);
        if (st != HF_OK)
            return st;
    }
    if (cases->count == 0)
        return hf_fail(p->error, HF_INVALID, "%s: a header line but no case", p->csv.path);
    return HF_OK;
}

enum hf_status hf_cases_parse(const char *text, size_t size, const char *path, struct hf_cases *ret,
                              struct hf_error *e) {
    static const char required[COLUMNS] = {[COLUMN_CASE] = 1, [COLUMN_FILES + HF_CASE_IMAGE] = 1};
    struct hf_cases cases = {.count = 0};
    int *splits = NULL;
    struct line *lines = NULL;
    struct parser p;
    memset(&p, 0, sizeof p);
    p.error = e;
    enum hf_status st = hf_csv_open(text, size, path, "a manifest of cases", &p.csv, e);
    if (st == HF_OK)
        st = hf_csv_header(&p.csv, column_names, required, COLUMNS,
                           "case,patient,split,image,liver,couinaud,tumor,segments", p.place);
    if (st == HF_OK)
        note_header(&p, &cases);
    if (st == HF_OK)
        st = read_cases(&p, &cases, &splits);
    if (st == HF_OK) {
        lines = malloc((size_t)cases.count * sizeof *lines);
        if (!lines)
            st = hf_fail(e, HF_NO_MEMORY, "%s: no memory for its cases", path);
    }
    if (st == HF_OK) {
        for (int32_t i = 0; i < cases.count; i++)
            lines[i] = (struct line){&cases.item[i], splits[i]};
        st = settle(&p, lines, cases.count);
    }
    free(lines);
    free(splits);
    hf_csv_close(&p.csv);
    if (st == HF_OK)
        *ret = cases;
    else
        hf_cases_free(&cases);
    return st;
}

void hf_cases_free(struct hf_cases *c) {
    for (int32_t i = 0; i < c->count; i++) {
        free(c->item[i].name);
        free(c->item[i].patient);
        free(c->item[i].slices);
        for (int f = 0; f < HF_CASE_FILES; f++)
            free(c->item[i].path[f]);
    }
    free(c->item);
    c->item = NULL;
    c->count = 0;
}
