/*
 * swap.c - another `use` over one that a stage has from elsewhere: keys that were given for the
 * former class, and that the new one does not take, are left out, so that one word swaps a stage.
 * What is given together with the new `use`, or above it, is checked as strictly as ever.
 */
#include "graph/check.h"

#include <string.h>

#include "modules.h"

/* ---- keys know what they were given for ---- */

static bool names_class(const struct node *use) {
    return use && use->kind == NODE_SCALAR && !node_null(use);
}

struct node *node_given_for(struct arena *a, struct node *key, const struct node *use) {
    if (key->given_for || !names_class(use))
        return key;
    struct node *ret = node_with(a, key, NULL);
    ret->given_for = use->text;
    return ret;
}

struct node *node_under_use(struct arena *a, struct node *under, const struct node *use) {
    const struct node *before = node_get(under, "use");
    if (!names_class(before) || !names_class(use) || strcmp(before->text, use->text) == 0)
        return under;
    struct node *ret = node_new(a, NODE_MAP, under->where);
    ret->origin = under->origin;
    for (int i = 0; i < under->count; i++)
        node_append(a, ret, node_given_for(a, under->key[i], before), under->item[i]);
    return ret;
}

/* ---- what a class takes ---- */

static bool has_option(const struct hf_stage_class *cls, const char *key) {
    for (const struct hf_option *o = cls->options; o && o->name; o++)
        if (strcmp(o->name, key) == 0)
            return true;
    return false;
}

static bool takes(const struct hf_stage_class *cls, const char *key) {
    if (has_option(cls, key))
        return true;
    if (strcmp(key, "model") == 0)
        return cls->flags & HF_STAGE_TAKES_MODEL;
    return strcmp(key, "weights") == 0 && cls->kind == HF_MIX;
}

/* Whether a key was given for another class, and only that one takes it. One that neither takes is
 * a mistake wherever it stands; of a class that is not installed nobody knows. */
static bool is_left_out(const struct checker *c, const struct draft *d, const struct node *key) {
    const char *former = key->given_for;
    if (!former || strcmp(former, d->plan.cls->name) == 0 || takes(d->plan.cls, key->text))
        return false;
    const struct hf_stage_class *cls = engine_stage(c->engine, former, NULL);
    return !cls || takes(cls, key->text);
}

static void note_left_out(struct checker *c, struct draft *d, const char *key) {
    struct plan_stage *p = &d->plan;
    const char **all = arena_array(c->arena, (size_t)p->left_out_count + 1, sizeof *all);
    for (int i = 0; i < p->left_out_count; i++) {
        if (strcmp(p->left_out[i], key) == 0)
            return;
        all[i] = p->left_out[i];
    }
    all[p->left_out_count++] = arena_strdup(c->arena, key);
    p->left_out = all;
}

/* A map without what is left out; of the keys in `only` (NULL: of all, which are options). */
static struct node *without(struct checker *c, struct draft *d, const struct node *map,
                            const char *const *only) {
    struct node *ret = node_new(c->arena, NODE_MAP, map->where);
    ret->origin = map->origin;
    for (int i = 0; i < map->count; i++) {
        const char *name = map->key[i]->text;
        bool asked = !only;
        for (const char *const *k = only; k && *k; k++)
            asked = asked || strcmp(*k, name) == 0;
        if (!only && strcmp(name, "weights") == 0 && !has_option(d->plan.cls, name))
            continue; /* those of a mix, which the map has as well */
        if (!asked || !is_left_out(c, d, map->key[i]))
            node_append(c->arena, ret, map->key[i], map->item[i]);
        else if (!node_null(map->item[i]))
            note_left_out(c, d, name);
    }
    return ret;
}

const struct node *swap_options(struct checker *c, struct draft *d) {
    static const char *const keys[] = {"model", "weights", NULL};
    d->map = without(c, d, d->map, keys);
    return d->given ? without(c, d, d->given, NULL) : NULL;
}
