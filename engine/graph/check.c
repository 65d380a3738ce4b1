/*
 * check.c - from a graph's tree to a checked plan: top keys, stages, what they are like, whom they
 * take samples and models from, cycles, order. Nothing stops at the first error.
 */
#include "graph/check.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "graph/devices.h"
#include "modules.h"
#include "run/memory.h"

const char *const stage_keys[] = {"use",  "from",  "model",   "like",     "replicas", "depth",
                                  "hold", "cache", "weights", "on_error", "draws",    NULL};
const char *const graph_keys[] = {"name", "seed",   "device",   "vars",  "hold",  "nn_threads",
                                  "jobs", "stages", "on_error", "store", "sweep", NULL};

static bool is_key(const char *const *keys, const char *word) {
    for (; *keys; keys++)
        if (strcmp(*keys, word) == 0)
            return true;
    return false;
}

static bool name_is_good(const char *name) {
    size_t size = strlen(name);
    return size > 0 && size < 64 && (name[0] < '0' || name[0] > '9') && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == size;
}

/* ---- top keys ---- */

static void check_top(struct checker *c, const struct node *root) {
    struct hf_plan *p = c->plan;
    for (int i = 0; i < root->count; i++) {
        const struct node *key = root->key[i], *n = root->item[i];
        int64_t value = 0;
        if (node_null(n) && strcmp(key->text, "stages") != 0 && is_key(graph_keys, key->text))
            continue;
        if (strcmp(key->text, "name") == 0) {
            if (n->kind == NODE_SCALAR)
                p->name = arena_strdup(c->arena, n->text);
            else
                message_about(c->m, n, "'name' takes a text, not %s", node_shown(n, c->arena));
        } else if (strcmp(key->text, "seed") == 0) {
            if (whole_parse(c->m, n, "seed", 0, INT64_MAX, &value))
                p->seed = (uint64_t)value;
        } else if (strcmp(key->text, "device") == 0) {
            devices_check_key(c, n);
        } else if (strcmp(key->text, "hold") == 0) {
            (void)bytes_parse(c->m, n, "hold", &p->hold);
        } else if (strcmp(key->text, "store") == 0) {
            bool store = true;
            (void)yes_parse(c->m, n, "store", &store);
            p->no_store = !store;
        } else if (strcmp(key->text, "on_error") == 0) {
            (void)on_error_parse(c->m, n, &c->on_error);
        } else if (strcmp(key->text, "nn_threads") == 0) {
            (void)whole_parse(c->m, n, "nn_threads", 0, 1024, &p->nn_threads);
        } else if (strcmp(key->text, "jobs") == 0) {
            if (whole_parse(c->m, n, "jobs", 1, 64, &value))
                p->jobs_at_once = (int)value;
        } else if (strcmp(key->text, "vars") == 0) {
            if (n->kind != NODE_MAP)
                message_about(c->m, n, "'vars' takes a map of names and values, not %s",
                              node_shown(n, c->arena));
        } else if (strcmp(key->text, "stages") != 0 && strcmp(key->text, "sweep") != 0 &&
                   strncmp(key->text, "x-", 2) != 0) {
            struct words words;
            words_begin(&words, key->text);
            for (const char *const *k = graph_keys; *k; k++)
                words_try(&words, *k);
            words_try(&words, "include");
            message_about(c->m, key, "a graph has no key '%.60s'%s", key->text,
                          words_hint(&words, c->arena));
        }
    }
}

/* ---- stages: use, like, options ---- */

static int draft_find(const struct checker *c, const char *name) {
    for (int i = 0; i < c->drafts; i++)
        if (strcmp(c->draft[i].key->text, name) == 0)
            return i;
    return -1;
}

/* The draft that a node names; -1 after an error. `what` says what it should be. */
static int named_stage(struct checker *c, const struct node *n, const char *key) {
    if (n->broken)
        return -1;
    if (n->kind != NODE_SCALAR || node_null(n)) {
        message_about(c->m, n, "'%s' takes the name of a stage, not %s", key,
                      node_shown(n, c->arena));
        return -1;
    }
    int found = draft_find(c, n->text);
    if (found >= 0)
        return found;
    struct words words;
    words_begin(&words, n->text);
    for (int i = 0; i < c->drafts; i++)
        words_try(&words, c->draft[i].key->text);
    message_about(c->m, n, "the graph has no stage '%.60s'%s", n->text,
                  words_hint(&words, c->arena));
    return -1;
}

static struct node *by_like(const struct checker *c, const struct node *n,
                            const struct node *like) {
    return node_through(c->arena, n, ORIGIN_LIKE, like->where, like->text);
}

/* Works out `use` and `given`; those of the stage that it is like come first. */
static void resolve_like(struct checker *c, int at) {
    struct draft *d = &c->draft[at];
    if (d->like != 0 || !d->map)
        return;
    d->like = 1;
    struct node *given = node_new(c->arena, NODE_MAP, d->key->where);
    const struct node *like = node_get(d->map, "like");
    d->use = node_get(d->map, "use");
    if (like && !node_null(like)) {
        int other = named_stage(c, like, "like");
        if (other >= 0 && c->draft[other].like == 1) {
            message_about(c->m, like, "stage '%s' is like itself in the end", d->key->text);
            other = -1;
        }
        if (other >= 0)
            resolve_like(c, other);
        const struct draft *o = other >= 0 ? &c->draft[other] : NULL;
        if (!o || !o->given) {
            d->bad = true;
        } else {
            for (int i = 0; i < o->given->count; i++) {
                struct node *key = by_like(c, o->given->key[i], like);
                if (d->use && o->use)
                    key = node_given_for(c->arena, key, o->use);
                node_append(c->arena, given, key, by_like(c, o->given->item[i], like));
            }
            if (!d->use && o->use)
                d->use = by_like(c, o->use, like);
        }
    }
    for (int i = 0; i < d->map->count; i++)
        if (!is_key(stage_keys, d->map->key[i]->text) ||
            strcmp(d->map->key[i]->text, "weights") == 0) /* an option of some classes */
            node_set(c->arena, given, d->map->key[i], d->map->item[i]);
    d->given = given;
    d->like = 2;
}

static void find_class(struct checker *c, struct draft *d) {
    const char *name = d->key->text;
    if (!d->use || node_null(d->use)) {
        const struct node *like = node_get(d->map, "like");
        if (!d->bad && (!like || node_null(like)))
            message_about(c->m, d->key, "stage '%.60s' needs 'use': the name of a stage", name);
        d->bad = true;
        return;
    }
    if (d->use->broken || d->use->kind != NODE_SCALAR) {
        if (!d->use->broken)
            message_about(c->m, d->use, "'use' takes the name of a stage, not %s",
                          node_shown(d->use, c->arena));
        d->bad = true;
        return;
    }
    d->plan.cls = engine_stage(c->engine, d->use->text, &d->plan.module);
    if (d->plan.cls)
        return;
    d->bad = true;
    const char *refusal = engine_refusal(c->engine, d->use->text);
    if (refusal) {
        message_about(c->m, d->use, "%s", refusal);
        return;
    }
    struct words words;
    words_begin(&words, d->use->text);
    const char *known;
    for (int i = 0; (known = engine_stage_name(c->engine, i)); i++)
        words_try(&words, known);
    message_about(c->m, d->use, "there is no stage '%.60s' to use%s%s", d->use->text,
                  engine_stage_name(c->engine, 0) ? "" : " (no module with a stage was found)",
                  words_hint(&words, c->arena));
}

static void parse_options(struct checker *c, struct draft *d) {
    const struct hf_stage_class *cls = d->plan.cls;
    d->plan.options = arena_alloc(c->arena, cls->options_size);
    const struct option_scope scope = {
        .m = c->m,
        .engine = c->engine,
        .owner = arena_printf(c->arena, "stage '%s' (%s)", d->key->text, cls->name),
        .where = d->key->where,
        .also = stage_keys,
    };
    if (!options_parse(&scope, cls->options, swap_options(c, d), d->plan.options))
        d->bad = true;
}

/* ---- stages: engine keys ---- */

static bool hands_on_samples(const struct hf_stage_class *cls) {
    return cls->kind != HF_SINK && cls->kind != HF_MODEL;
}

static void check_replicas(struct checker *c, struct draft *d) {
    const struct hf_stage_class *cls = d->plan.cls;
    bool one = stage_is_single(cls);
    int64_t value = one ? 1 : 0;
    const struct node *n = node_get(d->map, "replicas");
    if (n && !node_null(n) && !(n->kind == NODE_SCALAR && strcmp(n->text, "auto") == 0) &&
        whole_parse(c->m, n, "replicas", 1, 256, &value) && one && value > 1) {
        message_about(c->m, n, "stage '%s' (%s) never has more than one replica", d->key->text,
                      cls->name);
        value = 1;
    }
    d->plan.replicas = (int)value;
}

static void check_weights(struct checker *c, struct draft *d) {
    const struct node *n = node_spread(c->arena, node_get(d->map, "weights"));
    if (!n || node_null(n))
        return;
    if (d->plan.cls->kind != HF_MIX) {
        for (const struct hf_option *o = d->plan.cls->options; o && o->name; o++)
            if (strcmp(o->name, "weights") == 0)
                return;
        message_about(c->m, n, "'weights' are of stages that mix several inputs, not of %s",
                      d->plan.cls->name);
        return;
    }
    if (n->broken)
        return;
    if (n->kind != NODE_LIST || n->count != d->inputs) {
        message_about(c->m, n, "'weights' takes a list of %d numbers, one for each input",
                      d->inputs);
        return;
    }
    for (int i = 0; i < n->count; i++) {
        double value = 0;
        const char *unit = "";
        const struct node *item = n->item[i];
        if (item->broken)
            continue;
        if (item->kind != NODE_SCALAR || !number_parse(item->text, &value, &unit) || *unit ||
            !(value > 0 && value <= 1e6))
            message_about(c->m, item, "a weight is a number above 0, not %s",
                          node_shown(item, c->arena));
        d->plan.mix_weight[i] = value;
    }
}

static void check_draws(struct checker *c, struct draft *d) {
    const struct hf_stage_class *cls = d->plan.cls;
    const struct node *n = node_get(d->map, "draws");
    if (!n || node_null(n) || n->broken)
        return;
    bool once = n->kind == NODE_SCALAR && strcmp(n->text, "once") == 0;
    if (!once && !(n->kind == NODE_SCALAR && strcmp(n->text, "anew") == 0))
        message_about(c->m, n, "'draws' takes once or anew, not %s", node_shown(n, c->arena));
    else if (!(cls->flags & HF_STAGE_RANDOM) || !hands_on_samples(cls))
        message_about(c->m, n, "stage '%s' (%s) draws nothing at random for its samples",
                      d->key->text, cls->name);
    d->plan.draws_once = once;
}

static void check_engine_keys(struct checker *c, struct draft *d) {
    int64_t value = DEFAULT_DEPTH;
    const struct node *n = node_get(d->map, "depth");
    if (n && !node_null(n))
        (void)whole_parse(c->m, n, "depth", 1, 1024, &value);
    d->plan.depth = (int)value;
    n = node_get(d->map, "hold");
    if (n && !node_null(n)) {
        d->hold = n;
        if (n->kind == NODE_SCALAR && (strcmp(n->text, "true") == 0 || strcmp(n->text, "yes") == 0))
            d->plan.hold = c->plan->hold;
        else if (!(n->kind == NODE_SCALAR && strcmp(n->text, "false") == 0))
            (void)bytes_parse(c->m, n, "hold", &d->plan.hold);
    }
    n = node_get(d->map, "cache");
    if (n && !node_null(n)) {
        d->cache = n;
        d->plan.cache = n->kind == NODE_SCALAR && strcmp(n->text, "store") == 0;
        if (!d->plan.cache && !(n->kind == NODE_SCALAR && strcmp(n->text, "no") == 0))
            message_about(c->m, n, "'cache' takes store or no, not %s", node_shown(n, c->arena));
    }
    if (!d->plan.cls)
        return;
    check_replicas(c, d);
    check_draws(c, d);
    check_weights(c, d);
    on_error_check(c, d);
}

/* ---- stages: inputs and models ---- */

static void add_input(struct checker *c, struct draft *d, const struct node *n) {
    if (d->inputs == PLAN_MAX_INPUTS) {
        message_about(c->m, n, "stage '%s' has more than %d inputs", d->key->text, PLAN_MAX_INPUTS);
        d->bad = true;
        return;
    }
    int found = named_stage(c, n, "from");
    for (int i = 0; found >= 0 && i < d->inputs; i++)
        if (d->input[i] == found) {
            message_about(c->m, n, "'from' names '%s' twice", n->text);
            d->bad = true;
            return;
        }
    d->from[d->inputs] = n;
    d->input[d->inputs++] = found;
    if (found < 0)
        d->bad = true;
}

static void read_inputs(struct checker *c, struct draft *d) {
    const struct node *from = node_spread(c->arena, node_get(d->map, "from"));
    if (from && !node_null(from)) {
        if (from->kind == NODE_LIST)
            for (int i = 0; i < from->count; i++)
                add_input(c, d, from->item[i]);
        else
            add_input(c, d, from);
    }
    d->model = node_get(d->map, "model");
    if (d->model && node_null(d->model))
        d->model = NULL;
    d->model_of = d->model ? named_stage(c, d->model, "model") : -1;
    if (d->model && d->model_of < 0)
        d->bad = true;
}

static void check_inputs(struct checker *c, struct draft *d) {
    const struct hf_stage_class *cls = d->plan.cls;
    const char *name = d->key->text;
    bool takes = cls->kind != HF_SOURCE && cls->kind != HF_MODEL;
    bool bad = false;
    if (!takes && d->inputs > 0) {
        message_about(c->m, d->from[0], "stage '%s' (%s) takes no samples: leave 'from' out", name,
                      cls->name);
        bad = true;
    } else if (takes && d->inputs == 0 && !d->bad) {
        message_about(c->m, d->key,
                      "stage '%s' (%s) needs 'from': the stage whose samples it takes", name,
                      cls->name);
        bad = true;
    } else if (takes && cls->kind != HF_MIX && d->inputs > 1) {
        message_about(c->m, d->from[1],
                      "stage '%s' (%s) takes one input, not %d: put a mix before it", name,
                      cls->name, d->inputs);
        bad = true;
    }
    for (int i = 0; takes && i < d->inputs; i++) {
        const struct draft *in = d->input[i] >= 0 ? &c->draft[d->input[i]] : NULL;
        if (!in || !in->plan.cls || hands_on_samples(in->plan.cls))
            continue;
        bool yields =
            in->plan.cls->kind == HF_MODEL || (in->plan.cls->flags & HF_STAGE_YIELDS_MODEL);
        message_about(
            c->m, d->from[i], "'%s' (%s) hands on no samples%s", in->key->text, in->plan.cls->name,
            yields ? arena_printf(c->arena, ", but a model: 'model: %s'", in->key->text) : "");
        bad = true;
    }
    d->bad = d->bad || bad;
}

static bool yields_model(const struct hf_stage_class *cls) {
    return cls->kind == HF_MODEL || (cls->flags & HF_STAGE_YIELDS_MODEL);
}

static void check_model(struct checker *c, struct draft *d) {
    const struct hf_stage_class *cls = d->plan.cls;
    const char *name = d->key->text;
    if (!(cls->flags & HF_STAGE_TAKES_MODEL)) {
        if (!d->model || d->model->broken)
            return;
        message_about(c->m, d->model, "stage '%s' (%s) takes no model", name, cls->name);
        d->bad = true;
        return;
    }
    struct text known = {.arena = c->arena};
    for (int i = 0; i < c->drafts; i++)
        if (c->draft[i].plan.cls && yields_model(c->draft[i].plan.cls))
            text_add(&known, "%s%s", known.size ? ", " : "", c->draft[i].key->text);
    if (!d->model) {
        message_about(c->m, d->key, "stage '%s' (%s) needs 'model': a stage that yields one%s%s%s",
                      name, cls->name, known.size ? " (" : "", known.size ? known.bytes : "",
                      known.size ? ")" : "");
        d->bad = true;
        return;
    }
    const struct draft *of = d->model_of >= 0 ? &c->draft[d->model_of] : NULL;
    if (of && of->plan.cls && !yields_model(of->plan.cls)) {
        message_about(c->m, d->model, "'%s' (%s) yields no model%s%s", of->key->text,
                      of->plan.cls->name, known.size ? "; these do: " : "",
                      known.size ? known.bytes : "");
        d->bad = true;
    }
}

static void check_stages(struct checker *c, const struct node *stages) {
    if (stages->count > MAX_STAGES) {
        message_about(c->m, stages, "the graph has %d stages; at most %d are possible",
                      stages->count, MAX_STAGES);
        return;
    }
    c->drafts = stages->count;
    c->draft = arena_array(c->arena, (size_t)c->drafts + 1, sizeof *c->draft);
    for (int i = 0; i < c->drafts; i++) {
        struct draft *d = &c->draft[i];
        d->key = stages->key[i];
        d->model_of = d->plan.model = d->placed = -1;
        d->plan.name = arena_strdup(c->arena, d->key->text);
        d->plan.where = d->key->where;
        if (stages->item[i]->kind == NODE_MAP)
            d->map = node_spread(c->arena, stages->item[i]);
        else
            d->bad = true;
        if (!d->map && !stages->item[i]->broken)
            message_about(c->m, d->key, "stage '%.60s' must be a map such as {use: load}",
                          d->key->text);
        if (!name_is_good(d->key->text))
            message_about(c->m, d->key,
                          "a stage's name has letters, digits, _ and -, begins with a letter, and "
                          "has at most 63 of them");
    }
    for (int i = 0; i < c->drafts; i++) {
        struct draft *d = &c->draft[i];
        if (!d->map)
            continue;
        resolve_like(c, i);
        find_class(c, d);
        if (d->plan.cls && d->given)
            parse_options(c, d);
        read_inputs(c, d);
        check_engine_keys(c, d);
    }
    for (int i = 0; i < c->drafts; i++)
        if (c->draft[i].plan.cls) {
            check_inputs(c, &c->draft[i]);
            check_model(c, &c->draft[i]);
        }
}

/* ---- order ---- */

/* The k-th stage that a draft waits for; -1 past the last, -2 where it is unknown. */
static int waits_for(const struct draft *d, int k) {
    if (k < d->inputs)
        return d->input[k] < 0 ? -2 : d->input[k];
    if (k == d->inputs && d->model_of >= 0)
        return d->model_of;
    return k == d->inputs ? -2 : -1;
}

static bool can_place(const struct checker *c, const struct draft *d) {
    for (int k = 0, on; (on = waits_for(d, k)) != -1; k++)
        if (on >= 0 && c->draft[on].placed < 0)
            return false;
    return true;
}

/* Says what cycle stage `at`, which cannot be placed, hangs on; `seen` marks the walks. */
static void name_cycle(struct checker *c, int at, int *seen, int walk) {
    int *path = arena_array(c->arena, (size_t)c->drafts + 1, sizeof *path);
    int length = 0;
    while (seen[at] == 0) {
        seen[at] = walk;
        path[length++] = at;
        int next = -1;
        for (int k = 0, on; (on = waits_for(&c->draft[at], k)) != -1 && next < 0; k++)
            if (on >= 0 && c->draft[on].placed < 0)
                next = on;
        if (next < 0)
            return;
        at = next;
    }
    if (seen[at] != walk)
        return; /* that cycle was named already */
    int from = 0;
    while (path[from] != at)
        from++;
    struct text t = {.arena = c->arena};
    text_add(&t, "'%s'", c->draft[at].key->text);
    for (int i = length - 1; i >= from; i--)
        text_add(&t, " -> '%s'", c->draft[path[i]].key->text);
    const struct draft *d = &c->draft[at];
    message_about(c->m, d->inputs > 0 ? d->from[0] : d->key,
                  "these stages wait for one another: %s", t.bytes);
}

static void place_stages(struct checker *c) {
    c->order = arena_array(c->arena, (size_t)c->drafts + 1, sizeof *c->order);
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < c->drafts && !more; i++)
            if (c->draft[i].placed < 0 && can_place(c, &c->draft[i])) {
                c->draft[i].placed = c->plan->stages;
                c->order[c->plan->stages++] = i;
                more = true;
            }
    }
    int *seen = arena_array(c->arena, (size_t)c->drafts + 1, sizeof *seen);
    for (int i = 0; i < c->drafts; i++)
        if (c->draft[i].placed < 0)
            name_cycle(c, i, seen, i + 1);
    c->plan->stage = arena_array(c->arena, (size_t)c->plan->stages + 1, sizeof *c->plan->stage);
    for (int i = 0; i < c->plan->stages; i++) {
        const struct draft *d = &c->draft[c->order[i]];
        struct plan_stage *p = &c->plan->stage[i];
        *p = d->plan;
        p->inputs = d->inputs;
        for (int k = 0; k < d->inputs; k++)
            p->input[k] = d->input[k] < 0 ? -1 : c->draft[d->input[k]].placed;
        p->model = d->model_of < 0 ? -1 : c->draft[d->model_of].placed;
    }
}

/* ---- what depends on the order ---- */

/* Whether what leaves the stage is the same in every pass, as to keep it asks for. */
static void check_keeps(struct checker *c, const struct plan_stage *p, const struct node *n,
                        const char *key) {
    if (p->cls && !hands_on_samples(p->cls))
        message_about(c->m, n, "stage '%s' (%s) has no samples to %s", p->name, p->cls->name, key);
    else if (p->cls && p->random)
        message_about(c->m, n,
                      "'%s' would freeze the random draws of stage '%s': %s a stage before them",
                      key, p->name, key);
}

static void check_random(struct checker *c, int at) {
    struct plan_stage *p = &c->plan->stage[at];
    const struct draft *d = &c->draft[c->order[at]];
    p->random = p->cls && (p->cls->flags & HF_STAGE_RANDOM);
    for (int k = 0; k < p->inputs; k++)
        p->random = p->random || (p->input[k] >= 0 && c->plan->stage[p->input[k]].random);
    if (p->hold > 0)
        check_keeps(c, p, d->hold, "hold");
    if (p->cache)
        check_keeps(c, p, d->cache, "cache");
}

/* ---- the whole ---- */

static void check_graph(struct checker *c, const struct node *root) {
    check_top(c, root);
    struct node *stages = node_spread(c->arena, node_get(root, "stages"));
    if (!stages || stages->kind != NODE_MAP || stages->count == 0) {
        message_about(c->m, stages ? stages : root,
                      "a graph needs 'stages': a map of names, each with what it is");
        return;
    }
    check_stages(c, stages);
    place_stages(c);
    for (int i = 0; i < c->plan->stages; i++) {
        check_random(c, i);
        fields_flow(c, i);
    }
    if (c->m->errors > 0)
        return;
    devices_choose(c);
    jobs_make(c, root->key[node_find(root, "stages")]->where);
}

/* A graph that is read. */
struct loading {
    struct hf_engine *engine;
    struct arena *arena;
    const char *path, *text; /* text NULL: of the file */
    const char *const *sets;
    int count;
    struct hf_plan *plan; /* there as soon as something may hang on it, also after an error */
    char *messages;
    enum hf_status status;
};

static void load(void *arg) {
    struct loading *l = arg;
    struct arena *arena = l->arena;
    struct messages *m = arena_alloc(arena, sizeof *m);
    m->arena = arena;
    struct hf_plan *plan = l->plan = arena_alloc(arena, sizeof *plan);
    plan->engine = l->engine;
    plan->arena = arena;
    plan->path = arena_strdup(arena, l->path);
    plan->set = arena_array(arena, (size_t)l->count + 1, sizeof *plan->set);
    for (plan->sets = 0; plan->sets < l->count; plan->sets++)
        plan->set[plan->sets] = arena_strdup(arena, l->sets[plan->sets]);
    const char *slash = strrchr(l->path, '/'), *base = slash ? slash + 1 : l->path;
    plan->name = arena_strndup(arena, base, strcspn(base, "."));
    plan->device = arena_strdup(arena, "auto");
    plan->hold = DEFAULT_HOLD;
    plan->jobs_at_once = 1;
    struct checker *c = arena_alloc(arena, sizeof *c);
    c->m = m;
    c->arena = arena;
    c->engine = l->engine;
    c->plan = plan;
    if (l->engine->warning)
        message_warning(m, (struct location){0}, "%s", l->engine->warning);
    const struct node *root = graph_load(m, l->path, l->text, l->sets, l->count);
    if (root && root->kind == NODE_MAP)
        check_graph(c, root);
    c->root = root;
    plan->checked = c;
    l->messages = messages_print(m);
    l->status = m->errors == 0 ? HF_OK : l->messages ? HF_INVALID : HF_NO_MEMORY;
}

static void discard(struct hf_plan *plan, struct arena *arena) {
    for (int i = 0; plan && plan->stage && i < plan->stages; i++)
        plan->engine->host->net_free(plan->stage[i].net);
    arena_free(arena);
}

enum hf_status plan_load_text(struct hf_engine *engine, const char *path, const char *text,
                              const char *const *sets, int count, struct hf_plan **ret,
                              char **ret_messages) {
    struct loading l = {.engine = engine,
                        .arena = arena_new(),
                        .path = path,
                        .text = text,
                        .sets = sets,
                        .count = count,
                        .status = HF_NO_MEMORY};
    /* Numbers are read and written the same way wherever the embedding program is at home. */
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (l.arena && plain) {
        locale_t before = uselocale(plain);
        (void)arena_try(l.arena, load, &l);
        (void)uselocale(before);
    }
    if (plain)
        freelocale(plain);
    if (l.status == HF_OK)
        *ret = l.plan;
    else
        discard(l.plan, l.arena);
    if (l.status == HF_NO_MEMORY && !l.messages)
        l.messages = strdup("out of memory while reading the graph\n");
    *ret_messages = l.messages;
    return l.status;
}

enum hf_status hf_plan_load(struct hf_engine *engine, const char *path, const char *const *sets,
                            int32_t set_count, struct hf_plan **ret, char **ret_messages) {
    return plan_load_text(engine, path, NULL, sets, set_count, ret, ret_messages);
}

void hf_plan_free(struct hf_plan *plan) {
    if (!plan)
        return;
    memory_free(plan->memory);
    free(plan->stored);
    discard(plan, plan->arena);
}
