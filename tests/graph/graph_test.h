/* graph_test.h - graphs from texts, for the tests of engine/graph. */
#ifndef TESTS_GRAPH_TEST_H
#define TESTS_GRAPH_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine.h"

/* The fake modules beside the real ones, in an empty working folder; group set-up and clean-up. */
int graph_setup(void **state);
int graph_teardown(void **state);
struct hf_engine *graph_engine(void);

/* The whole method with the fake module's stages. */
extern const char graph_method[];

void write_text(const char *path, const char *text, size_t size);
char *read_text(const char *path);
/* Checks `text` as the file g.yaml; *ret_messages is freed with hf_free. */
enum hf_status check_text(const char *text, const char *const *sets, int count,
                          struct hf_plan **ret, char **ret_messages);
/* A plan that must be good. */
struct hf_plan *plan_of(const char *text, const char *const *sets, int count);
const struct plan_stage *stage_of(const struct hf_plan *p, const char *name);

#endif
