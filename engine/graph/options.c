/*
 * options.c - typed options from YAML nodes: the option table says the type, the default, the
 * range, the unit and the choices.
 */
#include "graph/options.h"

#include <math.h>
#include <string.h>

#include "modules.h"

/* Beyond these a bound of a table means that there is none. */
#define NO_BOUND 9e18

static bool options_read(const struct option_scope *scope, const struct hf_option *table,
                         const struct node *given, void *ret, bool example);

struct target {
    const struct option_scope *scope;
    const struct hf_option *option;
    const struct node *node;
    bool example;
};

HF_PRINTF(3, 4)
static bool refuse(const struct target *t, const struct node *n, const char *format, ...) {
    struct arena *a = t->scope->m->arena;
    if (n->broken || message_stands_at(t->scope->m, n->where))
        return false;
    va_list args;
    va_start(args, format);
    const char *what = arena_vprintf(a, format, args);
    va_end(args);
    message_about(t->scope->m, n, "'%s' of %s %s", t->option->name, t->scope->owner, what);
    return false;
}

/* ---- choices ---- */

/* The i-th of "a|b|c", or NULL. */
static const char *choice(struct arena *a, const char *choices, int i) {
    const char *at = choices;
    for (; i > 0 && at; i--) {
        at = strchr(at, '|');
        at = at ? at + 1 : NULL;
    }
    return at ? arena_strndup(a, at, strcspn(at, "|")) : NULL;
}

/* Which of the option's choices a word is; refuses another one. */
static bool choose(const struct target *t, const struct node *n, const char *word, int *ret) {
    struct arena *a = t->scope->m->arena;
    struct words words;
    words_begin(&words, word);
    struct text all = {.arena = a};
    const char *c;
    for (int i = 0; (c = choice(a, t->option->choices, i)); i++) {
        if (strcmp(c, word) == 0) {
            *ret = i;
            return true;
        }
        words_try(&words, c);
        text_add(&all, "%s%s", i == 0 ? "" : ", ", c);
    }
    return refuse(t, n, "must be one of %s, not '%.60s'%s", all.bytes, word, words_hint(&words, a));
}

/* ---- numbers ---- */

static bool bounded(double bound) {
    return isfinite(bound) && fabs(bound) < NO_BOUND;
}

const char *option_range(const struct hf_option *o, char *buffer, size_t size) {
    const char *space = o->unit ? " " : "", *unit = o->unit ? o->unit : "";
    buffer[0] = 0;
    if (o->min == o->max)
        return buffer;
    if (bounded(o->min) && bounded(o->max))
        (void)snprintf(buffer, size, "%.10g to %.10g%s%s", o->min, o->max, space, unit);
    else if (bounded(o->min))
        (void)snprintf(buffer, size, "at least %.10g%s%s", o->min, space, unit);
    else if (bounded(o->max))
        (void)snprintf(buffer, size, "at most %.10g%s%s", o->max, space, unit);
    return buffer;
}

static bool take_number(const struct target *t, const struct node *n, double *ret) {
    struct arena *a = t->scope->m->arena;
    const struct hf_option *o = t->option;
    bool whole = o->type == HF_OPTION_INT;
    const char *unit = "", *in = o->unit ? arena_printf(a, " (in %s)", o->unit) : "";
    double value = 0;
    if (n->kind != NODE_SCALAR || !number_parse(n->text, &value, &unit))
        return refuse(t, n, "must be a %snumber%s, not %s", whole ? "whole " : "", in,
                      node_shown(n, a));
    if (*unit && !o->unit)
        return refuse(t, n, "must be a number without a unit, not '%.60s'", n->text);
    if (*unit && !unit_convert(&value, unit, o->unit))
        return refuse(t, n, "is in %s, not in '%.60s'", o->unit, unit);
    if (whole && (value != floor(value) || fabs(value) > 9007199254740992.0))
        return refuse(t, n, "must be a whole number%s, not '%.60s'", in, n->text);
    if (o->min != o->max && (value < o->min || value > o->max)) {
        char range[96];
        return refuse(t, n, "must be %s, not '%.60s'", option_range(o, range, sizeof range),
                      n->text);
    }
    *ret = value;
    return true;
}

static bool take_bool(const struct target *t, int32_t *ret) {
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (int i = 0; t->node->kind == NODE_SCALAR && i < 6; i++)
        if (strcmp(t->node->text, words[i]) == 0) {
            *ret = i % 2;
            return true;
        }
    return refuse(t, t->node, "must be true or false, not %s",
                  node_shown(t->node, t->scope->m->arena));
}

static bool take_text(const struct target *t, const struct node *n, const char **ret) {
    if (n->kind != NODE_SCALAR || n->broken || (n->text[0] == 0 && n->plain))
        return refuse(t, n, "must be a text, not %s", node_shown(n, t->scope->m->arena));
    *ret = n->text;
    return true;
}

/* ---- lists ---- */

/* The items of a list, or of a lone value; checks how many there are. */
static bool take_items(const struct target *t, int *ret_count) {
    const struct hf_option *o = t->option;
    int count = t->node->kind == NODE_SCALAR ? 1 : t->node->count;
    int max = o->items_max > 0 && o->items_max < HF_OPTION_ITEMS ? o->items_max : HF_OPTION_ITEMS;
    if (count < o->items_min || count > max) {
        if (o->items_min == max)
            return refuse(t, t->node, "must have %d item%s, not %d", max, max == 1 ? "" : "s",
                          count);
        return refuse(t, t->node, "must have %d to %d items, not %d", o->items_min, max, count);
    }
    *ret_count = count;
    return true;
}

static const struct node *item_at(const struct target *t, int i) {
    return t->node->kind == NODE_SCALAR ? t->node : t->node->item[i];
}

static bool take_reals(const struct target *t, struct hf_reals *ret) {
    int count = 0;
    if (t->node->kind == NODE_MAP)
        return refuse(t, t->node, "must be a list of numbers, not a map");
    bool good = take_items(t, &count);
    for (int i = 0; i < count; i++)
        good = take_number(t, item_at(t, i), &ret->value[i]) && good;
    ret->count = count;
    return good;
}

static bool take_names(const struct target *t, struct hf_names *ret) {
    int count = 0, which;
    if (t->node->kind == NODE_MAP)
        return refuse(t, t->node, "must be a list of names, not a map");
    bool good = take_items(t, &count);
    for (int i = 0; i < count; i++) {
        const struct node *n = item_at(t, i);
        ret->name[i] = "";
        if (!take_text(t, n, &ret->name[i]))
            good = false;
        else if (t->option->choices && !choose(t, n, ret->name[i], &which))
            good = false;
        for (int k = 0; good && k < i; k++)
            if (strcmp(ret->name[k], ret->name[i]) == 0)
                good = refuse(t, n, "names '%s' twice", ret->name[i]);
    }
    ret->count = count;
    return good;
}

static bool take_weights(const struct target *t, struct hf_weights *ret) {
    int count = 0, which;
    bool good = take_items(t, &count);
    for (int i = 0; i < count; i++) {
        const struct node *n = item_at(t, i), *word = NULL;
        double unused;
        const char *unit;
        ret->value[i] = 1;
        if (t->node->kind == NODE_MAP) {
            word = t->node->key[i];
            good = take_number(t, n, &ret->value[i]) && good;
        } else if (n->kind == NODE_SCALAR && number_parse(n->text, &unused, &unit)) {
            good = take_number(t, n, &ret->value[i]) && good;
        } else {
            word = n;
        }
        if (!word)
            continue;
        if (!take_text(t, word, &ret->name[i]))
            good = false;
        else if (t->option->choices && !choose(t, word, ret->name[i], &which))
            good = false;
    }
    ret->count = count;
    return good;
}

static bool take_network(const struct target *t, struct hf_network_choice *ret) {
    const struct node *word = t->node, *given = NULL;
    struct messages *m = t->scope->m;
    if (t->node->kind == NODE_LIST || (t->node->kind == NODE_MAP && t->node->count != 1))
        return refuse(t, t->node, "must be one network: its name, or {name: {options}}");
    if (t->node->kind == NODE_MAP) {
        word = t->node->key[0];
        given = node_spread(m->arena, t->node->item[0]);
        if (node_null(given))
            given = NULL;
        else if (given->kind != NODE_MAP)
            return refuse(t, given, "takes a map of the network's options here, not %s",
                          node_shown(given, m->arena));
    }
    if (word->broken)
        return false;
    const struct hf_network_class *net = engine_network(t->scope->engine, word->text);
    if (!net) {
        struct words words;
        words_begin(&words, word->text);
        struct text known = {.arena = m->arena};
        const char *name;
        for (int i = 0; (name = engine_network_name(t->scope->engine, i)); i++) {
            words_try(&words, name);
            text_add(&known, "%s%s", i == 0 ? " (there are " : ", ", name);
        }
        return refuse(t, word, "names an unknown network '%.60s'%s%s%s", word->text,
                      known.size ? known.bytes : "", known.size ? ")" : "",
                      words_hint(&words, m->arena));
    }
    struct option_scope scope = *t->scope;
    scope.owner = arena_printf(m->arena, "network '%s'", net->name);
    scope.also = NULL;
    void *options = arena_alloc(m->arena, net->options_size);
    ret->network = net;
    ret->options = options;
    return options_read(&scope, net->options, given, options, t->example);
}

/* ---- one option, and all ---- */

static bool take(const struct target *t, char *at) {
    const struct hf_option *o = t->option;
    double number = 0;
    if (t->node->broken)
        return false;
    switch (o->type) {
    case HF_OPTION_BOOL:
        return take_bool(t, (int32_t *)(void *)at);
    case HF_OPTION_INT:
        if (!take_number(t, t->node, &number))
            return false;
        *(int64_t *)(void *)at = (int64_t)number;
        return true;
    case HF_OPTION_REAL:
        return take_number(t, t->node, (double *)(void *)at);
    case HF_OPTION_ENUM: {
        const char *word = NULL;
        int which = 0;
        if (!take_text(t, t->node, &word) || !choose(t, t->node, word, &which))
            return false;
        *(int32_t *)(void *)at = which;
        return true;
    }
    case HF_OPTION_STRING:
    case HF_OPTION_PATH: {
        const char **text = (const char **)(void *)at;
        int which;
        if (!take_text(t, t->node, text))
            return false;
        return !o->choices || choose(t, t->node, *text, &which);
    }
    case HF_OPTION_REALS:
        return take_reals(t, (struct hf_reals *)(void *)at);
    case HF_OPTION_NAMES:
        return take_names(t, (struct hf_names *)(void *)at);
    case HF_OPTION_WEIGHTS:
        return take_weights(t, (struct hf_weights *)(void *)at);
    case HF_OPTION_NETWORK:
        return take_network(t, (struct hf_network_choice *)(void *)at);
    }
    return refuse(t, t->node, "has a type that this engine does not know");
}

/* The node of a default; most are plain words, which need no YAML parser. */
static struct node *default_node(struct messages *m, const char *text) {
    if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/+") ==
            strlen(text) ||
        strcmp(text, "~") == 0) {
        struct node *n = node_new(m->arena, NODE_SCALAR, (struct location){0});
        n->text = text;
        n->plain = true;
        return n;
    }
    return yaml_parse(m, source_new(m, "default", text, strlen(text)), 0);
}

static bool take_default(const struct option_scope *scope, const struct hf_option *o,
                         const char *text, char *at, bool example) {
    struct messages own = {.arena = scope->m->arena};
    struct option_scope inner = *scope;
    inner.m = &own;
    struct node *n = default_node(&own, text);
    if (n && node_null(n) && (o->type == HF_OPTION_STRING || o->type == HF_OPTION_PATH))
        return true; /* stays NULL */
    if (n && n->kind == NODE_SCALAR && node_null(n) &&
        (o->type == HF_OPTION_REALS || o->type == HF_OPTION_NAMES || o->type == HF_OPTION_WEIGHTS ||
         o->type == HF_OPTION_NETWORK))
        return true; /* an empty list, no network */
    struct target t = {&inner, o, n, example};
    if (n && take(&t, at))
        return true;
    message_error(scope->m, scope->where, "the module of %s is faulty: default '%s': %s",
                  scope->owner, text, own.newest ? own.newest->text : "cannot be read");
    return false;
}

/* Something that fits a required option. */
static const char *made_up(const struct option_scope *scope, const struct hf_option *o) {
    struct arena *a = scope->m->arena;
    if (o->choices)
        return choice(a, o->choices, 0);
    switch (o->type) {
    case HF_OPTION_BOOL:
        return "false";
    case HF_OPTION_INT:
    case HF_OPTION_REAL:
        return arena_printf(a, "%.17g", o->min);
    case HF_OPTION_REALS: {
        struct text t = {.arena = a};
        text_add(&t, "[");
        for (int i = 0; i < (o->items_min > 1 ? o->items_min : 1); i++)
            text_add(&t, "%s%.17g", i == 0 ? "" : ", ", o->min);
        text_add(&t, "]");
        return t.bytes;
    }
    case HF_OPTION_NETWORK: {
        const char *name = engine_network_name(scope->engine, 0);
        return name ? name : "~";
    }
    default:
        return o->flags & HF_OPTION_FIELD ? "image" : o->name;
    }
}

static void refuse_unknown(const struct option_scope *scope, const struct hf_option *table,
                           const struct node *key) {
    if (message_stands_at(scope->m, key->where))
        return; /* of a stage that is like another one */
    struct words words;
    words_begin(&words, key->text);
    for (const struct hf_option *o = table; o && o->name; o++)
        words_try(&words, o->name);
    for (const char *const *k = scope->also; k && *k; k++)
        words_try(&words, *k);
    message_about(scope->m, key, "%s has no option '%.60s'%s", scope->owner, key->text,
                  words_hint(&words, scope->m->arena));
}

static bool options_read(const struct option_scope *scope, const struct hf_option *table,
                         const struct node *given, void *ret, bool example) {
    bool good = true;
    for (int i = 0; given && i < given->count; i++) {
        const struct hf_option *o = table;
        while (o && o->name && strcmp(o->name, given->key[i]->text) != 0)
            o++;
        if (o && o->name)
            continue;
        refuse_unknown(scope, table, given->key[i]);
        good = false;
    }
    for (const struct hf_option *o = table; o && o->name; o++) {
        const struct node *n = node_spread(scope->m->arena, node_get(given, o->name));
        char *at = (char *)ret + o->offset;
        if (n && !node_null(n)) {
            struct target t = {scope, o, n, example};
            good = take(&t, at) && good;
        } else if (o->initial) {
            good = take_default(scope, o, o->initial, at, example) && good;
        } else if (example) {
            good = take_default(scope, o, made_up(scope, o), at, example) && good;
        } else {
            message_error(scope->m, n ? n->where : scope->where, "%s needs the option '%s': %s",
                          scope->owner, o->name, o->help ? o->help : "");
            good = false;
        }
    }
    return good;
}

bool options_parse(const struct option_scope *scope, const struct hf_option *table,
                   const struct node *given, void *ret) {
    return options_read(scope, table, given, ret, false);
}

bool options_example(const struct option_scope *scope, const struct hf_option *table, void *ret) {
    return options_read(scope, table, NULL, ret, true);
}
