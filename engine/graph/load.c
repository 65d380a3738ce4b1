/*
 * load.c - from the files of a graph to one tree: included files below the one that includes them,
 * `--set` on top, and the vars filled in.
 */
#include "graph/tree.h"

#include <string.h>

#define MAX_INCLUDES  16 /* files that include one another */
#define MAX_FILL      (2 * NODE_MAX_DEPTH)
#define MAX_SET_PARTS 8

static struct node *copy_node(struct arena *a, const struct node *n) {
    struct node *copy = node_new(a, n->kind, n->where);
    copy->text = n->text;
    copy->plain = n->plain;
    copy->origin = n->origin;
    for (int i = 0; i < n->count; i++)
        node_append(a, copy, n->key[i], n->item[i]);
    return copy;
}

/* ---- --set ---- */

struct setting {
    bool var; /* of `vars`, else of a stage */
    int parts;
    struct node *part[MAX_SET_PARTS];
    struct node *value;
};

/* A copy of `map` with the value at part `at` and below set. */
static struct node *set_below(struct arena *a, struct node *map, const struct setting *s, int at) {
    struct node *key = s->part[at], *item = s->value;
    if (map && !s->var && at == 1 && strcmp(key->text, "use") == 0)
        map = node_under_use(a, map, item);
    struct node *ret =
        map && map->kind == NODE_MAP ? copy_node(a, map) : node_new(a, NODE_MAP, s->value->where);
    if (at + 1 < s->parts)
        item = set_below(a, node_get(ret, key->text), s, at + 1);
    int i = node_find(ret, key->text);
    node_set(a, ret, i >= 0 && at + 1 < s->parts ? ret->key[i] : key, item);
    return ret;
}

static bool split_setting(struct messages *m, const char *text, struct setting *ret) {
    const struct source *source = source_new(m, "--set", text, strlen(text));
    struct location at = {source->name, 1, 1};
    const char *equals = strchr(source->text, '=');
    if (!equals || equals == source->text) {
        message_error(m, at, "expected stage.option=value, vars.name=value or key=value");
        return false;
    }
    for (const char *from = source->text; from <= equals;) {
        const char *dot = from;
        while (dot < equals && *dot != '.')
            dot++;
        at.column = (int)(from - source->text) + 1;
        if (dot == from || ret->parts == MAX_SET_PARTS) {
            message_error(m, at, "expected stage.option=value, vars.name=value or key=value");
            return false;
        }
        struct node *part = node_new(m->arena, NODE_SCALAR, at);
        part->text = arena_strndup(m->arena, from, (size_t)(dot - from));
        part->plain = true;
        ret->part[ret->parts++] = part;
        from = dot + 1;
    }
    at.column = (int)(equals - source->text) + 2;
    ret->value = yaml_parse(m, source, (size_t)(equals - source->text) + 1);
    if (ret->value && ret->value->kind == NODE_MAP && ret->value->count == 0 && equals[1] == 0) {
        ret->value = node_new(m->arena, NODE_SCALAR, at); /* nothing: the option's default */
        ret->value->text = "";
        ret->value->plain = true;
    }
    return ret->value != NULL;
}

static struct node *apply_setting(struct messages *m, struct node *root, const char *text) {
    struct setting s = {0};
    if (!split_setting(m, text, &s))
        return NULL;
    struct arena *a = m->arena;
    struct node *first = s.part[0], *copy = copy_node(a, root);
    if (s.parts == 1) {
        if (strcmp(first->text, "stages") == 0 || strcmp(first->text, "vars") == 0 ||
            strcmp(first->text, "include") == 0) {
            message_about(m, first, "'%s' cannot be set as a whole; set stage.option=value",
                          first->text);
            return NULL;
        }
        node_set(a, copy, first, s.value);
        return copy;
    }
    bool var = s.var = strcmp(first->text, "vars") == 0;
    const struct node *among = node_get(root, var ? "vars" : "stages");
    const struct node *wanted = s.part[var ? 1 : 0];
    if (node_find(among, wanted->text) < 0) {
        struct words words;
        words_begin(&words, wanted->text);
        for (int i = 0; among && among->kind == NODE_MAP && i < among->count; i++)
            words_try(&words, among->key[i]->text);
        message_about(m, wanted, "the graph has no %s '%s'%s", var ? "var" : "stage", wanted->text,
                      words_hint(&words, a));
        return NULL;
    }
    int i = node_find(copy, var ? "vars" : "stages");
    copy->item[i] = set_below(a, copy->item[i], &s, var ? 1 : 0);
    return copy;
}

/* ---- vars ---- */

struct filler {
    struct messages *m;
    const struct node *vars;
    bool *filling; /* per var: it is being filled in right now */
};

static struct node *fill(struct filler *f, struct node *n, int depth);

/* The var that every file has, unless the graph has one of that name. */
#define GRAPH_DIR "graph_dir"

/* The folder of the file that it stands in; of `--set`, the working folder. */
static struct node *graph_dir(struct arena *a, struct location where) {
    struct node *ret = node_new(a, NODE_SCALAR, where);
    const char *slash = where.file ? strrchr(where.file, '/') : NULL;
    ret->text = slash == NULL         ? "."
                : slash == where.file ? "/"
                                      : arena_strndup(a, where.file, (size_t)(slash - where.file));
    ret->plain = true;
    return ret;
}

/* The filled value of var `name`; NULL after an error at `where`. */
static struct node *var_value(struct filler *f, const char *name, struct location where,
                              int depth) {
    struct arena *a = f->m->arena;
    int i = node_find(f->vars, name);
    if (i < 0 && strcmp(name, GRAPH_DIR) == 0)
        return graph_dir(a, where);
    if (i < 0) {
        struct words words;
        words_begin(&words, name);
        words_try(&words, GRAPH_DIR);
        for (int k = 0; f->vars && f->vars->kind == NODE_MAP && k < f->vars->count; k++)
            words_try(&words, f->vars->key[k]->text);
        message_error(f->m, where, "unknown var '%.60s'%s", name, words_hint(&words, a));
        return NULL;
    }
    if (f->filling[i]) {
        message_error(f->m, where, "var '%.60s' is made of itself", name);
        return NULL;
    }
    f->filling[i] = true;
    struct node *ret = fill(f, f->vars->item[i], depth + 1);
    f->filling[i] = false;
    return ret->broken ? NULL : ret;
}

static struct node *fill_scalar(struct filler *f, struct node *n, int depth) {
    struct arena *a = f->m->arena;
    struct text out = {.arena = a};
    text_add(&out, "%s", "");
    const char *at = n->text;
    struct node *ret = node_new(a, NODE_SCALAR, n->where);
    for (const char *ref; (ref = strstr(at, "${"));) {
        if (ref > at && ref[-1] == '$') { /* $${ stands for ${ */
            text_add(&out, "%.*s{", (int)(ref - at), at);
            at = ref + 2;
            continue;
        }
        struct location where = n->where;
        where.column += n->plain ? 0 : 1;
        for (const char *c = n->text; c < ref; c++)
            where.column += ((unsigned char)*c & 0xC0) != 0x80;
        const char *close = strchr(ref, '}');
        size_t size = close ? (size_t)(close - ref) - 2 : 0;
        if (size == 0) {
            message_error(f->m, where, "a var is written ${name}; a plain dollar and brace, $${");
            return NULL;
        }
        const char *name = arena_strndup(a, ref + 2, size);
        struct node *value = var_value(f, name, where, depth);
        if (!value)
            return NULL;
        bool alone = ref == n->text && close[1] == 0;
        if (alone && (n->plain || value->kind != NODE_SCALAR))
            return node_with(a, node_through(a, value, ORIGIN_VAR, where, name), n->origin);
        if (value->kind != NODE_SCALAR) {
            message_error(f->m, where, "var '%.60s' is %s and cannot stand inside a text", name,
                          node_shown(value, a));
            return NULL;
        }
        text_add(&out, "%.*s%s", (int)(ref - at), at, value->text);
        struct origin inside = {.kind = ORIGIN_INSIDE, .where = value->where, .name = name};
        ret->origin = node_with(a, ret, &inside)->origin;
        if (out.size > ((size_t)1 << 20)) {
            message_error(f->m, where, "the vars make a text of more than 1 MB");
            return NULL;
        }
        at = close + 1;
    }
    text_add(&out, "%s", at);
    ret->text = out.bytes;
    ret->plain = n->plain;
    return node_with(a, ret, n->origin);
}

/* The node with all vars filled in, once for all who share it; broken after an error. */
static struct node *fill(struct filler *f, struct node *n, int depth) {
    if (n->filled)
        return n->filled;
    struct node *ret = n;
    if (depth > MAX_FILL) {
        message_about(f->m, n, "more than %d maps, lists and vars in one another", MAX_FILL);
        ret = NULL;
    } else if (n->kind == NODE_SCALAR && strstr(n->text, "${")) {
        ret = fill_scalar(f, n, depth);
    } else if (n->kind != NODE_SCALAR) {
        ret = node_new(f->m->arena, n->kind, n->where);
        ret->origin = n->origin;
        for (int i = 0; i < n->count; i++)
            node_append(f->m->arena, ret, n->key[i], fill(f, n->item[i], depth + 1));
    }
    if (!ret) {
        ret = node_new(f->m->arena, NODE_SCALAR, n->where);
        ret->text = "";
        ret->broken = true;
    }
    n->filled = ret;
    return ret;
}

static struct node *fill_vars(struct messages *m, const struct node *vars, struct node *n) {
    struct filler f = {.m = m, .vars = vars};
    if (vars && vars->kind == NODE_MAP)
        f.filling = arena_array(m->arena, (size_t)vars->count + 1, sizeof *f.filling);
    return fill(&f, n, 0);
}

/* ---- include ---- */

/* A file that is being read, and the one that includes it. */
struct opened {
    const char *path;
    const struct node *vars; /* its own, or NULL */
    const struct opened *by;
};

/* What a graph is read with: messages, its text where it is no file, and `--set`. */
struct loading {
    struct messages *m;
    const char *text;
    const char *const *sets;
    int count;
};

/* `top` over `base`, key by key; NULLs are nothing. */
static struct node *merge_maps(struct arena *a, struct node *base, const struct node *top) {
    struct node *ret = copy_node(a, base);
    for (int i = 0; i < top->count; i++)
        node_set(a, ret, top->key[i], top->item[i]);
    return ret;
}

static bool both_maps(const struct node *a, const struct node *b) {
    return a && b && a->kind == NODE_MAP && b->kind == NODE_MAP;
}

/* Stage by stage and key by key; a stage set to nothing (`stage: ~`) is taken out. */
static struct node *merge_stages(struct arena *a, const struct node *base, const struct node *top) {
    struct node *ret = node_new(a, NODE_MAP, top->where);
    for (int i = 0; i < base->count; i++) {
        struct node *over = node_get(top, base->key[i]->text);
        if (!over)
            node_append(a, ret, base->key[i], base->item[i]);
        else if (both_maps(base->item[i], over))
            node_append(
                a, ret, base->key[i],
                merge_maps(a, node_under_use(a, base->item[i], node_get(over, "use")), over));
        else if (!node_null(over))
            node_append(a, ret, top->key[node_find(top, base->key[i]->text)], over);
    }
    for (int i = 0; i < top->count; i++)
        if (!node_get(base, top->key[i]->text))
            node_append(a, ret, top->key[i], top->item[i]);
    return ret;
}

static struct node *merge_graphs(struct arena *a, const struct node *base, const struct node *top) {
    struct node *ret = copy_node(a, base);
    for (int i = 0; i < top->count; i++) {
        const char *key = top->key[i]->text;
        struct node *under = node_get(base, key), *over = top->item[i];
        if (strcmp(key, "include") == 0)
            continue;
        if (strcmp(key, "vars") == 0 && both_maps(under, over))
            over = merge_maps(a, under, over);
        else if (strcmp(key, "stages") == 0 && both_maps(under, over))
            over = merge_stages(a, under, over);
        node_set(a, ret, top->key[i], over);
    }
    ret->where = top->where;
    return ret;
}

/* What the vars come to that an `include` of the file `by` may use: those of `--set`, then of the
 * files that include it, from the outermost on, then its own. NULL after an error. */
static const struct node *vars_for(const struct loading *l, const struct opened *by) {
    struct arena *a = l->m->arena;
    struct node *ret = node_new(a, NODE_MAP, (struct location){0});
    for (; by; by = by->by)
        if (by->vars && by->vars->kind == NODE_MAP)
            ret = merge_maps(a, ret, by->vars);
    for (int i = 0; i < l->count; i++) {
        struct setting s = {.var = true};
        if (strncmp(l->sets[i], "vars.", 5) != 0)
            continue;
        if (!split_setting(l->m, l->sets[i], &s))
            return NULL;
        ret = set_below(a, ret, &s, 1);
    }
    return ret;
}

static struct node *load_file(const struct loading *l, const char *path, struct location asked,
                              const struct opened *by, int depth);

static const char *beside(struct arena *a, const char *path, const char *name) {
    const char *slash = strrchr(path, '/');
    if (name[0] == '/' || !slash)
        return name;
    return arena_printf(a, "%.*s/%s", (int)(slash - path), path, name);
}

/* Merges the file that `name` names over `base`; NULL after an error. */
static struct node *include(const struct loading *l, const struct node *base, struct node *name,
                            const struct opened *by, int depth) {
    struct messages *m = l->m;
    if (name->kind == NODE_SCALAR && strstr(name->text, "${")) {
        const struct node *vars = vars_for(l, by);
        name = vars ? fill_vars(m, vars, name) : NULL;
        if (!name || name->broken)
            return NULL;
    }
    if (name->kind != NODE_SCALAR || name->text[0] == 0) {
        message_about(m, name, "'include' takes the path of a graph, or a list of them");
        return NULL;
    }
    const char *path = beside(m->arena, by->path, name->text);
    struct node *top = load_file(l, path, name->where, by, depth + 1);
    return top && base ? merge_graphs(m->arena, base, top) : NULL;
}

static struct node *load_file(const struct loading *l, const char *path, struct location asked,
                              const struct opened *by, int depth) {
    struct messages *m = l->m;
    if (depth > MAX_INCLUDES) {
        message_error(m, asked, "more than %d files include one another", MAX_INCLUDES);
        return NULL;
    }
    for (const struct opened *k = by; k; k = k->by)
        if (strcmp(k->path, path) == 0) {
            message_error(m, asked, "'%s' includes itself", path);
            return NULL;
        }
    const struct source *source =
        !by && l->text ? source_new(m, path, l->text, strlen(l->text)) : yaml_open(m, path, asked);
    struct node *root = source ? yaml_parse(m, source, 0) : NULL;
    if (!root)
        return NULL;
    if (root->kind != NODE_MAP || root->count == 0) {
        struct location at = {source->name, 1, 1};
        message_error(m, at, "%s; a graph is a map with the key 'stages'",
                      root->kind == NODE_MAP ? "there is nothing in this file"
                                             : "this is no map of keys and values");
        return NULL;
    }
    struct node *names = node_get(root, "include");
    if (!names)
        return root;
    struct opened self = {path, node_get(root, "vars"), by};
    struct node *base = node_new(m->arena, NODE_MAP, root->where);
    if (names->kind == NODE_LIST)
        for (int i = 0; i < names->count; i++)
            base = include(l, base, names->item[i], &self, depth);
    else
        base = include(l, base, names, &self, depth);
    return base ? merge_graphs(m->arena, base, root) : NULL;
}

/* ---- all together ---- */

struct node *graph_load(struct messages *m, const char *path, const char *text,
                        const char *const *sets, int count) {
    struct location nowhere = {0};
    const struct loading l = {m, text, sets, count};
    struct node *root = load_file(&l, path, nowhere, NULL, 0);
    if (!root)
        return NULL;
    for (int i = 0; i < count; i++) {
        struct node *set = apply_setting(m, root, sets[i]);
        root = set ? set : root;
    }
    return fill_vars(m, node_get(root, "vars"), root);
}
