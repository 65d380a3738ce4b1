/**
 * test_parts.c - the parts of a phantom: anatomies, plans, grids, random fields, distances.
 */
#include "common.h"

#include <math.h>

static void anatomies_lie_the_right_way(void **state) {
    (void)state;
    for (int i = 0; i < PHANTOM_ANATOMIES; i++) {
        struct phantom_anatomy a;
        struct hf_error e;
        size_t size;
        void *bytes = anatomy_bytes(phantom_anatomy_names[i], &size);
        assert_int_equal(phantom_anatomy_read("x", bytes, size, &a, &e), HF_OK);
        free(bytes);
        double sum[9][3] = {{0}}, n[9] = {0}, vessel = 0, liver = 0;
        size_t at = 0;
        for (int z = 0; z < a.size[2]; z++)
            for (int y = 0; y < a.size[1]; y++)
                for (int x = 0; x < a.size[0]; x++, at++) {
                    const double p[3] = {x, y, z};
                    assert_true(a.segment[at] <= 8);
                    assert_true(a.liver[at] >= 0 && a.liver[at] <= 1);
                    assert_true(a.vessel[at] >= 0 && a.vessel[at] <= 1);
                    n[a.segment[at]]++;
                    vessel += (double)a.vessel[at];
                    liver += (double)a.liver[at];
                    for (int k = 0; k < 3; k++)
                        sum[a.segment[at]][k] += p[k];
                }
        double ml = (double)(a.spacing[0] * a.spacing[1] * a.spacing[2]) / 1000;
        assert_true(liver * ml > 800 && liver * ml < 3000);
        assert_true(vessel * ml > 15 && vessel * ml < 160);
        for (int k = 1; k <= 8; k++)
            assert_true(n[k] > 0);
        assert_true(sum[6][0] / n[6] > sum[2][0] / n[2]); /* to the right */
        assert_true(sum[7][0] / n[7] > sum[3][0] / n[3]);
        assert_true(sum[8][2] / n[8] > sum[5][2] / n[5]); /* above */
        assert_true(sum[7][1] / n[7] < sum[4][1] / n[4]); /* behind */
        phantom_anatomy_free(&a);
    }
}

static void the_real_test_patient_is_no_anatomy(void **state) {
    (void)state;
    for (int i = 0; i < PHANTOM_ANATOMIES; i++) {
        assert_string_not_equal(phantom_anatomy_names[i], "ircadb-01");
        int lits = 0;
        if (sscanf(phantom_anatomy_names[i], "lits-%d", &lits) == 1)
            assert_false(lits >= 28 && lits <= 47);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(phantom_anatomy_names[i], phantom_anatomy_names[k]);
    }
}

static void damaged_anatomies_are_refused(void **state) {
    (void)state;
    struct phantom_anatomy a;
    struct hf_error e;
    size_t size;
    uint8_t *bytes = anatomy_bytes("ircadb-03", &size);
    for (size_t cut = 0; cut < size; cut += size / 37)
        assert_int_equal(phantom_anatomy_read("cut", bytes, cut, &a, &e), HF_INVALID);
    for (size_t at = 20; at < size; at += size / 29) {
        bytes[at] ^= 0x10;
        assert_int_equal(phantom_anatomy_read("flipped", bytes, size, &a, &e), HF_INVALID);
        assert_non_null(strstr(e.text, "flipped"));
        bytes[at] ^= 0x10;
    }
    assert_int_equal(phantom_anatomy_read("whole", bytes, size, &a, &e), HF_OK);
    phantom_anatomy_free(&a);
    memset(bytes, 0, size);
    assert_int_equal(phantom_anatomy_read("zeros", bytes, size, &a, &e), HF_INVALID);
    free(bytes);
}

static void splits_share_no_anatomy(void **state) {
    (void)state;
    char used[PHANTOM_ANATOMIES] = {0};
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct phantom_params p = usual_params(24 + (int64_t)seed);
        for (int64_t i = 0; i < p.cases; i++) {
            struct phantom_plan plan = phantom_case_plan(&p, seed, i);
            char split = plan.test ? 'e' : 'a', *had = &used[plan.anatomy];
            assert_true(*had == 0 || *had == split);
            *had = split;
            assert_int_equal(plan.test, i >= phantom_train_count(&p));
            assert_string_equal(plan.patient, phantom_anatomy_names[plan.anatomy]);
            for (int64_t k = 0; k < i; k++) {
                struct phantom_plan other = phantom_case_plan(&p, seed, k);
                assert_string_not_equal(other.id, plan.id);
                assert_int_equal(strcmp(other.patient, plan.patient) == 0,
                                 other.anatomy == plan.anatomy);
            }
        }
    }
    for (int i = 0; i < PHANTOM_ANATOMIES; i++)
        assert_true(used[i] != 0);
}

static void shares_are_kept(void **state) {
    (void)state;
    struct phantom_params p = usual_params(24);
    assert_int_equal(phantom_train_count(&p), 16);
    int healthy = 0, test_healthy = 0;
    for (int64_t i = 0; i < p.cases; i++) {
        struct phantom_plan plan = phantom_case_plan(&p, 7, i);
        if (plan.test)
            test_healthy += plan.healthy;
        else
            healthy += plan.healthy;
    }
    assert_int_equal(healthy, 5);
    assert_int_equal(test_healthy, 0);
    p.test = 0;
    assert_int_equal(phantom_train_count(&p), 24);
    p.test = 1;
    assert_int_equal(phantom_train_count(&p), 0);
    p.test = 0.001;
    assert_int_equal(phantom_train_count(&p), 23);
}

/** Every orientation there is: the file's voxels must lie on the canonical ones, in its order. */
static void turned_grids_keep_the_world(void **state) {
    (void)state;
    static const char letters[3][3] = {"RL", "AP", "SI"};
    const struct hf_grid g = {{5, 4, 3}, {{2, 0, 0, -7}, {0, 2.5, 0, 11}, {0, 0, 4, -100}}};
    int codes = 0;
    for (int order = 0; order < 27; order++)
        for (int flips = 0; flips < 8; flips++) {
            const int axis[3] = {order % 3, order / 3 % 3, order / 9};
            if (axis[0] == axis[1] || axis[0] == axis[2] || axis[1] == axis[2])
                continue;
            char code[4] = {0};
            for (int j = 0; j < 3; j++)
                code[j] = letters[axis[j]][flips >> j & 1];
            struct hf_grid f;
            phantom_grid_turn(&g, code, &f);
            codes++;
            for (int j = 0; j < 3; j++) {
                assert_int_equal(f.size[2 - j], g.size[2 - axis[j]]);
                /* one step along the file's axis moves the way its letter says */
                double step = g.affine[axis[j]][axis[j]] * (flips >> j & 1 ? -1 : 1);
                for (int k = 0; k < 3; k++)
                    assert_true(f.affine[k][j] == (k == axis[j] ? step : 0));
                /* and its first voxel lies at the canonical first or last one */
                double end = flips >> j & 1 ? (double)(g.size[2 - axis[j]] - 1) : 0;
                assert_true(f.affine[axis[j]][3] ==
                            g.affine[axis[j]][3] + end * g.affine[axis[j]][axis[j]]);
            }
        }
    assert_int_equal(codes, 48);
}

static void spread(const float *x, size_t n, double *mean, double *sd) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    *mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += ((double)x[i] - *mean) * ((double)x[i] - *mean);
    *sd = sqrt(squares / (double)n);
}

static void fields_have_unit_spread(void **state) {
    (void)state;
    const struct phantom_grid g = {{40, 60, 50}, {4, 2, 2}};
    size_t n = phantom_count(&g);
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    struct hf_error e;
    double mean, sd;
    const float sigma[3] = {0.3f, 1.2f, 0.7f};
    struct hf_rng rng = hf_rng_init(3, "test", "x", 0);
    assert_int_equal(phantom_field_noise(&g, sigma, rng, x, &e), HF_OK);
    spread(x, n, &mean, &sd);
    assert_true(fabs(mean) < 0.02 && fabs(sd - 1) < 0.03);
    assert_int_equal(phantom_field_smooth(&g, 7, rng, x, &e), HF_OK);
    spread(x, n, &mean, &sd);
    assert_true(fabs(mean) < 0.1 && fabs(sd - 1) < 0.1);
    for (size_t i = 1; i < n; i++) /* neighbours 2 mm apart, control points 7 mm apart */
        if (i % (size_t)g.n[2] != 0)
            assert_true(fabsf(x[i] - x[i - 1]) < 1.5f);
    for (size_t i = 0; i < n; i++)
        x[i] = 17;
    assert_int_equal(phantom_blur(&g, sigma, x, &e), HF_OK);
    for (size_t i = 0; i < n; i++)
        assert_true(fabsf(x[i] - 17) < 1e-4f);
    free(x);
}

static void distances_agree_with_a_search(void **state) {
    (void)state;
    const struct phantom_grid g = {{7, 11, 13}, {4, 2, 2}};
    size_t n = phantom_count(&g), area = 11 * 13;
    uint8_t label[7 * 11 * 13];
    float far[7 * 11 * 13];
    struct hf_rng rng = hf_rng_init(5, "test", "y", 0);
    for (size_t i = 0; i < n; i++)
        label[i] = (uint8_t)((i % 13 > 6) + 2 * (i / area > 3));
    label[hf_rng_below(&rng, (uint32_t)n)] = 7;
    phantom_border_distance(&g, label, far);
    for (size_t i = 0; i < n; i++) {
        double best = 1e9;
        for (size_t k = 0; k < n; k++)
            if (label[k] != label[i]) {
                double d = 4 * ((double)(i / area) - (double)(k / area));
                double h = 2 * ((double)(i / 13 % 11) - (double)(k / 13 % 11));
                double w = 2 * ((double)(i % 13) - (double)(k % 13));
                best = fmin(best, sqrt(d * d + h * h + w * w));
            }
        /* the border lies up to half a step before the other voxel; chamfer ways are up to a fifth
         * longer than straight ones */
        assert_true((double)far[i] <= 1.2 * best - 0.9 && (double)far[i] >= best - 2.5);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anatomies_lie_the_right_way),
        cmocka_unit_test(the_real_test_patient_is_no_anatomy),
        cmocka_unit_test(damaged_anatomies_are_refused),
        cmocka_unit_test(splits_share_no_anatomy),
        cmocka_unit_test(shares_are_kept),
        cmocka_unit_test(turned_grids_keep_the_world),
        cmocka_unit_test(fields_have_unit_spread),
        cmocka_unit_test(distances_agree_with_a_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
