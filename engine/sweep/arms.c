/*
 * arms.c - from the axes of the command line and a graph's `sweep:` block to arms: every
 * combination of the axes' values, and beside them the arms that the block names.
 */
#include <stdlib.h>
#include <string.h>

#include "graph/options.h"
#include "graph/print.h"
#include "graph/tree.h"
#include "sweep/sweep.h"

#define MAX_AXES  16
#define MAX_ARMS  1000
#define MAX_SEEDS 1000
#define MAX_NAME  120

static const char name_letters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.=,+-";

struct reader {
    struct messages *m;
    struct arena *a;
    struct sweep *sw;
    const struct node *axis_of[MAX_AXES]; /* where each axis is named */
    const struct node *list[MAX_AXES];    /* its values */
    char *scratch;                        /* text on its way into the arena */
};

/* The node as YAML on one line. */
static const char *yaml_of(struct reader *r, const struct node *n) {
    size_t size = 0;
    FILE *out = open_memstream(&r->scratch, &size);
    if (!out)
        arena_give_up(r->a);
    print_node(out, n);
    if (fclose(out) != 0)
        arena_give_up(r->a);
    const char *ret = arena_strdup(r->a, r->scratch);
    free(r->scratch);
    r->scratch = NULL;
    return ret;
}

/* ---- axes ---- */

static void add_axis(struct reader *r, const struct node *name, const struct node *values) {
    struct sweep *sw = r->sw;
    if (!strchr(name->text, '.') || name->text[0] == '.') {
        message_about(r->m, name, "an axis is an option of a stage, as pseudo.value, not '%.60s'",
                      name->text);
        return;
    }
    if (values->kind != NODE_LIST || values->count == 0) {
        message_about(r->m, values, "the axis '%.60s' needs a list of values, not %s", name->text,
                      values->kind == NODE_LIST ? "an empty one" : node_shown(values, r->a));
        return;
    }
    for (int i = 0; i < sw->axes; i++)
        if (strcmp(sw->axis[i].name, name->text) == 0) {
            message_about(r->m, name, "there are two axes '%.60s'", name->text);
            return;
        }
    if (sw->axes == MAX_AXES) {
        message_about(r->m, name, "a sweep has at most %d axes", MAX_AXES);
        return;
    }
    r->axis_of[sw->axes] = name;
    r->list[sw->axes] = values;
    struct sweep_axis *axis = &sw->axis[sw->axes++];
    axis->name = arena_strdup(r->a, name->text);
    axis->values = values->count;
    axis->value = arena_array(r->a, (size_t)values->count, sizeof *axis->value);
    for (int i = 0; i < values->count; i++)
        axis->value[i] = yaml_of(r, values->item[i]);
}

/* "stage.option=a,b": what stands behind the sign is a YAML list without its brackets. */
static void read_axis(struct reader *r, const char *text) {
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || equals[1] == 0) {
        message_error(r->m, (struct location){0}, "--axis takes stage.option=a,b,c, not '%.200s'",
                      text);
        return;
    }
    int name_size = (int)(equals - text);
    const char *listed = arena_printf(r->a, "%.*s=[%s]", name_size, text, equals + 1);
    const struct source *source = source_new(r->m, "--axis", listed, strlen(listed));
    struct node *values = yaml_parse(r->m, source, (size_t)name_size + 1);
    struct node *name = node_new(r->a, NODE_SCALAR, (struct location){source->name, 1, 1});
    name->text = arena_strndup(r->a, text, (size_t)name_size);
    if (values)
        add_axis(r, name, values);
}

/* ---- arms ---- */

static bool name_taken(const struct sweep *sw, const char *name) {
    for (int i = 0; i < sw->arms; i++)
        if (strcmp(sw->arm[i].name, name) == 0)
            return true;
    return false;
}

static struct sweep_arm *new_arm(struct reader *r, const char *name, int sets) {
    struct sweep_arm *arm = &r->sw->arm[r->sw->arms++];
    arm->name = name;
    arm->set = arena_array(r->a, (size_t)sets + 1, sizeof *arm->set);
    return arm;
}

/* The end of an axis's name, behind the last dot, or all of it where another one ends alike. */
static const char *short_name(const struct sweep *sw, int axis) {
    const char *name = sw->axis[axis].name, *dot = strrchr(name, '.');
    for (int i = 0; i < sw->axes; i++)
        if (i != axis && strcmp(strrchr(sw->axis[i].name, '.'), dot) == 0)
            return name;
    return dot + 1;
}

/* Adds a value as a folder's name may have it: what is between words becomes one '+'. */
static void add_plain(struct text *t, const char *value) {
    bool gap = false, any = false;
    for (const char *c = value; *c; c++) {
        bool good = strchr(name_letters, *c) && *c != ',' && *c != '=' && *c != '+';
        if (good && gap && any)
            text_add(t, "+");
        if (good)
            text_add(t, "%c", *c);
        any = any || good;
        gap = !good;
    }
    if (!any)
        text_add(t, "none");
}

/* One arm for every combination of the axes' values, the last axis fastest. */
static void combine_axes(struct reader *r) {
    struct sweep *sw = r->sw;
    int64_t count = 1;
    for (int i = 0; i < sw->axes; i++)
        count *= count <= MAX_ARMS ? sw->axis[i].values : 1;
    if (count > MAX_ARMS) {
        message_about(r->m, r->axis_of[0], "the axes come to more than %d arms", MAX_ARMS);
        return;
    }
    for (int64_t k = 0; sw->axes > 0 && k < count; k++) {
        struct text name = {.arena = r->a};
        int64_t rest = k, of = count;
        struct sweep_arm *arm = new_arm(r, "", sw->axes);
        for (int i = 0; i < sw->axes; i++) {
            of /= sw->axis[i].values;
            const char *value = sw->axis[i].value[rest / of];
            rest %= of;
            arm->set[arm->sets++] = arena_printf(r->a, "%s=%s", sw->axis[i].name, value);
            text_add(&name, "%s%s=", i ? "," : "", short_name(sw, i));
            add_plain(&name, value);
        }
        if (name.size > MAX_NAME)
            name.bytes[MAX_NAME] = 0;
        const char *plain = name.bytes, *unique = plain;
        for (int n = 2; name_taken(sw, unique); n++)
            unique = arena_printf(r->a, "%s-%d", plain, n);
        arm->name = unique;
    }
}

/* `stage.option: value`, or `stage: {option: value}` for several of one stage. */
static int count_settings(const struct node *map) {
    int n = 0;
    for (int i = 0; i < map->count; i++)
        n += map->item[i]->kind == NODE_MAP ? map->item[i]->count + 1 : 1;
    return n;
}

static void name_arm(struct reader *r, const struct node *key, const struct node *map) {
    const char *name = key->text;
    size_t size = strlen(name);
    if (size == 0 || size > MAX_NAME || name[0] == '.' || name[0] == '-' ||
        strspn(name, name_letters) != size) {
        message_about(r->m, key,
                      "an arm's name is one of a folder: letters, digits and _.=,+- (%d at most), "
                      "not '%.60s'",
                      MAX_NAME, name);
        return;
    }
    if (name_taken(r->sw, name)) {
        message_about(r->m, key, "there are two arms '%.60s'", name);
        return;
    }
    if (map->kind != NODE_MAP && !node_null(map)) {
        message_about(r->m, map, "the arm '%.60s' takes a map of stage.option: value, not %s", name,
                      node_shown(map, r->a));
        return;
    }
    struct sweep_arm *arm = new_arm(r, arena_strdup(r->a, name), count_settings(map));
    for (int i = 0; i < map->count; i++) {
        const char *stage = map->key[i]->text;
        const struct node *n = map->item[i];
        bool several = n->kind == NODE_MAP && !strchr(stage, '.');
        for (int k = 0; several && k < n->count; k++)
            arm->set[arm->sets++] =
                arena_printf(r->a, "%s.%s=%s", stage, n->key[k]->text, yaml_of(r, n->item[k]));
        if (!several)
            arm->set[arm->sets++] = arena_printf(r->a, "%s=%s", stage, yaml_of(r, n));
    }
}

/* ---- seeds and baseline ---- */

static void make_seeds(struct reader *r, const struct node *root, const struct node *n,
                       int64_t asked) {
    struct sweep *sw = r->sw;
    const struct node *first = node_get(root, "seed");
    int64_t from = 0, count = asked > 0 ? asked : 1;
    if (first && !node_null(first) &&
        !whole_parse(r->m, first, "seed", 0, INT64_MAX - MAX_SEEDS, &from))
        return;
    bool listed = asked == 0 && n && n->kind == NODE_LIST;
    if (listed) {
        count = n->count;
        if (count == 0 || count > MAX_SEEDS) {
            message_about(r->m, n, "'seeds' takes 1 to %d seeds", MAX_SEEDS);
            return;
        }
    } else if (asked == 0 && n && !node_null(n) &&
               !whole_parse(r->m, n, "seeds", 1, MAX_SEEDS, &count)) {
        return;
    } else if (asked > MAX_SEEDS) {
        message_error(r->m, (struct location){0}, "--seeds takes at most %d", MAX_SEEDS);
        return;
    }
    sw->seeds = (int)count;
    sw->seed = arena_array(r->a, (size_t)count, sizeof *sw->seed);
    for (int i = 0; i < sw->seeds; i++) {
        sw->seed[i] = from + i;
        if (listed && !whole_parse(r->m, n->item[i], "seeds", 0, INT64_MAX, &sw->seed[i]))
            return;
        for (int k = 0; k < i; k++)
            if (sw->seed[k] == sw->seed[i])
                message_about(r->m, n->item[i], "there are two seeds %lld", (long long)sw->seed[i]);
    }
}

/* Axes of the command line rename the arms: then the file's baseline may not be there, and the
 * first arm is it. */
static void find_baseline(struct reader *r, const struct node *n, const char *asked, bool renamed) {
    struct sweep *sw = r->sw;
    const char *name = asked                                          ? asked
                       : n && n->kind == NODE_SCALAR && !node_null(n) ? n->text
                                                                      : NULL;
    if (!name || r->m->errors > 0)
        return;
    struct words words;
    words_begin(&words, name);
    for (int i = 0; i < sw->arms; i++) {
        if (strcmp(sw->arm[i].name, name) == 0) {
            sw->baseline = i;
            return;
        }
        words_try(&words, sw->arm[i].name);
    }
    if (renamed && !asked)
        return;
    struct text known = {.arena = r->a};
    for (int i = 0; i < sw->arms && i < 20; i++)
        text_add(&known, "%s%s", i ? ", " : "", sw->arm[i].name);
    message_error(r->m, asked ? (struct location){0} : n->where,
                  "%s names no arm: '%.120s'%s; there are %s%s",
                  asked ? "--baseline" : "'baseline'", name, words_hint(&words, r->a), known.bytes,
                  sw->arms > 20 ? ", ..." : "");
}

/* ---- the whole ---- */

static void check_keys(struct reader *r, const struct node *block) {
    static const char *const keys[] = {"axes", "arms", "seeds", "baseline", NULL};
    for (int i = 0; i < block->count; i++) {
        struct words words;
        bool known = false;
        words_begin(&words, block->key[i]->text);
        for (const char *const *k = keys; *k; k++) {
            known = known || strcmp(*k, block->key[i]->text) == 0;
            words_try(&words, *k);
        }
        if (!known)
            message_about(r->m, block->key[i],
                          "'sweep' has no key '%.60s'%s; it takes axes, arms, seeds and baseline",
                          block->key[i]->text, words_hint(&words, r->a));
    }
}

/* A map of the block, or NULL; `what` it holds stands in the message. */
static const struct node *map_of(struct reader *r, const struct node *block, const char *key,
                                 const char *what) {
    const struct node *n = block ? node_get(block, key) : NULL;
    if (!n || node_null(n) || n->broken)
        return NULL;
    if (n->kind == NODE_MAP)
        return n;
    message_about(r->m, n, "'%s' takes a map of %s, not %s", key, what, node_shown(n, r->a));
    return NULL;
}

static void read_sweep(struct reader *r, const struct node *root, const struct sweep_options *o) {
    struct sweep *sw = r->sw;
    const struct node *block = node_get(root, "sweep");
    if (block && node_null(block))
        block = NULL;
    if (block && block->kind != NODE_MAP) {
        message_about(r->m, block, "'sweep' takes a map with axes, arms, seeds or baseline, not %s",
                      node_shown(block, r->a));
        return;
    }
    if (block)
        check_keys(r, block);
    const struct node *axes = map_of(r, block, "axes", "stage.option: [values]");
    const struct node *arms = map_of(r, block, "arms", "names and settings");
    for (int i = 0; axes && i < axes->count; i++)
        add_axis(r, axes->key[i], axes->item[i]);
    for (int i = 0; i < o->axes; i++)
        read_axis(r, o->axis[i]);
    sw->arm =
        arena_array(r->a, (size_t)MAX_ARMS + (arms ? (size_t)arms->count : 0) + 1, sizeof *sw->arm);
    combine_axes(r);
    for (int i = 0; arms && i < arms->count; i++)
        name_arm(r, arms->key[i], arms->item[i]);
    if (sw->arms > MAX_ARMS && r->m->errors == 0)
        message_about(r->m, arms, "the sweep comes to %d arms; it takes at most %d", sw->arms,
                      MAX_ARMS);
    make_seeds(r, root, block ? node_get(block, "seeds") : NULL, o->seeds);
    if (sw->arms == 0 && r->m->errors == 0 && sw->seeds > 1)
        (void)new_arm(r, "graph", 0);
    if (sw->arms == 0 && r->m->errors == 0)
        message_error(
            r->m, (struct location){0},
            "there is nothing to sweep: give --axis stage.option=a,b or --seeds N, or the "
            "graph a 'sweep:' with axes or arms");
    find_baseline(r, block ? node_get(block, "baseline") : NULL, o->baseline, o->axes > 0);
}

/* A sweep that is read. */
struct loading {
    struct arena *arena;
    const char *path;
    const struct sweep_options *options;
    struct reader *reader;
    char *messages;
    enum hf_status status;
};

static void load(void *arg) {
    struct loading *l = arg;
    const struct sweep_options *o = l->options;
    struct arena *a = l->arena;
    struct reader *r = l->reader = arena_alloc(a, sizeof *r);
    r->a = a;
    r->m = arena_alloc(a, sizeof *r->m);
    r->m->arena = a;
    struct sweep *sw = r->sw = arena_alloc(a, sizeof *sw);
    sw->arena = a;
    const char *slash = strrchr(l->path, '/'), *base = slash ? slash + 1 : l->path;
    sw->axis = arena_array(a, MAX_AXES, sizeof *sw->axis);
    const struct node *root = graph_load(r->m, l->path, NULL, o->set, o->sets);
    const struct node *name = root && root->kind == NODE_MAP ? node_get(root, "name") : NULL;
    sw->graph = name && name->kind == NODE_SCALAR ? arena_strdup(a, name->text)
                                                  : arena_strndup(a, base, strcspn(base, "."));
    if (root && root->kind == NODE_MAP)
        read_sweep(r, root, o);
    l->messages = messages_print(r->m);
    l->status = r->m->errors == 0 ? HF_OK : l->messages ? HF_INVALID : HF_NO_MEMORY;
}

enum hf_status sweep_load(const char *path, const struct sweep_options *options, struct sweep **ret,
                          char **ret_messages) {
    struct loading l = {
        .arena = arena_new(), .path = path, .options = options, .status = HF_NO_MEMORY};
    if (l.arena)
        (void)arena_try(l.arena, load, &l);
    if (l.reader)
        free(l.reader->scratch);
    if (l.status == HF_OK)
        *ret = l.reader->sw;
    else
        arena_free(l.arena);
    if (l.status == HF_NO_MEMORY && !l.messages)
        l.messages = strdup("out of memory while reading the sweep\n");
    *ret_messages = l.messages;
    return l.status;
}

void sweep_free(struct sweep *sw) {
    if (sw)
        arena_free(sw->arena);
}
