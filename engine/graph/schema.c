/*
 * schema.c - the JSON Schema of graphs, for editors: the engine's own keys (schema_keys.c), and of
 * every stage and network the options of its table. Draft-07, which YAML's language servers know
 * best.
 *
 * It should refuse nothing that `plan` takes. So a value may be nothing, or hold `${name}`, of
 * which only `plan` knows what it comes to; and a stage whose `use` stands elsewhere (in the stage
 * that it is like, or in an included graph) may have any option that some stage has.
 */
#include "graph/schema.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "graph/check.h"
#include "modules.h"

/* ---- pieces of JSON ---- */

static cJSON *object_with(const char *key, const char *text) {
    cJSON *ret = cJSON_CreateObject();
    cJSON_AddStringToObject(ret, key, text);
    return ret;
}

static cJSON *reference(const char *kind, const char *name) {
    char text[160];
    (void)snprintf(text, sizeof text, "#/definitions/%s%.100s", kind, name);
    return object_with("$ref", text);
}

static void add_reference(cJSON *list, const char *name) {
    cJSON_AddItemToArray(list, reference("", name));
}

static cJSON *key_json(const struct schema_key *k) {
    cJSON *ret = k->schema ? cJSON_Parse(k->schema) : cJSON_CreateObject();
    if (k->help)
        cJSON_AddStringToObject(ret, "description", k->help);
    return ret;
}

static void add_definition(cJSON *defs, const char *kind, const char *name, cJSON *schema) {
    char key[128];
    (void)snprintf(key, sizeof key, "%s%.100s", kind, name);
    cJSON_AddItemToObject(defs, key, schema);
}

/* {"properties": {"use": {"const": name}}, "required": ["use"]}: the stage says that it is one. */
static cJSON *uses(const char *name) {
    cJSON *ret = cJSON_CreateObject();
    cJSON *use = cJSON_AddObjectToObject(cJSON_AddObjectToObject(ret, "properties"), "use");
    cJSON_AddStringToObject(use, "const", name);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(ret, "required"), cJSON_CreateString("use"));
    return ret;
}

/* ---- values of options ---- */

/* YAML may read a word as something else than a text. */
static void add_word(cJSON *words, const char *word) {
    static const char *const other[] = {"false", "no", "off", "true", "yes", "on"};
    double number;
    const char *unit;
    cJSON_AddItemToArray(words, cJSON_CreateString(word));
    if (number_parse(word, &number, &unit) && !*unit)
        cJSON_AddItemToArray(words, cJSON_CreateNumber(number));
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (strcmp(other[i], word) == 0)
            cJSON_AddItemToArray(words, cJSON_CreateBool(i >= 3));
}

/* A word, or one of the option's choices. */
static cJSON *word_json(const struct hf_option *o) {
    if (!o->choices)
        return cJSON_Parse(JSON({"type" : [ "string", "number", "boolean" ]}));
    cJSON *ret = cJSON_CreateObject(), *words = cJSON_AddArrayToObject(ret, "enum");
    for (const char *c = o->choices; *c;) {
        char word[64];
        (void)snprintf(word, sizeof word, "%.*s", (int)strcspn(c, "|"), c);
        add_word(words, word);
        c += strcspn(c, "|");
        c += *c == '|';
    }
    return ret;
}

/* A number as YAML reads it, and one that is a text: it has a unit, or an exponent without a dot.
 */
static void add_number(cJSON *forms, const struct hf_option *o) {
    cJSON *plain = object_with("type", o->type == HF_OPTION_INT ? "integer" : "number");
    if (o->min != o->max && fabs(o->min) < 9e18)
        cJSON_AddNumberToObject(plain, "minimum", o->min);
    if (o->min != o->max && fabs(o->max) < 9e18)
        cJSON_AddNumberToObject(plain, "maximum", o->max);
    cJSON_AddItemToArray(forms, plain);
    char pattern[512], units[256] = "";
    const char *unit;
    double one = 1;
    if (o->unit)
        (void)snprintf(units, sizeof units, "( *(%.30s", o->unit);
    for (int i = 0; o->unit && (unit = unit_name(i)); i++) {
        size_t n = strlen(units);
        if (strcmp(unit, o->unit) != 0 && unit_convert(&one, unit, o->unit))
            (void)snprintf(units + n, sizeof units - n, "|%s", unit);
    }
    (void)snprintf(pattern, sizeof pattern,
                   "^[-+]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][-+]?[0-9]+)?%s%s$", units,
                   o->unit ? "))?" : "");
    cJSON *text = object_with("type", "string");
    cJSON_AddStringToObject(text, "pattern", pattern);
    cJSON_AddItemToArray(forms, text);
}

/* An item of a list: a number, a word, or either. */
static cJSON *item_json(const struct hf_option *o) {
    cJSON *ret = cJSON_CreateObject(), *forms = cJSON_AddArrayToObject(ret, "anyOf");
    if (o->type != HF_OPTION_NAMES)
        add_number(forms, o);
    if (o->type != HF_OPTION_REALS)
        cJSON_AddItemToArray(forms, word_json(o));
    add_reference(forms, "var");
    return ret;
}

static void add_list(cJSON *forms, const struct hf_option *o) {
    int most = o->items_max > 0 && o->items_max < HF_OPTION_ITEMS ? o->items_max : HF_OPTION_ITEMS;
    if (o->items_min <= 1)
        cJSON_AddItemToArray(forms, item_json(o)); /* a lone one is a list of one */
    cJSON *list = object_with("type", "array");
    cJSON_AddItemToObject(list, "items", item_json(o));
    cJSON_AddNumberToObject(list, "minItems", o->items_min);
    cJSON_AddNumberToObject(list, "maxItems", most);
    if (o->type == HF_OPTION_NAMES)
        cJSON_AddTrueToObject(list, "uniqueItems");
    cJSON_AddItemToArray(forms, list);
    if (o->type != HF_OPTION_WEIGHTS)
        return;
    cJSON *map = object_with("type", "object");
    if (o->choices)
        cJSON_AddItemToObject(map, "propertyNames", word_json(o));
    cJSON *value = cJSON_AddObjectToObject(map, "additionalProperties");
    cJSON *numbers = cJSON_AddArrayToObject(value, "anyOf");
    add_number(numbers, o);
    add_reference(numbers, "var");
    cJSON_AddNumberToObject(map, "minProperties", o->items_min);
    cJSON_AddNumberToObject(map, "maxProperties", most);
    cJSON_AddItemToArray(forms, map);
}

static void add_network(cJSON *forms, const struct hf_engine *en) {
    cJSON *word = cJSON_CreateObject(), *words = cJSON_AddArrayToObject(word, "enum");
    cJSON *help = cJSON_AddArrayToObject(word, "enumDescriptions");
    cJSON *map = object_with("type", "object"), *of = cJSON_AddObjectToObject(map, "properties");
    const char *name;
    for (int i = 0; (name = engine_network_name(en, i)); i++) {
        const struct hf_network_class *net = engine_network(en, name);
        if (cJSON_GetObjectItemCaseSensitive(of, name))
            continue;
        cJSON_AddItemToArray(words, cJSON_CreateString(name));
        cJSON_AddItemToArray(help, cJSON_CreateString(net->help ? net->help : ""));
        cJSON_AddItemToObject(of, name, reference("network-", name));
    }
    cJSON_AddFalseToObject(map, "additionalProperties");
    cJSON_AddNumberToObject(map, "minProperties", 1);
    cJSON_AddNumberToObject(map, "maxProperties", 1);
    cJSON_AddItemToArray(forms, word);
    cJSON_AddItemToArray(forms, map);
}

/* The help of an option, then its range and default, as a hint at the key. */
static void describe(cJSON *schema, const struct hf_option *o) {
    char range[96], text[1024];
    const char *of = option_range(o, range, sizeof range);
    size_t n = (size_t)snprintf(text, sizeof text, "%.700s", o->help ? o->help : "");
    if (*of || o->unit)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s(%s%s)", n ? " " : "", *of ? "" : "in ",
                              *of ? of : o->unit);
    if (!o->initial)
        (void)snprintf(text + n, sizeof text - n, "%sRequired.", n ? " " : "");
    else if (strcmp(o->initial, "~") != 0)
        (void)snprintf(text + n, sizeof text - n, "%sDefault: %.120s.", n ? " " : "", o->initial);
    cJSON_AddStringToObject(schema, "description", text);
}

static cJSON *option_json(const struct hf_engine *en, const struct hf_option *o,
                          const cJSON *initial) {
    cJSON *ret = cJSON_CreateObject();
    describe(ret, o);
    bool plain = o->type != HF_OPTION_WEIGHTS && o->type != HF_OPTION_NETWORK;
    if (initial && plain && !cJSON_IsNull(initial))
        cJSON_AddItemToObject(ret, "default", cJSON_Duplicate(initial, 1));
    cJSON *forms = cJSON_AddArrayToObject(ret, "anyOf");
    switch (o->type) {
    case HF_OPTION_BOOL:
        cJSON_AddItemToArray(forms, object_with("type", "boolean"));
        cJSON_AddItemToArray(
            forms, cJSON_Parse(JSON({"enum" : [ "yes", "no", "on", "off", "true", "false" ]})));
        break;
    case HF_OPTION_INT:
    case HF_OPTION_REAL:
        add_number(forms, o);
        break;
    case HF_OPTION_ENUM:
    case HF_OPTION_STRING:
    case HF_OPTION_PATH:
        cJSON_AddItemToArray(forms, word_json(o));
        break;
    case HF_OPTION_REALS:
    case HF_OPTION_NAMES:
    case HF_OPTION_WEIGHTS:
        add_list(forms, o);
        break;
    case HF_OPTION_NETWORK:
        add_network(forms, en);
        break;
    }
    add_reference(forms, "open");
    return ret;
}

/* ---- tables of options ---- */

struct example {
    struct arena *arena;
    const struct hf_engine *engine;
    const struct hf_option *table;
    size_t size;
    cJSON *json;
};

static void make_example(void *arg) {
    struct example *x = arg;
    struct messages m = {.arena = x->arena};
    const struct option_scope scope = {.m = &m, .engine = x->engine, .owner = "a schema"};
    void *options = arena_alloc(x->arena, x->size);
    if (options_example(&scope, x->table, options))
        x->json = options_json(x->table, options);
}

/* The defaults of a table as JSON; NULL where its module is faulty. */
static cJSON *defaults_of(const struct hf_engine *en, const struct hf_option *table, size_t size) {
    struct example x = {arena_new(), en, table, size, NULL};
    if (x.arena)
        (void)arena_try(x.arena, make_example, &x);
    arena_free(x.arena);
    return x.json;
}

/* Adds a table's options to `properties`, and to `required` those that have no default. */
static void add_options(cJSON *properties, cJSON *required, const struct hf_engine *en,
                        const struct hf_option *table, size_t size) {
    cJSON *defaults = table ? defaults_of(en, table, size) : NULL;
    for (const struct hf_option *o = table; o && o->name; o++) {
        const cJSON *initial =
            o->initial ? cJSON_GetObjectItemCaseSensitive(defaults, o->name) : NULL;
        cJSON_DeleteItemFromObjectCaseSensitive(properties, o->name); /* the class's own counts */
        cJSON_AddItemToObject(properties, o->name, option_json(en, o, initial));
        if (!o->initial)
            cJSON_AddItemToArray(required, cJSON_CreateString(o->name));
    }
    cJSON_Delete(defaults);
}

static void add_networks(cJSON *defs, const struct hf_engine *en) {
    const char *name;
    for (int i = 0; (name = engine_network_name(en, i)); i++) {
        const struct hf_network_class *net = engine_network(en, name);
        char key[128];
        (void)snprintf(key, sizeof key, "network-%.100s", name);
        if (cJSON_GetObjectItemCaseSensitive(defs, key))
            continue;
        cJSON *one =
            cJSON_Parse(JSON({"type" : [ "object", "string", "null" ], "pattern" : "\\$\\{"}));
        cJSON *properties = cJSON_AddObjectToObject(one, "properties");
        cJSON_AddStringToObject(one, "description", net->help ? net->help : "");
        add_options(properties, cJSON_AddArrayToObject(one, "required"), en, net->options,
                    net->options_size);
        cJSON_AddFalseToObject(one, "additionalProperties");
        cJSON_AddItemToObject(defs, key, one);
    }
}

/* ---- stages ---- */

/* Why stages of a class have nothing at one of the engine's keys, or NULL. */
static const char *no_use_of(const struct hf_stage_class *cls, const char *key) {
    bool takes = cls->kind != HF_SOURCE && cls->kind != HF_MODEL;
    bool hands_on = cls->kind != HF_SINK && cls->kind != HF_MODEL;
    if (strcmp(key, "from") == 0 && !takes)
        return "takes no samples";
    if (strcmp(key, "model") == 0 && !(cls->flags & HF_STAGE_TAKES_MODEL))
        return "takes no model";
    if (strcmp(key, "weights") == 0 && cls->kind != HF_MIX)
        return "takes one input";
    if ((strcmp(key, "hold") == 0 || strcmp(key, "cache") == 0) &&
        (!hands_on || (cls->flags & HF_STAGE_RANDOM)))
        return hands_on ? "draws at random" : "hands on no samples";
    if (strcmp(key, "draws") == 0 && !(hands_on && (cls->flags & HF_STAGE_RANDOM)))
        return "draws nothing for its samples";
    return NULL;
}

/* A key that must be left out may still be set to nothing, over what an included graph has; it
 * stands among the patterns, where no editor offers it. */
static void add_unused(cJSON *patterns, const char *key, const char *cls, const char *why) {
    char pattern[64], text[256];
    cJSON *one = strcmp(key, "hold") == 0
                     ? cJSON_Parse(JSON({"enum" : [ null, false, "false", 0, "0" ]}))
                 : strcmp(key, "cache") == 0
                     ? cJSON_Parse(JSON({"enum" : [ null, "no" ]}))
                     : cJSON_Parse(JSON({"type" : [ "null", "string" ], "pattern" : "\\$\\{"}));
    (void)snprintf(pattern, sizeof pattern, "^%s$", key);
    (void)snprintf(text, sizeof text, "%.100s %s: leave '%s' out", cls, why, key);
    cJSON_AddStringToObject(one, "errorMessage", text); /* editors show it */
    cJSON_AddItemToObject(patterns, pattern, one);
}

static cJSON *use_json(const struct hf_engine *en) {
    cJSON *ret = object_with("description", schema_key_help(schema_stage_keys, "use"));
    cJSON *forms = cJSON_AddArrayToObject(ret, "anyOf"), *word = cJSON_CreateObject();
    cJSON *words = cJSON_AddArrayToObject(word, "enum");
    cJSON *help = cJSON_AddArrayToObject(word, "enumDescriptions");
    const char *name;
    for (int i = 0; (name = engine_stage_name(en, i)); i++) {
        const struct hf_stage_class *cls = engine_stage(en, name, NULL);
        cJSON_AddItemToArray(words, cJSON_CreateString(name));
        cJSON_AddItemToArray(help, cJSON_CreateString(cls->help ? cls->help : ""));
    }
    cJSON_AddItemToArray(forms, word);
    add_reference(forms, "open");
    return ret;
}

/* A stage of a class: its options and the engine's keys, and what a whole one needs. */
static void add_stage(cJSON *defs, const struct hf_engine *en, const struct hf_stage_class *cls) {
    cJSON *one = object_with("description", cls->help ? cls->help : "");
    cJSON *properties = cJSON_AddObjectToObject(one, "properties");
    cJSON *patterns = cJSON_AddObjectToObject(one, "patternProperties");
    cJSON *needs = cJSON_CreateObject(), *required = cJSON_AddArrayToObject(needs, "required");
    for (const struct schema_key *k = schema_stage_keys; k->name; k++) {
        const char *name = k->name, *why = no_use_of(cls, name);
        bool own = false; /* an option of the class */
        for (const struct hf_option *o = cls->options; o && o->name; o++)
            own = own || strcmp(o->name, name) == 0;
        if (why && !own)
            add_unused(patterns, name, cls->name, why);
        else if (!own)
            cJSON_AddItemToObject(properties, name, reference("key-", name));
    }
    add_options(properties, required, en, cls->options, cls->options_size);
    cJSON_AddFalseToObject(one, "additionalProperties");
    add_definition(defs, "stage-", cls->name, one);
    add_definition(defs, "needs-", cls->name, needs);
}

/* What a stage needs that shares no other's options: `from` and `model` even then. */
static cJSON *needs_rule(const struct hf_stage_class *cls) {
    cJSON *ret = cJSON_CreateObject(), *then = cJSON_CreateObject();
    cJSON *required = cJSON_AddArrayToObject(then, "required");
    if (!no_use_of(cls, "from"))
        cJSON_AddItemToArray(required, cJSON_CreateString("from"));
    if (!no_use_of(cls, "model"))
        cJSON_AddItemToArray(required, cJSON_CreateString("model"));
    cJSON *own = cJSON_CreateObject();
    cJSON_AddItemToObject(own, "if", cJSON_Parse(JSON({"not" : {"required" : ["like"]}})));
    cJSON_AddItemToObject(own, "then", reference("needs-", cls->name));
    cJSON_AddItemToArray(cJSON_AddArrayToObject(then, "allOf"), own);
    cJSON_AddItemToObject(ret, "if", uses(cls->name));
    cJSON_AddItemToObject(ret, "then", then);
    return ret;
}

/* One more form of an option that several stages have under one name. */
static void add_form(cJSON *properties, const char *stage, const char *option) {
    char name[256], text[320];
    cJSON *at = cJSON_GetObjectItemCaseSensitive(properties, option);
    if (!at)
        at = cJSON_AddObjectToObject(properties, option);
    cJSON *forms = cJSON_GetObjectItemCaseSensitive(at, "anyOf");
    if (!forms)
        forms = cJSON_AddArrayToObject(at, "anyOf");
    (void)snprintf(name, sizeof name, "%.100s/properties/%.100s", stage, option);
    (void)snprintf(text, sizeof text, "#/definitions/stage-%s", name);
    cJSON_AddItemToArray(forms, object_with("$ref", text));
}

/* The definitions "stage", of any; "part", of one whose `use` stands elsewhere; and "whole", of one
 * that no included graph knows. */
static void add_stages(cJSON *defs, const struct hf_engine *en) {
    cJSON *stage =
        cJSON_Parse(JSON({"type" : [ "object", "string", "null" ], "pattern" : "\\$\\{"}));
    cJSON *part = cJSON_CreateObject(), *options = cJSON_AddObjectToObject(part, "properties");
    cJSON *whole = cJSON_Parse(JSON({
        "type" : [ "object", "string" ],
        "anyOf" : [ {"required" : ["use"]}, {"required" : ["like"]} ]
    }));
    cJSON *rules = cJSON_CreateArray(), *needs = cJSON_AddArrayToObject(whole, "allOf");
    cJSON *known = cJSON_CreateArray();
    const char *name;
    for (int i = 0; (name = engine_stage_name(en, i)); i++) {
        const struct hf_stage_class *cls = engine_stage(en, name, NULL);
        char key[128];
        (void)snprintf(key, sizeof key, "stage-%.100s", name);
        if (cJSON_GetObjectItemCaseSensitive(defs, key))
            continue;
        add_stage(defs, en, cls);
        for (const struct hf_option *o = cls->options; o && o->name; o++)
            add_form(options, cls->name, o->name);
        cJSON *rule = cJSON_CreateObject();
        cJSON_AddItemToObject(rule, "if", uses(name));
        cJSON_AddItemToObject(rule, "then", reference("stage-", name));
        cJSON_AddItemToArray(rules, rule);
        cJSON_AddItemToArray(needs, needs_rule(cls));
        cJSON_AddItemToArray(known, cJSON_CreateString(name));
    }
    for (const struct schema_key *k = schema_stage_keys; k->name; k++) {
        cJSON *forms = cJSON_GetObjectItemCaseSensitive(
            cJSON_GetObjectItemCaseSensitive(options, k->name), "anyOf");
        if (forms)
            cJSON_AddItemToArray(forms, reference("key-", k->name));
        else
            cJSON_AddItemToObject(options, k->name, reference("key-", k->name));
    }
    cJSON_AddFalseToObject(part, "additionalProperties");
    /* The last rule: one that says nothing of what it is. */
    cJSON *last = cJSON_CreateObject(), *is_known = uses("");
    cJSON *use = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(is_known, "properties"), "use");
    cJSON_DeleteItemFromObjectCaseSensitive(use, "const");
    cJSON_AddItemToObject(use, "enum", known);
    cJSON_AddItemToObject(last, "if", is_known);
    cJSON_AddItemToObject(last, "then", cJSON_CreateTrue());
    cJSON_AddItemToObject(last, "else", reference("", "part"));
    cJSON_AddItemToArray(rules, last);
    cJSON_AddItemToObject(stage, "allOf", rules);
    cJSON_AddItemToObject(defs, "part", part);
    cJSON_AddItemToObject(defs, "stage", stage);
    cJSON_AddItemToObject(defs, "whole", whole);
}

/* ---- the graph ---- */

static cJSON *device_json(const struct hf_engine *en, const struct schema_key *k) {
    cJSON *ret = key_json(k), *forms = cJSON_AddArrayToObject(ret, "anyOf");
    cJSON *word = cJSON_CreateObject(), *words = cJSON_AddArrayToObject(word, "enum");
    const char *name;
    cJSON_AddItemToArray(words, cJSON_CreateString("auto"));
    for (int i = 0; (name = engine_device_name(en, i)); i++)
        cJSON_AddItemToArray(words, cJSON_CreateString(name));
    cJSON_AddItemToArray(forms, word);
    add_reference(forms, "open");
    return ret;
}

static cJSON *stages_json(const struct schema_key *k, const char *definition_of_each) {
    cJSON *ret = key_json(k);
    cJSON_AddStringToObject(ret, "type", "object");
    cJSON_AddNumberToObject(ret, "minProperties", 1);
    cJSON_AddNumberToObject(ret, "maxProperties", MAX_STAGES);
    cJSON_AddItemToObject(ret, "propertyNames", reference("", "name"));
    cJSON_AddItemToObject(ret, "additionalProperties", reference("", definition_of_each));
    return ret;
}

char *graph_schema(const struct hf_engine *en) {
    cJSON *root = object_with("$schema", "http://json-schema.org/draft-07/schema#");
    cJSON_AddStringToObject(root, "title", "A graph of hepaflow");
    cJSON_AddStringToObject(root, "type", "object");
    cJSON *properties = cJSON_AddObjectToObject(root, "properties");
    cJSON *alone = cJSON_CreateObject();
    cJSON *own = cJSON_AddObjectToObject(alone, "properties");
    for (const struct schema_key *k = schema_graph_keys; k->name; k++) {
        bool stages = strcmp(k->name, "stages") == 0, device = strcmp(k->name, "device") == 0;
        cJSON_AddItemToObject(properties, k->name,
                              stages   ? stages_json(k, "stage")
                              : device ? device_json(en, k)
                                       : key_json(k));
        if (stages)
            cJSON_AddItemToObject(own, k->name, stages_json(k, "whole"));
    }
    cJSON_AddItemToObject(root, "patternProperties", cJSON_Parse(JSON({"^x-" : {}})));
    cJSON_AddFalseToObject(root, "additionalProperties");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(alone, "required"), cJSON_CreateString("stages"));
    cJSON_AddItemToObject(root, "if", cJSON_Parse(JSON({"required" : ["include"]})));
    cJSON_AddItemToObject(root, "then", cJSON_CreateTrue());
    cJSON_AddItemToObject(root, "else", alone);
    cJSON *defs = cJSON_AddObjectToObject(root, "definitions");
    for (const struct schema_key *k = schema_definitions; k->name; k++)
        add_definition(defs, "", k->name, key_json(k));
    for (const struct schema_key *k = schema_stage_keys; k->name; k++)
        add_definition(defs, "key-", k->name,
                       strcmp(k->name, "use") == 0 ? use_json(en) : key_json(k));
    add_networks(defs, en);
    add_stages(defs, en);
    char *ret = cJSON_Print(root);
    cJSON_Delete(root);
    return ret;
}
