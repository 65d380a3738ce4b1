/**
 * cases.c - reads cases.csv: quotes, CRLF and a byte order mark are fine; anything that would
 * quietly become a wrong experiment is an error with its line and column.
 */
#include "cases.h"

#include <stdlib.h>
#include <string.h>

#define MAX_COLUMNS 64
#define MAX_NAME    120

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

/** One entry of a record: text in the parser's buffer, and where it stands. */
struct entry {
    const char *text;
    int32_t column;
};

struct parser {
    const char *path;
    const char *at, *end;
    const char *line_start;
    int32_t line;
    char *buffer; /* the entries of the present record */
    struct entry entry[MAX_COLUMNS];
    int32_t entries;
    int32_t place[COLUMNS]; /* which entry is which column; -1: none */
    struct hf_error *error;
};

HF_PRINTF(3, 4)
static enum hf_status fail_at(const struct parser *p, int32_t column, const char *fmt, ...) {
    char text[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return hf_fail(p->error, HF_INVALID, "%s:%d:%d: %s", p->path, (int)p->line, (int)column, text);
}

static int is_space(char c) {
    return c == ' ' || c == '\t';
}

static int at_end(const struct parser *p) {
    return p->at == p->end || *p->at == '\n' || *p->at == '\r';
}

/** Reads a quoted entry from behind its quote; two quotes are one. */
static enum hf_status read_quoted(struct parser *p, int32_t column, char **to) {
    for (;;) {
        if (at_end(p))
            return fail_at(p, column, "a quote that the line does not close");
        char c = *p->at++;
        if (c == '"') {
            if (p->at == p->end || *p->at != '"')
                break;
            p->at++;
        }
        *(*to)++ = c;
    }
    while (!at_end(p) && is_space(*p->at))
        p->at++;
    if (!at_end(p) && *p->at != ',')
        return fail_at(p, (int32_t)(p->at - p->line_start) + 1,
                       "text after a closing quote; expected a comma");
    return HF_OK;
}

/** Reads a line's entries; leaves `at` at the next line. A blank line has no entries. */
static enum hf_status read_record(struct parser *p) {
    char *to = p->buffer;
    p->line_start = p->at;
    p->line++;
    p->entries = 0;
    int more = 1;
    while (more) {
        while (!at_end(p) && is_space(*p->at))
            p->at++;
        if (p->entries == 0 && at_end(p))
            break;
        int32_t column = (int32_t)(p->at - p->line_start) + 1;
        if (p->entries == MAX_COLUMNS)
            return fail_at(p, column, "more than %d columns", MAX_COLUMNS);
        p->entry[p->entries].text = to;
        p->entry[p->entries++].column = column;
        char *begin = to;
        if (!at_end(p) && *p->at == '"') {
            p->at++;
            enum hf_status st = read_quoted(p, column, &to);
            if (st != HF_OK)
                return st;
        } else {
            while (!at_end(p) && *p->at != ',')
                *to++ = *p->at++;
            while (to > begin && is_space(to[-1]))
                to--;
        }
        *to++ = '\0';
        more = !at_end(p);
        if (more)
            p->at++; /* the comma */
    }
    if (p->at < p->end && *p->at == '\r')
        p->at++;
    if (p->at < p->end && *p->at == '\n')
        p->at++;
    return HF_OK;
}

static const struct entry *entry_of(const struct parser *p, int column) {
    static const struct entry none = {"", 1};
    return p->place[column] < 0 ? &none : &p->entry[p->place[column]];
}

static enum hf_status read_header(struct parser *p) {
    do {
        enum hf_status st = read_record(p);
        if (st != HF_OK)
            return st;
    } while (p->entries == 0 && p->at < p->end);
    for (int c = 0; c < COLUMNS; c++) {
        p->place[c] = -1;
        for (int32_t i = 0; i < p->entries; i++) {
            if (strcmp(p->entry[i].text, column_names[c]) != 0)
                continue;
            if (p->place[c] >= 0)
                return fail_at(p, p->entry[i].column, "a second column '%s'", column_names[c]);
            p->place[c] = i;
        }
    }
    static const int required[] = {COLUMN_CASE, COLUMN_FILES + HF_CASE_IMAGE};
    for (int i = 0; i < 2; i++)
        if (p->place[required[i]] < 0)
            return fail_at(p, 1,
                           "no column '%s'; expected a header line like "
                           "case,patient,split,image,liver,couinaud,tumor,segments",
                           column_names[required[i]]);
    return HF_OK;
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
    const struct entry *n = entry_of(p, column);
    const char *what = column_names[column];
    if (strlen(n->text) > MAX_NAME)
        return fail_at(p, n->column, "a %s name of %zu bytes; at most %d", what, strlen(n->text),
                       MAX_NAME);
    if (n->text[0] == '.')
        return fail_at(p, n->column, "%s '%s' begins with a dot", what, n->text);
    for (const char *c = n->text; *c; c++)
        if (*c == '/' || *c == '\\' || (unsigned char)*c < 32 || *c == 127)
            return fail_at(p, n->column,
                           "%s '%s' holds a slash or control character; it names result files",
                           what, n->text);
    return HF_OK;
}

/** `2;4;5`, or `none` for a patient in whom no segment holds a tumor. */
static enum hf_status read_segments(const struct parser *p, struct hf_case *c) {
    const struct entry *n = entry_of(p, COLUMN_SEGMENTS);
    const char *at = n->text;
    if (!*at)
        return HF_OK;
    c->annotated = 1;
    c->segment[0] = 1;
    if (strcmp(at, "none") == 0)
        return HF_OK;
    for (;;) {
        while (is_space(*at))
            at++;
        size_t length = strcspn(at, ";");
        const char *next = at + length;
        while (length > 0 && is_space(at[length - 1]))
            length--;
        if (length != 1 || *at < '1' || *at > '8')
            return fail_at(p, n->column + (int32_t)(at - n->text),
                           "segment '%.*s'; expected 1 to 8, as in 2;4;5, or none",
                           (int)(length > 40 ? 40 : length), at);
        c->segment[*at - '0'] = 1;
        if (!*next)
            return HF_OK;
        at = next + 1;
    }
}

static enum hf_status read_case(const struct parser *p, struct hf_case *c, int *ret_split) {
    const struct entry *name = entry_of(p, COLUMN_CASE);
    const struct entry *patient = entry_of(p, COLUMN_PATIENT);
    const struct entry *split = entry_of(p, COLUMN_SPLIT);
    const struct entry *image = entry_of(p, COLUMN_FILES + HF_CASE_IMAGE);
    c->line = p->line;
    if (!name->text[0])
        return fail_at(p, name->column, "no case name");
    if (!image->text[0])
        return fail_at(p, image->column, "case '%s' has no image", name->text);
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
        return fail_at(p, split->column, "split '%.40s'; expected train, test, or nothing",
                       split->text);
    c->name = copy_text(name->text);
    c->patient = copy_text(patient->text[0] ? patient->text : name->text);
    int whole = c->name && c->patient;
    for (int f = 0; f < HF_CASE_FILES; f++) {
        const struct entry *n = entry_of(p, COLUMN_FILES + f);
        c->column[f] = n->column;
        if (!n->text[0])
            continue;
        c->path[f] = copy_path(p->path, n->text);
        whole = whole && c->path[f];
    }
    return whole ? HF_OK : hf_fail(p->error, HF_NO_MEMORY, "%s: no memory for its cases", p->path);
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
            p->line = lines[i].c->line;
            return fail_at(p, 1, "case '%s' stands in line %d already", lines[i].c->name,
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
                p->line = lines[next].c->line;
                return fail_at(p, 1,
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

/** Reads the records behind the header. */
static enum hf_status read_cases(struct parser *p, struct hf_cases *cases, int **splits) {
    int32_t room = 0, width = p->entries;
    while (p->at < p->end) {
        enum hf_status st = read_record(p);
        if (st != HF_OK)
            return st;
        if (p->entries == 0)
            continue;
        if (p->entries != width)
            return fail_at(p, 1, "%d entries; the header has %d columns", (int)p->entries,
                           (int)width);
        if (cases->count == room) {
            room = room ? 2 * room : 16;
            struct hf_case *item = realloc(cases->item, (size_t)room * sizeof *item);
            if (item)
                cases->item = item;
            int *more = realloc(*splits, (size_t)room * sizeof *more);
            if (more)
                *splits = more;
            if (!item || !more)
                return hf_fail(p->error, HF_NO_MEMORY, "%s: no memory for its cases", p->path);
        }
        struct hf_case *c = &cases->item[cases->count];
        memset(c, 0, sizeof *c);
        cases->count++;
        st = read_case(p, c, &(*splits)[cases->count - 1]);
        if (st != HF_OK)
            return st;
    }
    if (cases->count == 0)
        return hf_fail(p->error, HF_INVALID, "%s: a header line but no case", p->path);
    return HF_OK;
}

enum hf_status hf_cases_parse(const char *text, size_t size, const char *path, struct hf_cases *ret,
                              struct hf_error *e) {
    struct hf_cases cases = {0, NULL};
    int *splits = NULL;
    struct line *lines = NULL;
    struct parser p;
    memset(&p, 0, sizeof p);
    p.path = path;
    p.at = text;
    p.end = text + size;
    p.error = e;
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        p.at += 3;
    if (p.at == p.end)
        return hf_fail(e, HF_INVALID, "%s: the file is empty; expected a manifest of cases", path);
    if (memchr(text, 0, size))
        return hf_fail(e, HF_INVALID, "%s: not a text file; expected a manifest of cases", path);
    p.buffer = malloc(2 * size + 2); /* each entry takes at most its text, a comma, and a NUL */
    if (!p.buffer)
        return hf_fail(e, HF_NO_MEMORY, "%s: no memory for its %zu bytes", path, size);
    enum hf_status st = read_header(&p);
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
    free(p.buffer);
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
        for (int f = 0; f < HF_CASE_FILES; f++)
            free(c->item[i].path[f]);
    }
    free(c->item);
    c->item = NULL;
    c->count = 0;
}
