/**
 * cases.c - reads cases.csv: anything that would quietly become a wrong experiment is an error with
 * its line and column.
 */
#include "cases.h"
#include "csv.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAME 120

enum column {
    COLUMN_CASE,
    COLUMN_PATIENT,
    COLUMN_SPLIT,
    COLUMN_SEGMENTS,
    COLUMN_SPACING,
    COLUMN_ORIENTATION,
    COLUMN_FLIP,
    COLUMN_FILES, /* the first of HF_CASE_FILES columns */
    COLUMNS = COLUMN_FILES + HF_CASE_FILES,
    COLUMN_FIELD = COLUMN_FILES /* of a table of remarks, which has no files */
};

static const char *const column_names[COLUMNS] = {"case",    "patient",     "split", "segments",
                                                  "spacing", "orientation", "flip",  "image",
                                                  "liver",   "couinaud",    "tumor"};
static const char *const remark_names[COLUMN_FIELD + 1] = {
    "case", "patient", "split", "segments", "spacing", "orientation", "flip", "field"};

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

/** What a line of a manifest and one of a table of remarks have in common. */
static enum hf_status read_line(const struct parser *p, struct hf_case *c,
                                struct hf_override *ret_geometry) {
    const struct hf_csv_entry *name = entry_of(p, COLUMN_CASE);
    const struct hf_csv_entry *split = entry_of(p, COLUMN_SPLIT);
    c->at = c->split_at = c->slices_at = (struct hf_origin){p->csv.path, p->csv.line};
    if (!name->text[0])
        return hf_csv_fail(&p->csv, name->column, "no case name");
    enum hf_status st = check_name(p, COLUMN_CASE);
    if (st == HF_OK)
        st = check_name(p, COLUMN_PATIENT);
    if (st == HF_OK)
        st = read_segments(p, c);
    if (st == HF_OK)
        st =
            hf_override_parse(&p->csv, entry_of(p, COLUMN_SPACING), entry_of(p, COLUMN_ORIENTATION),
                              entry_of(p, COLUMN_FLIP), ret_geometry);
    if (st != HF_OK)
        return st;
    c->given = strcmp(split->text, "train") == 0  ? HF_SPLIT_TRAIN
               : strcmp(split->text, "test") == 0 ? HF_SPLIT_TEST
                                                  : -1;
    if (c->given < 0 && split->text[0])
        return hf_csv_fail(&p->csv, split->column,
                           "split '%.40s'; expected train, test, or nothing", split->text);
    c->name = copy_text(name->text);
    return c->name ? HF_OK
                   : hf_fail(p->error, HF_NO_MEMORY, "%s: no memory for its cases", p->csv.path);
}

static enum hf_status read_case(const struct parser *p, struct hf_case *c) {
    const struct hf_csv_entry *patient = entry_of(p, COLUMN_PATIENT);
    const struct hf_csv_entry *image = entry_of(p, COLUMN_FILES + HF_CASE_IMAGE);
    enum hf_status st = read_line(p, c, &c->geometry[HF_CASE_IMAGE]);
    if (st != HF_OK)
        return st;
    if (!image->text[0])
        return hf_csv_fail(&p->csv, image->column, "case '%s' has no image", c->name);
    c->patient = copy_text(patient->text[0] ? patient->text : c->name);
    int whole = c->patient != NULL;
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

static int by_name(const void *a, const void *b) {
    const struct hf_case *x = *(const struct hf_case *const *)a;
    const struct hf_case *y = *(const struct hf_case *const *)b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->at.line > y->at.line) - (x->at.line < y->at.line);
}

static int by_patient(const void *a, const void *b) {
    const struct hf_case *x = *(const struct hf_case *const *)a;
    const struct hf_case *y = *(const struct hf_case *const *)b;
    int order = strcmp(x->patient, y->patient);
    return order ? order : (x->at.line > y->at.line) - (x->at.line < y->at.line);
}

/** The cases in another order: an array to be freed. */
static struct hf_case **sorted(struct hf_cases *c, int (*order)(const void *, const void *)) {
    struct hf_case **list = malloc((size_t)c->count * sizeof *list);
    for (int32_t i = 0; list && i < c->count; i++)
        list[i] = &c->item[i];
    if (list)
        qsort(list, (size_t)c->count, sizeof *list, order);
    return list;
}

static enum hf_status check_unique(struct parser *p, struct hf_cases *c) {
    struct hf_case **list = sorted(c, by_name);
    enum hf_status st =
        list ? HF_OK : hf_fail(p->error, HF_NO_MEMORY, "%s: no memory for its cases", p->csv.path);
    for (int32_t i = 1; st == HF_OK && i < c->count; i++)
        if (strcmp(list[i]->name, list[i - 1]->name) == 0) {
            p->csv.line = list[i]->at.line;
            st = hf_csv_fail(&p->csv, 1, "case '%s' stands in line %d already", list[i]->name,
                             (int)list[i - 1]->at.line);
        }
    free(list);
    return st;
}

enum hf_status hf_cases_split(struct hf_cases *c, double test, const char *path,
                              struct hf_error *e) {
    struct hf_case **list = sorted(c, by_patient);
    if (!list)
        return hf_fail(e, HF_NO_MEMORY, "%s: no memory for its cases", path);
    enum hf_status st = HF_OK;
    for (int32_t i = 0, next; i < c->count && st == HF_OK; i = next) {
        const struct hf_case *given = NULL;
        const char *patient = list[i]->patient;
        for (next = i; next < c->count && strcmp(list[next]->patient, patient) == 0; next++) {
            const struct hf_case *here = list[next];
            if (here->given < 0)
                continue;
            if (given && given->given != here->given && st == HF_OK)
                st = hf_fail(e, HF_INVALID,
                             "%s:%d:1: patient '%s' is in split '%s' here and in '%s' in line %d; "
                             "a patient belongs to one split",
                             here->split_at.file, (int)here->split_at.line, patient,
                             here->given ? "test" : "train", given->given ? "test" : "train",
                             (int)given->split_at.line);
            given = given ? given : here;
        }
        enum hf_split split = given ? (enum hf_split)given->given : hf_split_of(patient, test);
        for (int32_t k = i; k < next; k++)
            list[k]->split = split;
    }
    free(list);
    return st;
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

/** Room for one more case, empty. */
static struct hf_case *add_case(struct hf_cases *cases, int32_t *room) {
    if (cases->count == *room) {
        int32_t more = *room ? 2 * *room : 16;
        struct hf_case *item = realloc(cases->item, (size_t)more * sizeof *item);
        if (!item)
            return NULL;
        cases->item = item;
        *room = more;
    }
    struct hf_case *c = &cases->item[cases->count++];
    memset(c, 0, sizeof *c);
    return c;
}

/** Reads the records behind the header. */
static enum hf_status read_cases(struct parser *p, struct hf_cases *cases) {
    int32_t room = 0;
    for (;;) {
        int more = 0;
        enum hf_status st = hf_csv_next(&p->csv, &more);
        if (st != HF_OK)
            return st;
        if (!more)
            break;
        struct hf_case *c = add_case(cases, &room);
        st = c ? read_case(p, c)
               : hf_fail(p->error, HF_NO_MEMORY, "%s: no memory for its cases", p->csv.path);
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
    struct hf_cases cases;
    struct parser p;
    memset(&cases, 0, sizeof cases);
    memset(&p, 0, sizeof p);
    p.error = e;
    enum hf_status st = hf_csv_open(text, size, path, "a manifest of cases", &p.csv, e);
    if (st == HF_OK)
        st = hf_csv_header(&p.csv, column_names, required, COLUMNS,
                           "case,patient,split,image,liver,couinaud,tumor,segments", p.place);
    if (st == HF_OK)
        note_header(&p, &cases);
    if (st == HF_OK)
        st = read_cases(&p, &cases);
    if (st == HF_OK)
        st = check_unique(&p, &cases);
    if (st == HF_OK)
        st = hf_cases_split(&cases, HF_SPLIT_SHARE, path, e);
    hf_csv_close(&p.csv);
    if (st == HF_OK)
        *ret = cases;
    else
        hf_cases_free(&cases);
    return st;
}

/* ---- remarks ---- */

/** Adds to a case what a line tells, as far as no line before it has. */
static enum hf_status add_remark(const struct parser *p, struct hf_case *line, int field,
                                 const struct hf_override *geometry, uint8_t *told,
                                 struct hf_case *c) {
    enum {
        PATIENT = 1,
        SPLIT = 2,
        SEGMENTS = 4,
        GEOMETRY = 8 /* and the bits above it, one a field */
    };
    const struct hf_csv_entry *patient = entry_of(p, COLUMN_PATIENT);
    if (patient->text[0] && !(*told & PATIENT)) {
        char *copy = copy_text(patient->text);
        if (!copy)
            return hf_fail(p->error, HF_NO_MEMORY, "%s: no memory for its cases", p->csv.path);
        free(c->patient);
        c->patient = copy;
        *told |= PATIENT;
    }
    if (line->given >= 0 && !(*told & SPLIT)) {
        c->given = line->given;
        c->split_at = line->split_at;
        *told |= SPLIT;
    }
    if (line->annotated && !(*told & SEGMENTS)) {
        char *slices = line->slices ? copy_text(line->slices) : NULL;
        if (line->slices && !slices)
            return hf_fail(p->error, HF_NO_MEMORY, "%s: no memory for its cases", p->csv.path);
        free(c->slices);
        c->slices = slices;
        c->slices_at = line->slices_at;
        c->slices_column = line->slices_column;
        c->annotated = 1;
        memcpy(c->segment, line->segment, sizeof c->segment);
        *told |= SEGMENTS;
    }
    if (hf_override_given(geometry) && !(*told & GEOMETRY << field)) {
        c->geometry[field] = *geometry;
        *told |= (uint8_t)(GEOMETRY << field);
    }
    return HF_OK;
}

static enum hf_status remark(const struct parser *p, struct hf_cases *cases, uint8_t *told,
                             int *ret_used) {
    const struct hf_csv_entry *name = entry_of(p, COLUMN_FIELD);
    struct hf_override geometry;
    struct hf_case line;
    memset(&line, 0, sizeof line);
    enum hf_status st = read_line(p, &line, &geometry);
    int field = HF_CASE_IMAGE;
    while (field < HF_CASE_FILES && name->text[0] &&
           strcmp(name->text, hf_case_file_name((enum hf_case_file)field)) != 0)
        field++;
    if (st == HF_OK && field == HF_CASE_FILES)
        st = hf_csv_fail(&p->csv, name->column,
                         "field '%.40s'; expected image, liver, couinaud, tumor, or nothing: the "
                         "image and all labels that have its header",
                         name->text);
    *ret_used = 0;
    for (int32_t i = 0; i < cases->count && st == HF_OK; i++)
        if (fnmatch(line.name, cases->item[i].name, 0) == 0) {
            *ret_used = 1;
            st = add_remark(p, &line, field, &geometry, &told[i], &cases->item[i]);
        }
    free(line.name);
    free(line.slices);
    return st;
}

/* Line numbers in words: "2, 5 to 9 and 12 more". */
struct lines {
    char *text;
    size_t size, used;
    int32_t first, last, left_out; /* of the range that goes on; 0: none */
};

static void end_range(struct lines *l) {
    char range[64];
    if (l->first == 0)
        return;
    int n = snprintf(range, sizeof range, l->first < l->last ? "%s%d to %d" : "%s%d",
                     l->used ? ", " : "", (int)l->first, (int)l->last);
    if (l->left_out > 0 || l->used + (size_t)n + 32 > l->size)
        l->left_out += l->last - l->first + 1;
    else
        l->used += (size_t)snprintf(l->text + l->used, l->size - l->used, "%s", range);
    l->first = 0;
}

static void add_line(struct lines *l, int32_t line) {
    if (l->first == 0 || line != l->last + 1) {
        end_range(l);
        l->first = line;
    }
    l->last = line;
}

static void end_lines(struct lines *l) {
    end_range(l);
    if (l->left_out > 0)
        (void)snprintf(l->text + l->used, l->size - l->used, " and %d more", (int)l->left_out);
}

enum hf_status hf_cases_remark(struct hf_cases *c, const char *text, size_t size, const char *path,
                               char *ret_unused, size_t unused_size, struct hf_error *e) {
    static const char required[COLUMN_FIELD + 1] = {[COLUMN_CASE] = 1};
    struct parser p;
    memset(&p, 0, sizeof p);
    p.error = e;
    uint8_t *told = calloc((size_t)c->count, 1);
    enum hf_status st = told ? HF_OK : hf_fail(e, HF_NO_MEMORY, "%s: no memory for it", path);
    if (st == HF_OK)
        st = hf_csv_open(text, size, path, "remarks on cases", &p.csv, e);
    if (st == HF_OK)
        st = hf_csv_header(&p.csv, remark_names, required, COLUMN_FIELD + 1,
                           "case,field,spacing,orientation,flip,patient,split,segments", p.place);
    for (int32_t i = 0; i < p.csv.entries && st == HF_OK; i++) {
        int known = 0;
        for (int k = 0; k <= COLUMN_FIELD; k++)
            known = known || p.place[k] == i;
        if (!known)
            st = hf_csv_fail(&p.csv, p.csv.entry[i].column, "unknown column '%.40s'",
                             p.csv.entry[i].text);
    }
    int more = 1;
    struct lines unused = {.text = ret_unused, .size = unused_size};
    ret_unused[0] = '\0';
    while (st == HF_OK && more) {
        int used = 1;
        st = hf_csv_next(&p.csv, &more);
        if (st == HF_OK && more)
            st = remark(&p, c, told, &used);
        if (!used)
            add_line(&unused, p.csv.line);
    }
    end_lines(&unused);
    hf_csv_close(&p.csv);
    free(told);
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
