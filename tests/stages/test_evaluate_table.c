/**
 * test_evaluate_table.c - evaluate against another implementation: 60 small cases with merging and
 * splitting lesions, odd spacings and empty masks, whose measures reference/evaluate.py has worked
 * out. The masks come from a formula that both know.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "evaluate_table.h"
#include "harness.h"

#include "../../stages/evaluate/evaluate.c"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define CASES    COUNT(table_case)

static uint32_t below(uint32_t *state, uint32_t n) {
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 16) % n;
}

static void ellipsoid(uint8_t *mask, const int64_t size[3], const int c[3], const int r[3]) {
    int64_t all = (int64_t)r[0] * r[1] * r[2], i = 0;
    for (int z = 0; z < size[0]; z++)
        for (int y = 0; y < size[1]; y++)
            for (int x = 0; x < size[2]; x++, i++) {
                int64_t a = (z - c[0]) * r[1] * r[2], b = (y - c[1]) * r[0] * r[2];
                int64_t d = (x - c[2]) * r[0] * r[1];
                if (a * a + b * b + d * d <= all * all)
                    mask[i] = 1;
            }
}

struct masks {
    int64_t size[3];
    double spacing[3];
    uint8_t truth[12 * 18 * 20], predicted[12 * 18 * 20], liver[12 * 18 * 20];
};

static void lesions_of(uint32_t *draw, struct masks *m) {
    int c[3], r[3], count = (int)below(draw, 6);
    for (int k = 0; k < count; k++) {
        for (int a = 0; a < 3; a++)
            c[a] = (int)below(draw, (uint32_t)m->size[a]);
        for (int a = 0; a < 3; a++)
            r[a] = 1 + (int)below(draw, 3);
        ellipsoid(m->truth, m->size, c, r);
        uint32_t what = below(draw, 5);
        if (what == 0)
            continue;
        for (int a = 0; what > 1 && a < 3; a++)
            c[a] += (int)below(draw, 3) - 1;
        for (int a = 0; what > 1 && a < 3; a++) {
            r[a] += (int)below(draw, 3) - 1;
            r[a] = r[a] < 1 ? 1 : r[a];
        }
        ellipsoid(m->predicted, m->size, c, r);
    }
    count = below(draw, 2) ? (int)below(draw, 3) : 0;
    for (int k = 0; k < count; k++) {
        for (int a = 0; a < 3; a++)
            c[a] = (int)below(draw, (uint32_t)m->size[a]);
        for (int a = 0; a < 3; a++)
            r[a] = 1 + (int)below(draw, 2);
        ellipsoid(m->predicted, m->size, c, r);
    }
}

static void formula_case(uint32_t seed, struct masks *m) {
    uint32_t draw = seed;
    memset(m, 0, sizeof *m);
    m->size[0] = 6 + below(&draw, 7);
    m->size[1] = 10 + below(&draw, 9);
    m->size[2] = 10 + below(&draw, 11);
    m->spacing[0] = (5 + below(&draw, 40)) / 10.0;
    m->spacing[1] = (5 + below(&draw, 15)) / 10.0;
    m->spacing[2] = (5 + below(&draw, 15)) / 10.0;
    int middle[3];
    for (int a = 0; a < 3; a++)
        middle[a] = (int)m->size[a] / 2;
    ellipsoid(m->liver, m->size, middle, middle);
    lesions_of(&draw, m);
    int64_t rows = m->size[0] * m->size[1], w = m->size[2];
    if (below(&draw, 3) == 0)
        memset(m->predicted + (middle[0] * m->size[1] + middle[1]) * w, 1, (size_t)w);
    if (below(&draw, 3) == 0) {
        int64_t at = below(&draw, (uint32_t)w);
        for (int64_t i = 0; i < rows; i++)
            m->predicted[i * w + at] = 0;
    }
    if (below(&draw, 12) == 0)
        memset(m->predicted, 0, sizeof m->predicted);
}

static struct hf_sample *sample_of(struct harness *h, uint32_t seed) {
    static struct masks m;
    char id[16];
    formula_case(seed, &m);
    (void)snprintf(id, sizeof id, "case%u", seed);
    struct hf_sample *s = harness_sample(h, id, m.size[0], m.size[1], m.size[2], 1.0);
    for (int a = 0; a < 3; a++)
        s->grid.affine[a][a] = m.spacing[2 - a];
    harness_set_u8(h, s, "tumor", 1, m.truth);
    harness_set_u8(h, s, "predicted", 1, m.predicted);
    harness_set_u8(h, s, "liver", 1, m.liver);
    return s;
}

static void check_number(const cJSON *json, const char *name, double want, const char *where) {
    const cJSON *item = cJSON_GetObjectItem(json, name);
    if (!item)
        fail_msg("%s: there is no %s", where, name);
    double got = cJSON_IsNull(item) ? NAN : item->valuedouble;
    if (isnan(got) != isnan(want) || fabs(got - want) > 2e-5 * fabs(want) + 2e-6)
        fail_msg("%s: %s is %.8g, expected %.8g", where, name, got, want);
}

static char *read_text(struct harness *h, const char *name) {
    char path[512], *text = calloc(1, 1 << 18);
    (void)snprintf(path, sizeof path, "%s/%s", harness_folder(h), name);
    FILE *f = fopen(path, "rb");
    assert_true(f && text);
    (void)fread(text, 1, (1 << 18) - 1, f);
    (void)fclose(f);
    return text;
}

static void every_number(void **state) {
    (void)state;
    const struct evaluate_options o = {.field = "predicted",
                                       .truth = "tumor",
                                       .liver = "liver",
                                       .threshold = 0.5,
                                       .tolerance = 2,
                                       .surfaces = 1,
                                       .range = {2, {0, 1}},
                                       .steps = 200};
    struct harness *h = harness_open();
    struct hf_error e = {0};
    struct hf_sample *in[CASES];
    harness_add(h, &hf_plugin);
    for (size_t i = 0; i < CASES; i++)
        in[i] = sample_of(h, (uint32_t)i + 1);
    struct hf_stage *s = harness_stage(h, &evaluate, &o, "scores");
    if (harness_run(s, (const struct hf_sample *const *)in, (int32_t)CASES, &e) != HF_OK)
        fail_msg("%s", e.text);
    harness_stage_free(s);

    char *text = read_text(h, "scores/cases.json");
    cJSON *list = cJSON_Parse(text);
    free(text);
    assert_int_equal(cJSON_GetArraySize(list), CASES);
    for (size_t i = 0; i < CASES; i++)
        for (size_t k = 0; k < COUNT(table_column); k++)
            check_number(cJSON_GetArrayItem(list, (int)i), table_column[k], table_case[i][k],
                         in[i]->id);
    cJSON_Delete(list);
    cJSON *all = cJSON_Parse(harness_result(h));
    for (size_t k = 0; k < COUNT(table_all); k++)
        check_number(all, table_all[k].name, table_all[k].value, "all cases");
    cJSON_Delete(all);

    /* A line for each pair, and one of names. */
    int lines = 0;
    text = read_text(h, "scores/lesions.csv");
    assert_memory_equal(text, "case,lesions,predicted_lesions,", 31);
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 1 + (int)table_all[COUNT(table_all) - 1].value);
    free(text);
    for (size_t i = 0; i < CASES; i++)
        harness_free_sample(h, in[i]);
    harness_close(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_number)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
