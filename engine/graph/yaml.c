/*
 * yaml.c - reads YAML through libyaml's events into a tree of nodes that know their place: anchors,
 * aliases, merge keys and `${var}`, which stays as it is for load.c to fill in.
 *
 * In a flow map a bare `${data}` would end at its brace. So the braces of every `${name}` are
 * hidden from libyaml as two private-use characters, which keeps the columns, and put back into the
 * scalars.
 */
#include "graph/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#define MAX_FILE   ((size_t)4 << 20)
#define OPEN_MARK  "\xEE\x80\x80" /* U+E000 */
#define CLOSE_MARK "\xEE\x80\x81" /* U+E001 */

/* ---- nodes ---- */

struct node *node_new(struct arena *a, enum node_kind kind, struct location where) {
    struct node *n = arena_alloc(a, sizeof *n);
    n->kind = kind;
    n->where = where;
    return n;
}

void node_append(struct arena *a, struct node *n, struct node *key, struct node *item) {
    if (n->count == n->capacity) {
        int capacity = n->capacity == 0 ? 8 : 2 * n->capacity;
        struct node **old_item = n->item, **old_key = n->key;
        n->item = arena_array(a, (size_t)capacity, sizeof *n->item);
        n->key = arena_array(a, (size_t)capacity, sizeof *n->key);
        if (n->count > 0) {
            memcpy(n->item, old_item, (size_t)n->count * sizeof *n->item);
            memcpy(n->key, old_key, (size_t)n->count * sizeof *n->key);
        }
        n->capacity = capacity;
    }
    n->key[n->count] = key;
    n->item[n->count++] = item;
}

/* Steps that are remembered; a value that took more of them is told by its first ones. */
#define MAX_STEPS 8

/* The steps of `first`, then those of `then`; a list of their own. */
static struct origin *join(struct arena *a, const struct origin *first, const struct origin *then) {
    const struct origin *const list[] = {first, then};
    struct origin *ret = NULL, **end = &ret;
    int steps = 0;
    for (int i = 0; i < 2; i++)
        for (const struct origin *k = list[i]; k && steps < MAX_STEPS; k = k->further, steps++) {
            *end = arena_alloc(a, sizeof **end);
            **end = *k;
            (*end)->further = NULL;
            end = &(*end)->further;
        }
    return ret;
}

struct node *node_with(struct arena *a, const struct node *n, const struct origin *then) {
    struct node *copy = arena_alloc(a, sizeof *copy);
    *copy = *n;
    copy->filled = NULL;
    copy->origin = join(a, n->origin, then);
    return copy;
}

struct node *node_through(struct arena *a, const struct node *n, enum origin_kind kind,
                          struct location where, const char *name) {
    struct origin *step = arena_alloc(a, sizeof *step);
    *step = (struct origin){.kind = kind, .where = where, .name = name};
    return node_with(a, n, step);
}

struct node *node_spread(struct arena *a, struct node *n) {
    if (!n || !n->origin || n->kind == NODE_SCALAR)
        return n;
    struct node *ret = node_new(a, n->kind, n->where);
    ret->origin = n->origin;
    for (int i = 0; i < n->count; i++)
        node_append(a, ret, n->key[i] ? node_with(a, n->key[i], n->origin) : NULL,
                    node_with(a, n->item[i], n->origin));
    return ret;
}

int node_find(const struct node *map, const char *key) {
    if (map && map->kind == NODE_MAP)
        for (int i = 0; i < map->count; i++)
            if (strcmp(map->key[i]->text, key) == 0)
                return i;
    return -1;
}

struct node *node_get(const struct node *map, const char *key) {
    int i = node_find(map, key);
    return i < 0 ? NULL : map->item[i];
}

void node_set(struct arena *a, struct node *map, struct node *key, struct node *item) {
    int i = node_find(map, key->text);
    if (i < 0) {
        node_append(a, map, key, item);
        return;
    }
    map->key[i] = key;
    map->item[i] = item;
}

bool node_null(const struct node *n) {
    return n->kind == NODE_SCALAR && n->plain &&
           (n->text[0] == 0 || strcmp(n->text, "~") == 0 || strcmp(n->text, "null") == 0);
}

const char *node_shown(const struct node *n, struct arena *a) {
    if (n->kind == NODE_LIST)
        return "a list";
    if (n->kind == NODE_MAP)
        return "a map";
    return node_null(n) ? "nothing" : arena_printf(a, "'%.60s'", n->text);
}

/* ---- hiding and restoring ${name} ---- */

static bool name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static char *hide_vars(struct arena *a, const char *text, size_t size, size_t *ret_size) {
    size_t vars = 0;
    for (size_t i = 0; i + 1 < size; i++)
        vars += text[i] == '$' && text[i + 1] == '{';
    char *ret = arena_alloc(a, size + 4 * vars + 1), *to = ret;
    for (size_t i = 0; i < size; i++) {
        *to++ = text[i];
        if (text[i] != '$' || i + 1 >= size || text[i + 1] != '{')
            continue;
        size_t end = i + 2;
        while (end < size && name_char(text[end]))
            end++;
        if (end == size || text[end] != '}' || end == i + 2)
            continue;
        memcpy(to, OPEN_MARK, 3);
        memcpy(to + 3, text + i + 2, end - i - 2);
        memcpy(to + 3 + (end - i - 2), CLOSE_MARK, 3);
        to += 6 + (end - i - 2);
        i = end;
    }
    *ret_size = (size_t)(to - ret);
    return ret;
}

static char *show_vars(struct arena *a, const char *text, size_t size) {
    char *ret = arena_alloc(a, size + 1), *to = ret;
    for (size_t i = 0; i < size; i++) {
        if (size - i >= 3 && memcmp(text + i, OPEN_MARK, 3) == 0) {
            *to++ = '{';
            i += 2;
        } else if (size - i >= 3 && memcmp(text + i, CLOSE_MARK, 3) == 0) {
            *to++ = '}';
            i += 2;
        } else {
            *to++ = text[i];
        }
    }
    return ret;
}

/* ---- the reader ---- */

struct anchor {
    const char *name;
    struct node *node;
    struct anchor *older;
};

struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    bool have_event;
    struct messages *m;
    const struct source *source;
    int first_line, first_column; /* where the parsed part begins in the source */
    const char *text;             /* as libyaml sees it */
    size_t size, characters;
    struct anchor *anchors;
    struct node *root; /* NULL: there is an error */
};

static struct location locate(const struct reader *r, size_t line, size_t column) {
    struct location at = {r->source->name, r->first_line + (int)line, (int)column + 1};
    if (line == 0)
        at.column += r->first_column - 1;
    return at;
}

static struct location event_place(const struct reader *r) {
    return locate(r, r->event.start_mark.line, r->event.start_mark.column);
}

/* Just behind the last character that is no white space. */
static struct location end_of(const struct source *s) {
    size_t end = s->size, begin = 0;
    while (end > 0 && strchr(" \t\r\n", s->text[end - 1]))
        end--;
    struct location at = {s->name, 1, 1};
    for (size_t i = 0; i < end; i++)
        if (s->text[i] == '\n') {
            at.line++;
            begin = i + 1;
        }
    for (size_t i = begin; i < end; i++)
        at.column += ((unsigned char)s->text[i] & 0xC0) != 0x80;
    return at;
}

/* What is most likely meant where libyaml only says what it did not find. */
static const char *hint_at(const struct reader *r, const char *problem, struct location at) {
    if (strstr(problem, "cannot start any token"))
        return " (a tab cannot indent; a value that begins with @ ` or % needs quotes)";
    const char *line = r->source->text, *end = line + r->source->size, *last = line;
    for (int n = 1; n < at.line && line; n++) {
        last = line;
        line = memchr(line, '\n', (size_t)(end - line));
        line = line ? line + 1 : NULL;
    }
    /* The unit of a list may be on this line, or on the one before, whose end was the surprise. */
    const char *from = line && at.column > 1 ? line : last;
    const char *close = memchr(from, ']', strcspn(from, "\n"));
    if (close && close[1] == ' ' &&
        ((close[2] >= 'A' && close[2] <= 'Z') || (close[2] >= 'a' && close[2] <= 'z')))
        return " (the unit of a list stands with its numbers: [1 mm, 2 mm])";
    return "";
}

static void syntax_error(struct reader *r) {
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_READER_ERROR) {
        size_t line = 0, column = 0;
        for (size_t i = 0; i < p->problem_offset && i < r->size; i++) {
            column += ((unsigned char)r->text[i] & 0xC0) != 0x80;
            if (r->text[i] == '\n') {
                line++;
                column = 0;
            }
        }
        message_error(r->m, locate(r, line, column), "this is not UTF-8 text: %s", p->problem);
        return;
    }
    struct location at = locate(r, p->problem_mark.line, p->problem_mark.column);
    if (p->problem_mark.index >= r->characters)
        at = end_of(r->source); /* what is missing is missing at the end */
    const char *problem = p->problem ? p->problem : "cannot be read";
    const char *hint = hint_at(r, problem, at);
    if (p->context && p->context_mark.line != p->problem_mark.line)
        message_error(r->m, at, "YAML: %s %s that begins on line %d%s", problem, p->context,
                      locate(r, p->context_mark.line, 0).line, hint);
    else if (p->context)
        message_error(r->m, at, "YAML: %s %s%s", problem, p->context, hint);
    else
        message_error(r->m, at, "YAML: %s%s", problem, hint);
}

static bool next_event(struct reader *r) {
    if (r->have_event)
        yaml_event_delete(&r->event);
    r->have_event = false;
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        if (r->parser.error == YAML_MEMORY_ERROR)
            message_error(r->m, (struct location){0}, "out of memory while reading '%s'",
                          r->source->name);
        else
            syntax_error(r);
        return false;
    }
    r->have_event = true;
    return true;
}

static void remember(struct reader *r, const char *name, struct node *n) {
    if (!name)
        return;
    struct anchor *anchor = arena_alloc(r->m->arena, sizeof *anchor);
    anchor->name = name;
    anchor->node = n;
    anchor->older = r->anchors;
    r->anchors = anchor;
}

static struct node *find_alias(struct reader *r) {
    const char *name = (const char *)r->event.data.alias.anchor;
    struct words words;
    words_begin(&words, name);
    for (const struct anchor *k = r->anchors; k; k = k->older) {
        if (strcmp(k->name, name) == 0)
            return node_through(r->m->arena, k->node, ORIGIN_ALIAS, event_place(r), k->name);
        words_try(&words, k->name);
    }
    message_error(r->m, event_place(r), "no anchor '&%.60s' stands before this alias%s", name,
                  words_hint(&words, r->m->arena));
    return NULL;
}

/* Puts the keys of `from` that `map` has not yet behind its own. */
static bool merge_map(struct reader *r, struct node *map, struct node *from) {
    struct arena *a = r->m->arena;
    if (from->kind != NODE_MAP) {
        message_about(r->m, from, "'<<' merges a map or a list of maps, not %s",
                      node_shown(from, a));
        return false;
    }
    /* An alias that is merged is one step with it. */
    struct origin *last = from->origin;
    while (last && last->further)
        last = last->further;
    if (last && last->kind == ORIGIN_ALIAS)
        last->kind = ORIGIN_MERGE;
    else
        from = node_through(a, from, ORIGIN_MERGE, from->where, "");
    from = node_under_use(a, node_spread(a, from), node_get(map, "use"));
    for (int i = 0; i < from->count; i++)
        if (node_find(map, from->key[i]->text) < 0)
            node_append(a, map, from->key[i], from->item[i]);
    return true;
}

static bool merge(struct reader *r, struct node *map, struct node *from) {
    if (from->kind != NODE_LIST)
        return merge_map(r, map, from);
    from = node_spread(r->m->arena, from);
    for (int i = 0; i < from->count; i++)
        if (!merge_map(r, map, from->item[i]))
            return false;
    return true;
}

static struct node *read_node(struct reader *r, int depth);

static struct node *read_list(struct reader *r, int depth) {
    struct arena *a = r->m->arena;
    struct node *list = node_new(a, NODE_LIST, event_place(r));
    const char *anchor = (const char *)r->event.data.sequence_start.anchor;
    anchor = anchor ? arena_strdup(a, anchor) : NULL;
    while (next_event(r)) {
        if (r->event.type == YAML_SEQUENCE_END_EVENT) {
            remember(r, anchor, list);
            return list;
        }
        struct node *item = read_node(r, depth + 1);
        if (!item)
            return NULL;
        node_append(a, list, NULL, item);
    }
    return NULL;
}

static struct node *read_map(struct reader *r, int depth) {
    struct arena *a = r->m->arena;
    struct node *map = node_new(a, NODE_MAP, event_place(r));
    const char *anchor = (const char *)r->event.data.mapping_start.anchor;
    anchor = anchor ? arena_strdup(a, anchor) : NULL;
    struct node *merges = node_new(a, NODE_LIST, map->where);
    while (next_event(r)) {
        if (r->event.type == YAML_MAPPING_END_EVENT) {
            for (int i = 0; i < merges->count; i++)
                if (!merge(r, map, merges->item[i]))
                    return NULL;
            remember(r, anchor, map);
            return map;
        }
        struct node *key = read_node(r, depth + 1);
        if (!key)
            return NULL;
        if (key->kind != NODE_SCALAR) {
            message_about(r->m, key, "a key must be a word, not %s", node_shown(key, a));
            return NULL;
        }
        if (!next_event(r))
            return NULL;
        struct node *item = read_node(r, depth + 1);
        if (!item)
            return NULL;
        int twice = node_find(map, key->text);
        if (key->plain && strcmp(key->text, "<<") == 0)
            node_append(a, merges, NULL, item);
        else if (twice >= 0)
            message_about(r->m, key, "'%.60s' stands twice in this map, first on line %d",
                          key->text, map->key[twice]->where.line);
        else
            node_append(a, map, key, item);
    }
    return NULL;
}

/* The node that begins with the present event; NULL after an error. */
static struct node *read_node(struct reader *r, int depth) {
    struct arena *a = r->m->arena;
    if (depth > NODE_MAX_DEPTH) {
        message_error(r->m, event_place(r), "more than %d maps and lists in one another",
                      NODE_MAX_DEPTH);
        return NULL;
    }
    switch (r->event.type) {
    case YAML_ALIAS_EVENT:
        return find_alias(r);
    case YAML_SCALAR_EVENT: {
        struct node *n = node_new(a, NODE_SCALAR, event_place(r));
        const char *value = (const char *)r->event.data.scalar.value;
        size_t size = r->event.data.scalar.length;
        if (memchr(value, 0, size)) {
            message_about(r->m, n, "a text cannot hold a NUL character");
            return NULL;
        }
        n->text = show_vars(a, value, size);
        n->plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        const char *anchor = (const char *)r->event.data.scalar.anchor;
        remember(r, anchor ? arena_strdup(a, anchor) : NULL, n);
        return n;
    }
    case YAML_SEQUENCE_START_EVENT:
        return read_list(r, depth);
    case YAML_MAPPING_START_EVENT:
        return read_map(r, depth);
    default:
        message_error(r->m, event_place(r), "YAML: a value was expected here");
        return NULL;
    }
}

static void read_document(void *arg) {
    /* stream start, document start, the node, document end, stream end */
    struct reader *r = arg;
    struct node *root = NULL;
    if (!next_event(r) || !next_event(r))
        return;
    if (r->event.type == YAML_STREAM_END_EVENT) {
        r->root = node_new(r->m->arena, NODE_MAP, locate(r, 0, 0));
        return;
    }
    if (!next_event(r) || !(root = read_node(r, 0)) || !next_event(r) || !next_event(r))
        return;
    if (r->event.type == YAML_STREAM_END_EVENT)
        r->root = root;
    else
        message_error(r->m, event_place(r), "a second YAML document begins here; a graph is one");
}

struct node *yaml_parse(struct messages *m, const struct source *source, size_t offset) {
    struct reader *r = arena_alloc(m->arena, sizeof *r);
    r->m = m;
    r->source = source;
    r->first_line = 1;
    r->first_column = 1;
    for (size_t i = 0; i < offset; i++)
        r->first_column += ((unsigned char)source->text[i] & 0xC0) != 0x80;
    r->text = hide_vars(m->arena, source->text + offset, source->size - offset, &r->size);
    for (size_t i = 0; i < r->size; i++)
        r->characters += ((unsigned char)r->text[i] & 0xC0) != 0x80;
    if (!yaml_parser_initialize(&r->parser)) {
        message_error(m, (struct location){0}, "out of memory while reading '%s'", source->name);
        return NULL;
    }
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)r->text, r->size);
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);

    /* libyaml's own memory must go even when the arena runs out half-way. */
    bool done = arena_try(m->arena, read_document, r);
    if (r->have_event)
        yaml_event_delete(&r->event);
    yaml_parser_delete(&r->parser);
    if (!done)
        arena_give_up(m->arena);
    return r->root;
}

/* ---- files ---- */

const struct source *source_new(struct messages *m, const char *name, const char *text,
                                size_t size) {
    struct source *s = arena_alloc(m->arena, sizeof *s);
    s->name = arena_strdup(m->arena, name);
    s->text = arena_strndup(m->arena, text, size);
    s->size = size;
    s->older = m->sources;
    m->sources = s;
    return s;
}

struct opened {
    struct messages *m;
    const char *path, *text;
    size_t size;
    const struct source *source;
};

static void take_text(void *arg) {
    struct opened *o = arg;
    o->source = source_new(o->m, o->path, o->text, o->size);
}

const struct source *yaml_open(struct messages *m, const char *path, struct location asked) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        message_error(m, asked, "cannot open the graph '%s': %s", path, strerror(errno));
        (void)source_new(m, path, "", 0);
        m->sources->is_file = true;
        return NULL;
    }
    struct stat info;
    const char *why = NULL;
    char *text = NULL;
    size_t size = 0;
    if (fstat(fileno(file), &info) != 0)
        why = strerror(errno);
    else if (S_ISDIR(info.st_mode))
        why = "it is a folder";
    else if (!(text = malloc(MAX_FILE + 1)))
        why = "out of memory";
    else if ((size = fread(text, 1, MAX_FILE + 1, file)) > MAX_FILE)
        why = "it has more than 4 MB";
    else if (ferror(file))
        why = strerror(errno);
    (void)fclose(file);
    struct opened o = {m, path, text, size, NULL};
    bool done = why || arena_try(m->arena, take_text, &o);
    free(text);
    if (!done)
        arena_give_up(m->arena);
    if (why) {
        message_error(m, asked, "cannot read the graph '%s': %s", path, why);
        return NULL;
    }
    m->sources->asked = asked;
    m->sources->is_file = true;
    return o.source;
}
