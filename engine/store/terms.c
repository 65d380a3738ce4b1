/*
 * terms.c - what a result depends on, as text: "kind, name, value, note" a line, with tabs between.
 */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {"set", "plugin", "file"};

static bool make_room(struct terms *t) {
    if (t->count < t->capacity)
        return true;
    int n = t->capacity ? 2 * t->capacity : 32;
    struct term *more = realloc(t->term, (size_t)n * sizeof *more);
    if (!more) {
        t->failed = true;
        return false;
    }
    t->term = more;
    t->capacity = n;
    return true;
}

struct term *terms_add(struct terms *t, enum term_kind kind, const char *name, const char *value,
                       const char *note) {
    size_t sizes[3] = {strlen(name) + 1, strlen(value) + 1, strlen(note) + 1};
    char *text = make_room(t) ? malloc(sizes[0] + sizes[1] + sizes[2]) : NULL;
    if (!text) {
        t->failed = true;
        return NULL;
    }
    t->term[t->count] = (struct term){
        .kind = kind,
        .item = -1,
        .name = memcpy(text, name, sizes[0]),
        .value = memcpy(text + sizes[0], value, sizes[1]),
        .note = memcpy(text + sizes[0] + sizes[1], note, sizes[2]),
    };
    return &t->term[t->count++];
}

void terms_join(struct terms *t, const struct terms *more) {
    t->failed = t->failed || more->failed;
    for (int i = 0; i < more->count && make_room(t); i++) {
        t->term[t->count] = more->term[i];
        t->term[t->count++].lent = true;
    }
}

void terms_clear(struct terms *t) {
    for (int i = 0; i < t->count; i++)
        if (!t->term[i].lent)
            free(t->term[i].name);
    free(t->term);
    *t = (struct terms){0};
}

const struct term *terms_find(const struct terms *t, const char *name) {
    for (int i = 0; i < t->count; i++)
        if (strcmp(t->term[i].name, name) == 0)
            return &t->term[i];
    return NULL;
}

/* ---- as text ---- */

static void put_escaped(FILE *f, const char *text) {
    for (; *text; text++) {
        if (*text == '\t')
            (void)fputs("\\t", f);
        else if (*text == '\n')
            (void)fputs("\\n", f);
        else if (*text == '\\')
            (void)fputs("\\\\", f);
        else
            (void)fputc(*text, f);
    }
}

static char *print(const struct terms *t, bool notes) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = t->failed ? NULL : open_memstream(&text, &size);
    if (!f)
        return NULL;
    for (int i = 0; i < t->count; i++) {
        const struct term *one = &t->term[i];
        (void)fputs(kinds[one->kind], f);
        (void)fputc('\t', f);
        put_escaped(f, one->name);
        (void)fputc('\t', f);
        put_escaped(f, one->value);
        if (notes && one->note[0]) {
            (void)fputc('\t', f);
            put_escaped(f, one->note);
        }
        (void)fputc('\n', f);
    }
    bool bad = ferror(f);
    if (fclose(f) != 0 || bad) {
        free(text);
        return NULL;
    }
    return text;
}

char *terms_text(const struct terms *t) {
    return print(t, true);
}

bool terms_key(const struct terms *t, struct digest *ret) {
    char *text = print(t, false);
    if (text)
        *ret = digest_bytes(text, strlen(text));
    free(text);
    return text;
}

/* Undoes put_escaped in place. */
static void unescape(char *text) {
    char *out = text;
    for (const char *at = text; *at; at++) {
        if (*at == '\\' && at[1]) {
            at++;
            *out++ = (char)(*at == 't' ? '\t' : *at == 'n' ? '\n' : *at);
        } else {
            *out++ = *at;
        }
    }
    *out = 0;
}

static bool parse_line(char *line, struct terms *ret) {
    char *field[4] = {line, NULL, NULL, NULL}, none[1] = "";
    int fields = 1, kind = 0;
    for (char *tab = line; fields < 4 && (tab = strchr(tab, '\t')); fields++) {
        *tab++ = 0;
        field[fields] = tab;
    }
    while (kind < 3 && strcmp(kinds[kind], field[0]) != 0)
        kind++;
    if (fields < 3 || kind == 3)
        return false;
    field[3] = field[3] ? field[3] : none;
    for (int i = 1; i < 4; i++)
        unescape(field[i]);
    terms_add(ret, (enum term_kind)kind, field[1], field[2], field[3]);
    return !ret->failed;
}

bool terms_parse(const char *text, struct terms *ret) {
    char *copy = strdup(text), *save = NULL;
    bool good = copy;
    *ret = (struct terms){0};
    for (char *line = good ? strtok_r(copy, "\n", &save) : NULL; line && good;
         line = strtok_r(NULL, "\n", &save))
        good = parse_line(line, ret);
    free(copy);
    if (!good)
        terms_clear(ret);
    return good;
}

/* ---- comparing ---- */

/* The name of the stage that a term is of; its length, 0: of none. */
static size_t owner(const struct term *t) {
    const char *dot = strchr(t->name, '.');
    return dot ? (size_t)(dot - t->name) : 0;
}

static bool has_stage(const struct terms *t, const char *name, size_t size) {
    for (int i = 0; i < t->count; i++)
        if (owner(&t->term[i]) == size && strncmp(t->term[i].name, name, size) == 0)
            return true;
    return false;
}

/* A path that an option names is a text as long as nothing is there. */
static void say_came(const struct term *was, const struct term *is, char *text, size_t size) {
    bool came = is->kind == TERM_FILE;
    const char *path = came ? is->note : was->note;
    const char *name = came ? was->value : is->value;
    if (strcmp(path, name) == 0)
        (void)snprintf(text, size, "%s %s", path, came ? "is there now" : "is gone");
    else
        (void)snprintf(text, size, "%s %s -> %s", is->name, came ? name : path, came ? path : name);
}

static void say_changed(const struct term *was, const struct term *is, char *text, size_t size) {
    if (was->kind != is->kind) {
        say_came(was, is, text, size);
        return;
    }
    switch (is->kind) {
    case TERM_SET:
        (void)snprintf(text, size, "%s %s -> %s", is->name, was->value, is->value);
        break;
    case TERM_PLUGIN:
        if (strcmp(is->note, "hepaflow") == 0)
            (void)snprintf(text, size, "hepaflow rebuilt");
        else
            (void)snprintf(text, size, "plugin %s rebuilt", is->note);
        break;
    case TERM_FILE:
        if (strcmp(was->note, is->note) != 0)
            (void)snprintf(text, size, "%s %s -> %s", is->name, was->note, is->note);
        else
            (void)snprintf(text, size, "%s %s", is->note,
                           strcmp(is->value, "missing") == 0    ? "is gone"
                           : strcmp(was->value, "missing") == 0 ? "is there now"
                                                                : "changed");
        break;
    }
}

static void say_new(const struct terms *before, const struct term *is, char *text, size_t size) {
    size_t stage = owner(is);
    if (stage > 0 && !has_stage(before, is->name, stage))
        (void)snprintf(text, size, "stage '%.*s' is new", (int)stage, is->name);
    else if (is->kind == TERM_SET)
        (void)snprintf(text, size, "%s %s is new", is->name, is->value);
    else
        (void)snprintf(text, size, "%s%s is new", is->kind == TERM_PLUGIN ? "plugin " : "",
                       is->note);
}

static void say_gone(const struct term *was, char *text, size_t size) {
    if (was->kind == TERM_SET)
        (void)snprintf(text, size, "%s %s is gone", was->name, was->value);
    else
        (void)snprintf(text, size, "%s%s is gone", was->kind == TERM_PLUGIN ? "plugin " : "",
                       was->note);
}

/* Two runs have most terms in the same order. */
static const struct term *find_after(const struct terms *t, const char *name, int *at) {
    const struct term *ret = NULL;
    if (*at < t->count && strcmp(t->term[*at].name, name) == 0)
        ret = &t->term[*at];
    else
        ret = terms_find(t, name);
    *at = ret ? (int)(ret - t->term) + 1 : *at;
    return ret;
}

/* `whole`: a stage that `now` does not have is gone; else nothing is known of it. */
static void compare(const struct terms *before, const struct terms *now, bool whole,
                    bool (*tell)(void *arg, const char *text), void *arg) {
    char text[2048];
    int at = 0;
    for (int i = 0; i < now->count; i++) {
        const struct term *is = &now->term[i], *was = find_after(before, is->name, &at);
        if (was && strcmp(was->value, is->value) == 0)
            continue;
        if (was)
            say_changed(was, is, text, sizeof text);
        else
            say_new(before, is, text, sizeof text);
        if (!tell(arg, text))
            return;
    }
    at = 0;
    for (int i = 0; i < before->count; i++) {
        const struct term *was = &before->term[i];
        size_t stage = owner(was);
        if (find_after(now, was->name, &at))
            continue;
        if (stage == 0 || has_stage(now, was->name, stage))
            say_gone(was, text, sizeof text);
        else if (whole)
            (void)snprintf(text, sizeof text, "stage '%.*s' is gone", (int)stage, was->name);
        else
            continue;
        if (!tell(arg, text))
            return;
    }
}

struct first {
    char *text;
    size_t size;
    bool found;
};

static bool take_first(void *arg, const char *text) {
    struct first *f = arg;
    (void)snprintf(f->text, f->size, "%s", text);
    f->found = true;
    return false;
}

bool terms_difference(const struct terms *before, const struct terms *now, char *text,
                      size_t size) {
    struct first f = {text, size, false};
    compare(before, now, false, take_first, &f);
    return f.found;
}

void terms_differences(const struct terms *before, const struct terms *now,
                       bool (*tell)(void *arg, const char *text), void *arg) {
    compare(before, now, true, tell, arg);
}
