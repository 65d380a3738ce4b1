/* test_schema.c - the schema of graphs knows every key and stage; schema_check.py has the rest. */
#include "graph_test.h"

#include <cjson/cJSON.h>

#include "graph/check.h"
#include "graph/schema.h"

static const cJSON *definition(const cJSON *schema, const char *kind, const char *name) {
    char key[128];
    (void)snprintf(key, sizeof key, "%s%s", kind, name);
    return cJSON_GetObjectItem(cJSON_GetObjectItem(schema, "definitions"), key);
}

static void test_keys(void **state) {
    (void)state;
    char *text = graph_schema(graph_engine());
    cJSON *schema = cJSON_Parse(text);
    assert_non_null(schema);
    const cJSON *properties = cJSON_GetObjectItem(schema, "properties");
    for (const char *const *k = graph_keys; *k; k++) {
        if (!schema_key_help(schema_graph_keys, *k) || !cJSON_GetObjectItem(properties, *k))
            fail_msg("engine/graph/schema_keys.c says nothing of the key '%s' of graphs", *k);
    }
    assert_non_null(cJSON_GetObjectItem(properties, "include"));
    for (const char *const *k = stage_keys; *k; k++)
        if (!schema_key_help(schema_stage_keys, *k) || !definition(schema, "key-", *k))
            fail_msg("engine/graph/schema_keys.c says nothing of the key '%s' of stages", *k);
    cJSON_Delete(schema);
    hf_free(text);
}

/* Modules from outside take part, each class with its own options and needs. */
static void test_modules(void **state) {
    (void)state;
    char *text = graph_schema(graph_engine());
    cJSON *schema = cJSON_Parse(text);
    const cJSON *load = definition(schema, "stage-", "t_load"), *p;
    assert_non_null(load);
    p = cJSON_GetObjectItem(load, "properties");
    assert_non_null(cJSON_GetObjectItem(p, "dataset"));
    assert_null(cJSON_GetObjectItem(p, "from"));
    const cJSON *needs = definition(schema, "needs-", "t_load");
    const cJSON *required = cJSON_GetObjectItem(needs, "required");
    assert_int_equal(cJSON_GetArraySize(required), 1);
    assert_string_equal(cJSON_GetArrayItem(required, 0)->valuestring, "dataset");
    cJSON_Delete(schema);
    hf_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys), cmocka_unit_test(test_modules)};
    return cmocka_run_group_tests(tests, graph_setup, graph_teardown);
}
