/**
 * test_cases.c - whole phantom cases: same seed same bits, labels that fit each other, and the
 * statistics that docs/phantom.md promises.
 */
#include "common.h"

#include <math.h>

enum {
    CASES = 9,
    TRAIN = 3,
    SEED = 66
};

/** Cases on the grid that the statistics are given for. */
struct made {
    struct phantom_params p;
    struct phantom_case c[CASES];
    float *far[CASES];   /* mm to the liver's border */
    double level[CASES]; /* mean HU of deep tissue without tumor */
};

static size_t voxels(const struct phantom_case *c) {
    return phantom_count(&c->grid);
}

/** 1 for liver tissue at least `deep` mm inside and 6 mm away from any tumor. */
static int is_tissue(const struct made *m, int i, size_t at, float deep) {
    const struct phantom_case *c = &m->c[i];
    if (!c->liver[at] || m->far[i][at] < deep || c->tumor[at])
        return 0;
    size_t w = (size_t)c->grid.n[2], area = w * (size_t)c->grid.n[1];
    if (at < area || at + area >= voxels(c))
        return 0;
    return !c->tumor[at - 3] && !c->tumor[at + 3] && !c->tumor[at - 3 * w] &&
           !c->tumor[at + 3 * w] && !c->tumor[at - area] && !c->tumor[at + area];
}

static int make_all(void **state) {
    struct made *m = calloc(1, sizeof *m);
    assert_non_null(m);
    m->p = usual_params(CASES);
    m->p.test = (double)(CASES - TRAIN) / CASES;
    m->p.healthy = 0.34;
    for (int k = 0; k < 2; k++) {
        m->p.spacing[k] = 2;
        m->p.slice[k] = 4;
    }
    for (int i = 0; i < CASES; i++) {
        m->c[i] = make_case(&m->p, SEED, i);
        m->far[i] = malloc(voxels(&m->c[i]) * sizeof *m->far[i]);
        assert_non_null(m->far[i]);
        phantom_border_distance(&m->c[i].grid, m->c[i].liver, m->far[i]);
        double n = 0;
        for (size_t at = 0; at < voxels(&m->c[i]); at++)
            if (is_tissue(m, i, at, 8)) {
                m->level[i] += m->c[i].image[at];
                n++;
            }
        m->level[i] /= n;
    }
    *state = m;
    return 0;
}

static int free_all(void **state) {
    struct made *m = *state;
    for (int i = 0; i < CASES; i++) {
        phantom_case_free(&m->c[i]);
        free(m->far[i]);
    }
    free(m);
    return 0;
}

static void the_same_seed_gives_the_same_bits(void **state) {
    struct phantom_params p = usual_params(6);
    struct phantom_case a = make_case(&p, 5, 0), other = make_case(&p, 6, 0);
    p.cases = 30; /* a case does not depend on how many there are */
    struct phantom_case b = make_case(&p, 5, 0);
    size_t n = voxels(&a);
    (void)state;
    assert_int_equal(n, voxels(&b));
    assert_memory_equal(a.image, b.image, n * sizeof *a.image);
    assert_memory_equal(a.couinaud, b.couinaud, n);
    assert_memory_equal(a.tumor, b.tumor, n);
    assert_memory_equal(&a.file, &b.file, sizeof a.file);
    assert_true(n != voxels(&other) || memcmp(a.image, other.image, n * sizeof *a.image) != 0);
    phantom_case_free(&a);
    phantom_case_free(&b);
    phantom_case_free(&other);
}

static void labels_fit_each_other(void **state) {
    const struct made *m = *state;
    for (int i = 0; i < CASES; i++) {
        const struct phantom_case *c = &m->c[i];
        size_t n = voxels(c), tumor = 0;
        int64_t own = 0;
        int seen[9] = {0};
        for (size_t at = 0; at < n; at++) {
            assert_true(c->couinaud[at] <= 8 && c->liver[at] <= 1 && c->tumor[at] <= 1);
            assert_int_equal(c->liver[at], c->couinaud[at] > 0);
            assert_true(c->liver[at] || !c->tumor[at]);
            assert_true(c->image[at] >= -1024 && c->image[at] <= 3071);
            seen[c->couinaud[at]] = 1;
            tumor += c->tumor[at];
        }
        for (int k = 0; k <= 8; k++)
            assert_true(seen[k]);
        for (int32_t k = 0; k < c->tumor_count; k++) {
            assert_true(c->tumors[k].voxels >= 6);
            own += c->tumors[k].voxels;
        }
        assert_int_equal(own, tumor);
        if (c->plan.healthy)
            assert_int_equal(tumor, 0);
        else
            assert_true(c->tumor_count >= 1 && c->tumor_count <= 4);
    }
}

static void annotations_follow_the_volume(void **state) {
    const struct made *m = *state;
    int healthy_segments = 0;
    for (int i = 0; i < CASES; i++) {
        const struct phantom_case *c = &m->c[i];
        double ml[9] = {0};
        for (size_t at = 0; at < voxels(c); at++)
            if (c->tumor[at])
                ml[c->couinaud[at]] += 2 * 2 * 4 / 1000.0;
        assert_int_equal(c->annotation[0], 1);
        int annotated = 0;
        for (int k = 1; k <= 8; k++) {
            assert_int_equal(c->annotation[k], ml[k] >= 0.2);
            annotated += c->annotation[k];
        }
        assert_int_equal(annotated > 0, !c->plan.healthy);
        healthy_segments += 8 - annotated;
    }
    assert_true(healthy_segments > 8 * CASES / 3);
}

static void the_liver_lies_on_the_right(void **state) {
    const struct made *m = *state;
    for (int i = 0; i < CASES; i++) {
        const struct phantom_case *c = &m->c[i];
        double liver = 0, n = 0, body = 0, all = 0;
        for (size_t at = 0; at < voxels(c); at++) {
            double x = (double)(at % (size_t)c->grid.n[2]);
            if (c->liver[at]) {
                liver += x;
                n++;
            }
            if (c->image[at] > -300) {
                body += x;
                all++;
            }
        }
        assert_true(liver / n > body / all + 10);
        assert_true(n * 16 / 1000 > 700 && n * 16 / 1000 < 3200);
    }
}

static void noise_is_like_a_real_patient(void **state) {
    const struct made *m = *state;
    double mean_sd = 0;
    for (int i = 0; i < CASES; i++) {
        const struct phantom_case *c = &m->c[i];
        double squares = 0, n = 0, pairs = 0, product = 0;
        for (size_t at = 0; at < voxels(c); at++) {
            double x = c->image[at] - m->level[i];
            if (!is_tissue(m, i, at, 8) || x > 36)
                continue; /* vessels are no noise */
            squares += x * x;
            n++;
            if (is_tissue(m, i, at + 1, 8)) {
                product += x * (c->image[at + 1] - m->level[i]);
                pairs++;
            }
        }
        double sd = sqrt(squares / n), correlation = product / pairs / (sd * sd);
        assert_true(sd > 8 && sd < 17);
        assert_true(correlation > 0.3 && correlation < 0.9);
        assert_true(m->level[i] > 80 && m->level[i] < 145);
        mean_sd += sd / CASES;
    }
    assert_true(mean_sd > 10 && mean_sd < 14);
}

static void the_edge_is_darker(void **state) {
    const struct made *m = *state;
    double sum[3] = {0}, n[3] = {0};
    for (int i = 0; i < CASES; i++)
        for (size_t at = 0; at < voxels(&m->c[i]); at++) {
            if (!is_tissue(m, i, at, 0) || m->far[i][at] > 6)
                continue;
            int shell = (int)(m->far[i][at] / 2.001f);
            sum[shell] += m->c[i].image[at] - m->level[i];
            n[shell]++;
        }
    assert_true(sum[0] / n[0] < -15 && sum[0] / n[0] > -60);
    assert_true(sum[1] / n[1] < -2 && sum[1] / n[1] > -25);
    assert_true(sum[2] / n[2] > -8);
}

/** Mean Dice of "darker than `hu`" inside the annotated segments, over the diseased cases. */
static double threshold_dice(const struct made *m, double hu, int relative) {
    double sum = 0, n = 0;
    for (int i = 0; i < CASES; i++) {
        const struct phantom_case *c = &m->c[i];
        double limit = relative ? m->level[i] + hu : hu, found = 0, truth = 0, both = 0;
        if (c->plan.healthy)
            continue;
        for (size_t at = 0; at < voxels(c); at++) {
            int dark = c->liver[at] && c->annotation[c->couinaud[at]] && c->image[at] < limit;
            found += dark;
            truth += c->tumor[at];
            both += dark && c->tumor[at];
        }
        sum += 2 * both / (found + truth);
        n++;
    }
    return sum / n;
}

static void no_threshold_finds_the_tumors(void **state) {
    const struct made *m = *state;
    double best = 0, best_relative = 0;
    for (double hu = 40; hu <= 130; hu += 2) {
        best = fmax(best, threshold_dice(m, hu, 0));
        best_relative = fmax(best_relative, threshold_dice(m, hu - 100, 1));
    }
    assert_true(best < 0.5);
    assert_true(best_relative < 0.62);
    assert_true(best_relative > 0.3); /* but they are there to be seen */
}

static void dark_tumors_are_faint(void **state) {
    const struct made *m = *state;
    for (int i = 0; i < CASES; i++)
        for (int32_t k = 0; k < m->c[i].tumor_count; k++) {
            const struct phantom_tumor *l = &m->c[i].tumors[k];
            if (l->kind == PHANTOM_BRIGHT)
                assert_true(l->contrast >= 18 && l->radius < 11 && k > 0);
            else
                assert_true(l->contrast >= -50 && l->contrast <= -15);
            if (k == 0)
                assert_true(l->radius >= 10 && l->radius <= 22);
            assert_true(l->radius >= 5 && l->radius <= 25);
        }
}

/** Strange but allowed options make cases too. */
static void odd_options_work(void **state) {
    (void)state;
    struct phantom_params p = usual_params(4);
    p.deform = 2;
    p.tumors[0] = p.tumors[1] = PHANTOM_TUMORS_MAX;
    p.spacing[0] = p.spacing[1] = 6;
    p.slice[0] = p.slice[1] = 10;
    p.noise[0] = p.noise[1] = 0;
    p.bright = 1;
    struct phantom_case c = make_case(&p, 1, 0);
    assert_true(c.tumor_count >= 1);
    phantom_case_free(&c);
    p.deform = 0;
    p.turned = 0;
    c = make_case(&p, 2, 1);
    assert_memory_equal(&c.file, &c.canonical, sizeof c.file);
    phantom_case_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_bits),
        cmocka_unit_test(labels_fit_each_other),
        cmocka_unit_test(annotations_follow_the_volume),
        cmocka_unit_test(the_liver_lies_on_the_right),
        cmocka_unit_test(noise_is_like_a_real_patient),
        cmocka_unit_test(the_edge_is_darker),
        cmocka_unit_test(no_threshold_finds_the_tumors),
        cmocka_unit_test(dark_tumors_are_faint),
        cmocka_unit_test(odd_options_work),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
