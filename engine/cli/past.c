/* past.c - see past.h: the folder of a run, and its options, inputs and scores beside another's. */
#include "cli/past.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "graph/print.h"
#include "graph/tree.h"
#include "run/run.h"

/* ---- reading ---- */

/* The JSON of a file of the folder, or NULL. */
static cJSON *read_json(const char *folder, const char *name) {
    char path[PATH_MAX];
    struct hf_error e;
    void *bytes = NULL;
    size_t size = 0;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path ||
        file_read(path, &bytes, &size, &e) != HF_OK)
        return NULL;
    cJSON *ret = cJSON_ParseWithLength(bytes, size);
    free(bytes);
    return ret;
}

static void add_option(struct terms *to, const char *stage, const char *key,
                       const struct node *value) {
    char *name = NULL, *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (f) {
        print_node(f, value);
        (void)fclose(f);
    }
    if (text && asprintf(&name, "%s%s%s", stage, *stage ? "." : "", key) >= 0) {
        terms_add(to, TERM_SET, name, text, "");
        free(name);
    } else {
        to->failed = true;
    }
    free(text);
}

static void add_options(struct terms *to, const char *stage, const struct node *map) {
    for (int i = 0; map && map->kind == NODE_MAP && i < map->count; i++)
        add_option(to, stage, map->key[i]->text, map->item[i]);
}

/* The options of a resolved graph, which needs no module to be read. */
static void flatten(struct terms *to, const struct node *root) {
    for (int i = 0; i < root->count; i++) {
        const struct node *item = root->item[i];
        const char *key = root->key[i]->text;
        /* Seed and device stand in the record as what they came to. */
        if (strcmp(key, "stages") != 0 && strcmp(key, "seed") != 0 && strcmp(key, "device") != 0)
            add_option(to, "", key, item);
        for (int k = 0; strcmp(key, "stages") == 0 && item->kind == NODE_MAP && k < item->count;
             k++)
            add_options(to, item->key[k]->text, item->item[k]);
    }
}

struct reading {
    struct arena *arena;
    const char *path;
    struct terms *to;
    bool good;
};

static void read_graph(void *arg) {
    struct reading *r = arg;
    struct messages *m = arena_alloc(r->arena, sizeof *m);
    m->arena = r->arena;
    const struct source *source = yaml_open(m, r->path, (struct location){0});
    const struct node *root = source ? yaml_parse(m, source, 0) : NULL;
    if (root && root->kind == NODE_MAP && m->errors == 0) {
        flatten(r->to, root);
        r->good = !r->to->failed;
    }
}

static bool read_options(const char *path, struct terms *to) {
    struct reading r = {.arena = arena_new(), .path = path, .to = to};
    bool done = r.arena && arena_try(r.arena, read_graph, &r);
    arena_free(r.arena);
    return done && r.good;
}

bool past_read(const char *command, const char *folder, struct past *ret) {
    char path[PATH_MAX];
    *ret = (struct past){.folder = folder, .record = read_json(folder, "run.json")};
    if (!cJSON_IsObject(ret->record) || !past_text(ret, "hepaflow")) {
        fprintf(stderr, "hepaflow %s: %s is no folder of a run: it has no good run.json\n", command,
                folder);
        past_clear(ret);
        return false;
    }
    if (snprintf(path, sizeof path, "%s/resolved.yaml", folder) >= (int)sizeof path ||
        !read_options(path, &ret->options)) {
        fprintf(stderr, "hepaflow %s: %s has no good resolved.yaml\n", command, folder);
        past_clear(ret);
        return false;
    }
    ret->scores = read_json(folder, "scores.json");
    return true;
}

void past_clear(struct past *p) {
    cJSON_Delete(p->record);
    cJSON_Delete(p->scores);
    terms_clear(&p->options);
    p->record = p->scores = NULL;
}

const char *past_text(const struct past *p, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(p->record, key));
}

/* ---- what it was made of ---- */

/* A value of the record as text, for cJSON_free; NULL: there is none. */
static char *value_of(const cJSON *record, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(record, key);
    return value ? cJSON_PrintUnformatted(value) : NULL;
}

static int changed_value(const cJSON *before, const cJSON *now, const char *key) {
    char *was = value_of(before, key), *is = value_of(now, key);
    bool differs = strcmp(was ? was : "", is ? is : "") != 0;
    if (differs)
        printf("%s %s -> %s\n", key, was ? was : "none", is ? is : "none");
    cJSON_free(was);
    cJSON_free(is);
    return differs;
}

static int changed_plugins(const cJSON *was, const cJSON *is) {
    int count = 0;
    const cJSON *one;
    cJSON_ArrayForEach(one, was) {
        const cJSON *other = cJSON_GetObjectItemCaseSensitive(is, one->string);
        if (other && cJSON_Compare(one, other, true))
            continue;
        printf("plugin %s %s\n", one->string, other ? "rebuilt" : "has no part any more");
        count++;
    }
    cJSON_ArrayForEach(one, is) {
        if (cJSON_GetObjectItemCaseSensitive(was, one->string))
            continue;
        printf("plugin %s is new\n", one->string);
        count++;
    }
    return count;
}

static const char *text_in(const cJSON *o, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
    return text ? text : "";
}

/* The inputs as terms, so that they are found by what they are of. */
static struct terms inputs_of(const cJSON *record) {
    struct terms ret = {0};
    const cJSON *one;
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(record, "inputs"))
        terms_add(&ret, TERM_FILE, text_in(one, "of"), text_in(one, "digest"),
                  text_in(one, "file"));
    return ret;
}

static int changed_inputs(const cJSON *before, const cJSON *now) {
    struct terms was = inputs_of(before), is = inputs_of(now);
    int count = 0;
    for (int i = 0; i < was.count; i++) {
        const struct term *one = &was.term[i], *other = terms_find(&is, one->name);
        if (other && strcmp(one->value, other->value) == 0)
            continue;
        const char *how = !other                                 ? "is not read any more"
                          : strcmp(other->value, "missing") == 0 ? "is gone"
                                                                 : "changed";
        printf("input %s %s (%s)\n", one->note, how, one->name);
        count++;
    }
    for (int i = 0; i < is.count; i++)
        if (!terms_find(&was, is.term[i].name)) {
            printf("input %s is new (%s)\n", is.term[i].note, is.term[i].name);
            count++;
        }
    terms_clear(&was);
    terms_clear(&is);
    return count;
}

int past_made_of(const cJSON *before, const cJSON *now) {
    return changed_value(before, now, "hepaflow") + changed_value(before, now, "seed") +
           changed_value(before, now, "device") +
           changed_plugins(cJSON_GetObjectItemCaseSensitive(before, "plugins"),
                           cJSON_GetObjectItemCaseSensitive(now, "plugins")) +
           changed_inputs(before, now);
}

int past_options(const struct past *a, const struct past *b) {
    int count = 0;
    for (int i = 0; i < a->options.count; i++) {
        const struct term *one = &a->options.term[i], *other = terms_find(&b->options, one->name);
        if (other && strcmp(one->value, other->value) == 0)
            continue;
        printf("%s %s -> %s\n", one->name, one->value, other ? other->value : "none");
        count++;
    }
    for (int i = 0; i < b->options.count; i++) {
        const struct term *one = &b->options.term[i];
        if (terms_find(&a->options, one->name))
            continue;
        printf("%s none -> %s\n", one->name, one->value);
        count++;
    }
    return count;
}

/* ---- scores ---- */

static int changed_scores(const char *name, const cJSON *a, const cJSON *b) {
    const cJSON *one;
    int count = 0;
    if (cJSON_Compare(a, b, true))
        return 0;
    if (!cJSON_IsObject(a) || !cJSON_IsObject(b)) {
        if (cJSON_IsNumber(a) && cJSON_IsNumber(b)) {
            printf("scores %s %.6g -> %.6g (%+.3g)\n", name, a->valuedouble, b->valuedouble,
                   b->valuedouble - a->valuedouble);
            return 1;
        }
        printf("scores %s %s\n", name, !a ? "are new" : !b ? "are gone" : "changed");
        return 1;
    }
    char below[512];
    cJSON_ArrayForEach(one, a) {
        (void)snprintf(below, sizeof below, "%s%s%s", name, *name ? "." : "", one->string);
        count += changed_scores(below, one, cJSON_GetObjectItemCaseSensitive(b, one->string));
    }
    cJSON_ArrayForEach(one, b) {
        (void)snprintf(below, sizeof below, "%s%s%s", name, *name ? "." : "", one->string);
        if (!cJSON_GetObjectItemCaseSensitive(a, one->string))
            count += changed_scores(below, NULL, one);
    }
    return count;
}

int past_scores(const struct past *a, const struct past *b) {
    return !a->scores && !b->scores ? 0 : changed_scores("", a->scores, b->scores);
}
