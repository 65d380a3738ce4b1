/*
 * errors.c - collects the messages about a graph and writes them out as file:line:column, text, the
 * source's line and a caret, so that all that is wrong is said at once.
 */
#include "graph/tree.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SHOWN  50
#define LINE_SHOWN 120

static void add(struct messages *m, struct location where, const struct origin *origin,
                bool warning, const char *text) {
    for (const struct graph_message *k = m->newest; k; k = k->older)
        if (k->where.file == where.file && k->where.line == where.line &&
            k->where.column == where.column && strcmp(k->text, text) == 0)
            return; /* an anchor's text that several stages share */
    struct graph_message *n = arena_alloc(m->arena, sizeof *n);
    n->where = where;
    n->origin = origin;
    n->warning = warning;
    n->text = text;
    n->order = m->errors + m->warnings;
    n->older = m->newest;
    m->newest = n;
    if (warning)
        m->warnings++;
    else
        m->errors++;
}

void message_error(struct messages *m, struct location where, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(m->arena, format, args);
    va_end(args);
    add(m, where, NULL, false, text);
}

void message_about(struct messages *m, const struct node *n, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(m->arena, format, args);
    va_end(args);
    add(m, n->where, n->origin, false, text);
}

void message_warning(struct messages *m, struct location where, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(m->arena, format, args);
    va_end(args);
    add(m, where, NULL, true, text);
}

bool message_stands_at(const struct messages *m, struct location where) {
    for (const struct graph_message *k = m->newest; k; k = k->older)
        if (!k->warning && k->where.file == where.file && k->where.line == where.line &&
            k->where.column == where.column)
            return true;
    return false;
}

/* ---- the nearest spelling ---- */

#define WORD_MAX 48

static int min_of(int a, int b) {
    return a < b ? a : b;
}

/* Edits that turn a into b: a letter put in, taken out, changed, or two neighbours swapped. */
static int edit_distance(const char *a, const char *b) {
    int na = (int)strlen(a), nb = (int)strlen(b);
    if (na > WORD_MAX || nb > WORD_MAX)
        return WORD_MAX;
    int row[3][WORD_MAX + 1];
    for (int j = 0; j <= nb; j++)
        row[0][j] = j;
    for (int i = 1; i <= na; i++) {
        int *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= nb; j++) {
            int differs = a[i - 1] != b[j - 1];
            now[j] = min_of(min_of(now[j - 1], last[j]) + 1, last[j - 1] + differs);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = min_of(now[j], before[j - 2] + 1);
        }
    }
    return row[na % 3][nb];
}

void words_begin(struct words *w, const char *wanted) {
    w->wanted = wanted;
    w->nearest = NULL;
    w->distance = 0;
}

void words_try(struct words *w, const char *candidate) {
    int size = (int)strlen(w->wanted);
    if (size == 0)
        return;
    int distance = edit_distance(w->wanted, candidate);
    int allowed = size < 4 ? 1 : size < 8 ? 2 : 3;
    /* A word cut short, or one that goes on, is as good as a slip of the finger. */
    size_t common = strlen(candidate) < (size_t)size ? strlen(candidate) : (size_t)size;
    if (common >= 3 && strncmp(candidate, w->wanted, common) == 0)
        distance = min_of(distance, 2);
    if (distance <= allowed && (!w->nearest || distance < w->distance)) {
        w->nearest = candidate;
        w->distance = distance;
    }
}

const char *words_hint(const struct words *w, struct arena *a) {
    return w->nearest ? arena_printf(a, "; did you mean '%s'?", w->nearest) : "";
}

/* ---- writing ---- */

static const struct source *find_source(const struct messages *m, const char *name) {
    const struct source *s = m->sources;
    while (s && s->name != name)
        s = s->older;
    return s;
}

static int file_order(const struct messages *m, const char *file) {
    int n = 0;
    for (const struct source *s = m->sources; s && s->name != file; s = s->older)
        n++;
    return n;
}

struct sorted {
    const struct graph_message *message;
    int file; /* how many sources were opened after it: the first one comes first */
};

static int compare(const void *va, const void *vb) {
    const struct sorted *a = va, *b = vb;
    const struct graph_message *x = a->message, *y = b->message;
    if (a->file != b->file)
        return a->file > b->file ? -1 : 1;
    if (x->where.line != y->where.line)
        return x->where.line < y->where.line ? -1 : 1;
    if (x->where.column != y->where.column)
        return x->where.column < y->where.column ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static bool continues(char c) {
    return ((unsigned char)c & 0xC0) == 0x80; /* inside a UTF-8 character */
}

/* Bytes of the UTF-8 character at `c`; 0: it is none, or one that moves the cursor. */
static int character_size(const char *c, const char *end) {
    unsigned char first = (unsigned char)*c;
    int size = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if ((first < ' ' && first != '\t') || first == 0x7F || first > 0xF4 || size > end - c)
        return 0;
    for (int i = 1; i < size; i++)
        if (!continues(c[i]))
            return 0;
    return size == 2 && first == 0xC2 && (unsigned char)c[1] < 0xA0 ? 0 : size;
}

/* How many characters the token at `at` has: what the caret underlines. */
static int token_width(const char *at, const char *end) {
    if (at == end)
        return 1;
    int width = 0;
    if (*at == '"' || *at == '\'') {
        const char *close = at + 1;
        while (close < end && *close != *at)
            close++;
        for (const char *c = at; c < end && c <= close; c++)
            width += !continues(*c);
        return width;
    }
    bool reference = false; /* inside ${...} */
    for (const char *c = at; c < end; c++) {
        if (*c == '{' && c > at && c[-1] == '$')
            reference = true;
        else if (*c == '}' && reference)
            reference = false;
        else if (strchr(" \t,:{}[]#=", *c))
            break;
        width += !continues(*c);
    }
    return width > 0 ? width : 1;
}

/* The line that a message points into, and the caret under it. */
static void print_line(FILE *out, const struct messages *m, struct location where) {
    const struct source *s = find_source(m, where.file);
    if (!s || where.line < 1 || s->size == 0)
        return;
    const char *line = s->text, *all = s->text + s->size;
    for (int n = 1; n < where.line; n++) {
        const char *next = memchr(line, '\n', (size_t)(all - line));
        if (!next)
            return;
        line = next + 1;
    }
    const char *end = memchr(line, '\n', (size_t)(all - line));
    if (!end)
        end = all;
    if (end > line && end[-1] == '\r')
        end--;
    const char *at = line;
    for (int column = 1; column < where.column && at < end; at++)
        if (at + 1 >= end || !continues(at[1]))
            column++;
    /* Of a long line, the part around the caret. */
    const char *from = line, *to = end;
    if (at - from > LINE_SHOWN) {
        from = at - LINE_SHOWN / 2;
        while (from < at && continues(*from))
            from++;
    }
    if (to - from > LINE_SHOWN + LINE_SHOWN / 2) {
        to = from + LINE_SHOWN + LINE_SHOWN / 2;
        while (to > at && continues(*to))
            to--;
    }
    fputs("    ", out);
    for (const char *c = from; c < to;) {
        int size = character_size(c, to);
        if (size > 0)
            fwrite(c, 1, (size_t)size, out);
        else
            fputc('?', out);
        c += size > 0 ? size : 1;
    }
    fputs("\n    ", out);
    for (const char *c = from; c < at;) {
        int size = character_size(c, to);
        fputc(*c == '\t' ? '\t' : ' ', out);
        c += size > 0 ? size : 1;
    }
    fputc('^', out);
    for (int n = token_width(at, to); n > 1; n--)
        fputc('~', out);
    fputc('\n', out);
}

/* Of a setting, the whole of it: there may be many. */
void message_place(FILE *out, const struct messages *m, struct location where) {
    const struct source *s = find_source(m, where.file);
    if (s && strcmp(s->name, "--set") == 0)
        fprintf(out, "--set %.*s", (int)(s->size < LINE_SHOWN ? s->size : LINE_SHOWN), s->text);
    else
        fprintf(out, "%s:%d:%d", where.file, where.line, where.column);
}

/* How what the message is about came to where it counts, a step a line. */
static void print_origin(FILE *out, const struct messages *m, const struct graph_message *k) {
    for (const struct origin *o = k->origin; o; o = o->further) {
        switch (o->kind) {
        case ORIGIN_ALIAS:
            fprintf(out, "  through the alias *%s at ", o->name);
            break;
        case ORIGIN_MERGE:
            fprintf(out, "  through the merge key <<%s%s at ", o->name[0] ? ": *" : "", o->name);
            break;
        case ORIGIN_VAR:
            fprintf(out, "  through ${%s} at ", o->name);
            break;
        case ORIGIN_INSIDE:
            fprintf(out, "  with the value of ${%s} from ", o->name);
            break;
        case ORIGIN_LIKE:
            fprintf(out, "  through 'like: %s' at ", o->name);
            break;
        }
        message_place(out, m, o->where);
        fputc('\n', out);
    }
    for (const struct source *s = find_source(m, k->where.file); s && s->asked.file;
         s = find_source(m, s->asked.file)) {
        fputs("  included at ", out);
        message_place(out, m, s->asked);
        fputc('\n', out);
    }
}

char *messages_print(const struct messages *m) {
    int count = m->errors + m->warnings;
    if (count == 0)
        return NULL;
    struct sorted *all = calloc((size_t)count, sizeof *all);
    char *ret = NULL;
    size_t size = 0;
    FILE *out = all ? open_memstream(&ret, &size) : NULL;
    if (!out) {
        free(all);
        return NULL;
    }
    int n = 0;
    for (const struct graph_message *k = m->newest; k; k = k->older) {
        all[n].message = k;
        all[n++].file = file_order(m, k->where.file);
    }
    qsort(all, (size_t)count, sizeof *all, compare);
    int shown = count > MAX_SHOWN ? MAX_SHOWN : count;
    for (int i = 0; i < shown; i++) {
        const struct graph_message *k = all[i].message;
        if (k->where.file && k->where.line > 0)
            fprintf(out, "%s:%d:%d: ", k->where.file, k->where.line, k->where.column);
        else if (k->where.file)
            fprintf(out, "%s: ", k->where.file);
        fprintf(out, "%s%s\n", k->warning ? "warning: " : "", k->text);
        print_line(out, m, k->where);
        print_origin(out, m, k);
    }
    if (shown < count)
        fprintf(out, "and %d more\n", count - shown);
    free(all);
    if (fclose(out) != 0) {
        free(ret);
        return NULL;
    }
    return ret;
}
