/**
 * test_evaluate.c - evaluate: the measures against worked examples and definitions written out
 * anew, the sweep against trying every threshold, and the stage on grids that differ.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "harness.h"
#include "io_stub.h"

#include "../../stages/evaluate/evaluate.c"

static int near(double a, double b) {
    return fabs(a - b) <= 1e-6 * fmax(1, fabs(b));
}

/* ---- overlap ---- */

static void overlap_by_hand(void **state) {
    (void)state;
    const uint8_t truth[8] = {1, 1, 1, 1, 0, 0, 0, 0}, predicted[8] = {0, 0, 0, 1, 1, 1, 0, 0};
    struct metrics_overlap o = metrics_count(truth, predicted, 8);
    assert_true(o.truth == 4 && o.predicted == 3 && o.both == 1);
    assert_true(near(metrics_dice(o), 2.0 / 7));
    assert_true(near(metrics_voe(o), 1 - 1.0 / 6));
    assert_true(near(metrics_rvd(o), -0.25));
    assert_true(near(metrics_rvd_lits(o), 1.0 / 3));
    assert_true(near(metrics_jaccard(o), 1.0 / 6));
}

static void overlap_of_nothing(void **state) {
    (void)state;
    struct metrics_overlap none = {0, 0, 0}, missed = {5, 0, 0}, invented = {0, 5, 0};
    assert_true(metrics_dice(none) == 1 && metrics_voe(none) == 0);
    assert_true(metrics_jaccard(none) == 1 && metrics_jaccard(missed) == 0);
    assert_true(metrics_rvd(none) == 0 && metrics_rvd_lits(none) == METRICS_LARGE);
    assert_true(metrics_dice(missed) == 0 && metrics_voe(missed) == 1);
    assert_true(metrics_rvd(missed) == -1 && metrics_rvd_lits(missed) == METRICS_LARGE);
    assert_true(metrics_dice(invented) == 0 && metrics_voe(invented) == 1);
    assert_true(isnan(metrics_rvd(invented)) && metrics_rvd_lits(invented) == METRICS_LARGE);
}

/* ---- lesions ---- */

static struct metrics_lesions matched(const char *truth, const char *predicted) {
    int32_t t[64], p[64], nt = 0, np = 0;
    int64_t n = (int64_t)strlen(truth);
    for (int64_t i = 0; i < n; i++) {
        t[i] = truth[i] == '.' ? 0 : truth[i] - '0';
        p[i] = predicted[i] == '.' ? 0 : predicted[i] - '0';
        nt = t[i] > nt ? t[i] : nt;
        np = p[i] > np ? p[i] : np;
    }
    struct metrics_lesions m;
    struct hf_error e;
    assert_int_equal(metrics_match(t, nt, p, np, n, &m, NULL, NULL, &e), HF_OK);
    assert_true(m.truth == nt && m.predicted == np);
    return m;
}

static void check_match(const char *truth, const char *predicted, int touch_found, int touch_right,
                        int half_found, int half_right) {
    struct metrics_lesions m = matched(truth, predicted);
    assert_int_equal(m.found[METRICS_TOUCH], touch_found);
    assert_int_equal(m.right[METRICS_TOUCH], touch_right);
    assert_int_equal(m.found[METRICS_HALF], half_found);
    assert_int_equal(m.right[METRICS_HALF], half_right);
}

static void lesions_by_hand(void **state) {
    (void)state;
    /* IoU 3/5; exactly 1/2 is not enough; one voxel in common. */
    check_match("1111....", ".1111...", 1, 1, 1, 1);
    check_match("11111...", "..111111", 1, 1, 0, 0);
    check_match("111.....", "..111...", 1, 1, 0, 0);
    check_match(".1111.22", "111.....", 1, 1, 0, 0);
    /* A prediction over two lesions makes them one: 6 of 7 voxels. */
    check_match("111.222", "1111111", 2, 1, 2, 1);
    /* Two predictions of one lesion count as one: 6 of 7. */
    check_match("1111111", "111.222", 1, 2, 1, 2);
    /* A prediction goes with the lesion that it overlaps most, here 8 of 10; 2 of 5 are too few. */
    check_match("11111.22222222", "22..1111111111", 2, 2, 1, 1);
    check_match("........", "111.....", 0, 0, 0, 0);
    check_match("111.....", "........", 0, 0, 0, 0);
    check_match("111..222", "...11...", 0, 0, 0, 0);
    /* What the LiTS scorer counts: a pair is one, however many are in it; one that fails at 0.5
     * takes all its true lesions away. */
    struct metrics_lesions m = matched("111.222", "1111111");
    assert_true(m.lits[METRICS_TOUCH] == 1 && m.lits[METRICS_HALF] == 1);
    m = matched("1.2.3.......", "111111111111");
    assert_true(m.found[METRICS_TOUCH] == 3 && m.lits[METRICS_TOUCH] == 1);
    assert_true(m.found[METRICS_HALF] == 0 && m.lits[METRICS_HALF] == -2);
    m = matched("........", "111.....");
    assert_true(m.lits[METRICS_TOUCH] == 0 && m.lits[METRICS_HALF] == 0);
}

/* The rules of metrics.h on a full overlap matrix. */
static void lesions_against_the_matrix(void **state) {
    (void)state;
    enum {
        T = 6,
        P = 7,
        SIZE = 400
    };
    struct hf_rng r = hf_rng_init(5, "test", "lesions", 0);
    for (int round = 0; round < 300; round++) {
        int32_t t[SIZE], p[SIZE];
        int overlap[T + 1][P + 1] = {{0}}, st[T + 1] = {0}, sp[P + 1] = {0};
        int32_t a = 0, b = 0;
        for (int i = 0; i < SIZE; i++) {
            if (hf_rng_below(&r, 12) == 0)
                a = (int32_t)hf_rng_below(&r, T + 1);
            if (hf_rng_below(&r, 12) == 0)
                b = hf_rng_below(&r, 2) ? a : (int32_t)hf_rng_below(&r, P + 1);
            t[i] = a;
            p[i] = b;
            overlap[a][b]++;
            st[a]++;
            sp[b]++;
        }
        int found[2] = {0}, right[2] = {0}, group[T + 1], goes[P + 1];
        for (int i = 1; i <= T; i++) {
            int best = 0, touch = 0;
            for (int j = 1; j <= P; j++) {
                touch |= overlap[i][j] > 0;
                if (overlap[i][j] > (best ? overlap[i][best] : 0))
                    best = j;
            }
            found[0] += touch;
            group[i] = best ? -best : i; /* named by the prediction, or alone */
        }
        for (int j = 1; j <= P; j++) {
            int most = 0, touch = 0;
            goes[j] = 0;
            for (int i = 1; i <= T; i++) {
                int sum = 0;
                for (int k = 1; k <= T; k++)
                    sum += group[k] == group[i] ? overlap[k][j] : 0;
                touch |= overlap[i][j] > 0;
                if (sum > most) {
                    most = sum;
                    goes[j] = group[i];
                }
            }
            right[0] += touch;
        }
        for (int side = 0; side < 2; side++)
            for (int i = 1; i <= (side ? P : T); i++) {
                int name = side ? goes[i] : group[i], both = 0, total = 0;
                if (name == 0)
                    continue;
                for (int k = 1; k <= T; k++)
                    total += group[k] == name ? st[k] : 0;
                for (int j = 1; j <= P; j++)
                    if (goes[j] == name) {
                        total += sp[j];
                        for (int k = 1; k <= T; k++)
                            both += group[k] == name ? overlap[k][j] : 0;
                    }
                *(side ? &right[1] : &found[1]) += 2 * both > total - both;
            }
        struct metrics_lesions m;
        struct hf_error e;
        int32_t pair_t[T + 1], pair_p[P + 1];
        int members[2] = {0, 0};
        assert_int_equal(metrics_match(t, T, p, P, SIZE, &m, pair_t, pair_p, &e), HF_OK);
        for (int i = 1; i <= T; i++) {
            members[0] += pair_t[i] != 0;
            for (int k = 1; k <= T && pair_t[i]; k++)
                assert_int_equal(pair_t[k] == pair_t[i], group[k] == group[i]);
        }
        for (int j = 1; j <= P; j++) {
            members[1] += pair_p[j] != 0;
            assert_true(!pair_p[j] || group[pair_p[j]] == goes[j]);
        }
        assert_true(members[0] == found[1] && members[1] == right[1]);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(m.found[k], found[k]);
            assert_int_equal(m.right[k], right[k]);
        }
    }
}

/* ---- surfaces ---- */

#define D 7
#define H 9
#define W 11
#define N (D * H * W)

static void surfaces_against_definition(void **state) {
    (void)state;
    const int64_t size[3] = {D, H, W};
    const double spacing[3] = {2.5, 0.8, 0.7};
    struct hf_rng r = hf_rng_init(6, "test", "surface", 0);
    static uint8_t mask[2][N], surface[2][N];
    static float distance[2][N];
    static float list[2][N];
    for (int round = 0; round < 6; round++) {
        int64_t count[2] = {0, 0};
        for (int k = 0; k < 2; k++) {
            for (int64_t i = 0; i < N; i++)
                mask[k][i] = hf_rng_below(&r, 100) < 70;
            metrics_surface(mask[k], size, surface[k]);
            for (int64_t i = 0; i < N; i++) {
                int edge = 0;
                for (int64_t j = 0; j < 27; j++) {
                    int64_t d = i / (H * W) + j / 9 - 1, h = i / W % H + j / 3 % 3 - 1;
                    int64_t w = i % W + j % 3 - 1;
                    int steps = (j / 9 != 1) + (j / 3 % 3 != 1) + (j % 3 != 1);
                    int inside = d >= 0 && d < D && h >= 0 && h < H && w >= 0 && w < W;
                    edge |= steps <= 2 && !(inside && mask[k][(d * H + h) * W + w]);
                }
                assert_int_equal(surface[k][i], mask[k][i] && edge);
            }
        }
        double sum = 0, squares = 0, worst = 0;
        int64_t close = 0;
        for (int k = 0; k < 2; k++)
            for (int64_t i = 0; i < N; i++) {
                double best = INFINITY;
                for (int64_t j = 0; j < N; j++) {
                    double a = (double)(i / (H * W) - j / (H * W)) * spacing[0];
                    double b = (double)(i / W % H - j / W % H) * spacing[1];
                    double c = (double)(i % W - j % W) * spacing[2];
                    if (surface[k][j])
                        best = fmin(best, sqrt(a * a + b * b + c * c));
                }
                distance[k][i] = (float)best;
                if (surface[1 - k][i]) {
                    list[1 - k][count[1 - k]++] = (float)best;
                    sum += (float)best;
                    squares += (double)(float)best * (double)(float)best;
                    close += (float)best <= 1.0f;
                    worst = fmax(worst, (float)best);
                }
            }
        struct metrics_surfaces m;
        struct hf_error e;
        assert_int_equal(
            metrics_distances(surface[0], distance[0], surface[1], distance[1], N, 1.0, &m, &e),
            HF_OK);
        assert_true(near(m.assd, sum / (double)(count[0] + count[1])));
        assert_true(near(m.rmsd, sqrt(squares / (double)(count[0] + count[1]))));
        assert_true(near(m.nsd, (double)close / (double)(count[0] + count[1])));
        assert_true(near(m.msd, worst));
        /* At least 95 of 100 distances of either direction are no larger, and hd95 is no larger
         * than what is needed for that. */
        double least = 0, most = 0;
        for (int k = 0; k < 2; k++) {
            int64_t below = 0;
            float under = 0, over = INFINITY;
            for (int64_t i = 0; i < count[k]; i++)
                below += (double)list[k][i] <= m.hd95 + 1e-6;
            assert_true((double)below >= 0.95 * (double)(count[k] - 1));
            for (int64_t i = 0; i < count[k]; i++) {
                int64_t rank = 0;
                for (int64_t j = 0; j < count[k]; j++)
                    rank += list[k][j] <= list[k][i];
                if ((double)rank <= 0.95 * (double)(count[k] - 1) + 1)
                    under = fmaxf(under, list[k][i]);
                if ((double)rank >= 0.95 * (double)(count[k] - 1) + 1)
                    over = fminf(over, list[k][i]);
            }
            least = fmax(least, (double)under);
            most = fmax(most, (double)over);
        }
        assert_true(m.hd95 >= least - 1e-6 && m.hd95 <= most + 1e-6);
    }
}

static void percentile_by_hand(void **state) {
    (void)state;
    uint8_t truth[21], predicted[21];
    float distance[21], none[21];
    for (int i = 0; i < 21; i++) {
        truth[i] = predicted[i] = 1;
        distance[i] = (float)((i * 8) % 21); /* 0 to 20, in another order */
        none[i] = 0;
    }
    struct metrics_surfaces m;
    struct hf_error e;
    assert_int_equal(metrics_distances(truth, none, predicted, distance, 21, 2, &m, &e), HF_OK);
    assert_true(near(m.hd95, 19) && near(m.msd, 20) && near(m.assd, 5));
    /* Of ten values 0 to 9, the 95th percentile lies at 8.55. */
    assert_int_equal(metrics_distances(truth, none, predicted, distance, 10, 2, &m, &e), HF_OK);
    for (int i = 0; i < 10; i++)
        distance[i] = (float)((i * 3) % 10);
    assert_int_equal(metrics_distances(truth, none, predicted, distance, 10, 2, &m, &e), HF_OK);
    assert_true(near(m.hd95, 8.55));
    memset(predicted, 0, sizeof predicted);
    assert_int_equal(metrics_distances(truth, none, predicted, distance, 21, 2, &m, &e), HF_OK);
    assert_true(isnan(m.assd) && isnan(m.hd95) && isnan(m.rmsd) && isnan(m.msd) && m.nsd == 0);
    memset(truth, 0, sizeof truth);
    assert_int_equal(metrics_distances(truth, none, predicted, distance, 21, 2, &m, &e), HF_OK);
    assert_true(isnan(m.nsd));
}

/* ---- the sweep ---- */

static void sweep_against_trying_all(void **state) {
    (void)state;
    enum {
        CASES = 4,
        SIZE = 3000,
        STEPS = 50
    };
    static float values[CASES][SIZE];
    static uint8_t gate[CASES][SIZE];
    static int32_t labels[CASES][SIZE];
    struct hf_rng r = hf_rng_init(7, "test", "sweep", 0);
    struct sweep sw = {.low = -10, .high = 90, .steps = STEPS};
    struct hf_error e;
    for (int c = 0; c < CASES; c++) {
        for (int i = 0; i < SIZE; i++) {
            labels[c][i] = i % 500 < 100 ? 1 + i / 500 : 0;
            gate[c][i] = hf_rng_below(&r, 10) > 0;
            values[c][i] = 45 + 25 * hf_rng_normal(&r) - (labels[c][i] ? 30.0f : 0.0f);
            if (i % 97 == 0)
                values[c][i] = NAN;
        }
        assert_int_equal(sweep_add(&sw, values[c], c == 1 ? NULL : gate[c], labels[c], 6, SIZE, &e),
                         HF_OK);
    }
    double best = -1;
    int32_t best_step = 0;
    int best_below = 0;
    for (int below = 1; below >= 0; below--)
        for (int32_t step = 0; step <= STEPS; step++) {
            double mean = 0, t = -10 + 2.0 * step;
            for (int c = 0; c < CASES; c++) {
                struct metrics_overlap o = {0, 0, 0};
                int touched[7] = {0}, found = 0;
                for (int i = 0; i < SIZE; i++) {
                    int p = (c == 1 || gate[c][i]) &&
                            (below ? (double)values[c][i] < t : (double)values[c][i] >= t);
                    o.truth += labels[c][i] != 0;
                    o.predicted += p;
                    o.both += p && labels[c][i];
                    touched[labels[c][i]] |= p;
                }
                for (int k = 1; k < 7; k++)
                    found += touched[k];
                struct metrics_overlap got = sweep_overlap(&sw, c, step, below);
                assert_true(got.truth == o.truth && got.predicted == o.predicted &&
                            got.both == o.both);
                assert_int_equal(sweep_found(&sw, c, step, below), found);
                mean += metrics_dice(o);
            }
            if (mean > best) {
                best = mean;
                best_step = step;
                best_below = below;
            }
        }
    int32_t step = -1;
    int below = -1;
    sweep_best(&sw, &step, &below);
    assert_int_equal(step, best_step);
    assert_int_equal(below, best_below);
    assert_int_equal(below, 1);
    sweep_free(&sw);
}

/* ---- the stage ---- */

static const struct evaluate_options plain = {.field = "predicted",
                                              .truth = "truth",
                                              .threshold = 0.5,
                                              .tolerance = 2,
                                              .surfaces = 1,
                                              .range = {2, {0, 1}},
                                              .steps = 200};

/* A box of a mask: [low, high) along D, H, W. */
struct part {
    int low[3], high[3];
};

static void paint(uint8_t *mask, const int64_t size[3], struct part p) {
    for (int d = p.low[0]; d < p.high[0]; d++)
        for (int h = p.low[1]; h < p.high[1]; h++)
            for (int w = p.low[2]; w < p.high[2]; w++)
                mask[(d * size[1] + h) * size[2] + w] = 1;
}

/* A case of 20 x 40 x 40 voxels of 2 x 1 x 1 mm; its working grid begins at voxel (4, 8, 8) and has
 * 6 x 12 x 12 voxels of 4 x 2 x 2 mm. */
static struct hf_sample *case_of(struct harness *h, const char *id, const struct part *truth,
                                 int parts, const struct part *predicted, int predictions,
                                 int as_mask) {
    static uint8_t mask[20 * 40 * 40], small[6 * 12 * 12];
    static float soft[6 * 12 * 12];
    const int64_t full[3] = {20, 40, 40}, coarse[3] = {6, 12, 12};
    const int64_t shape[4] = {1, 20, 40, 40};
    struct hf_sample *s = harness_sample(h, id, 6, 12, 12, 1.0);
    s->canonical = (struct hf_grid){{20, 40, 40}, {{1, 0, 0, -7}, {0, 1, 0, 3}, {0, 0, 2, 50}}};
    s->grid = (struct hf_grid){{6, 12, 12}, {{2, 0, 0, 1.5}, {0, 2, 0, 11.5}, {0, 0, 4, 59}}};
    memset(mask, 0, sizeof mask);
    memset(small, 0, sizeof small);
    for (int i = 0; i < parts; i++)
        paint(mask, full, truth[i]);
    for (int i = 0; i < predictions; i++)
        paint(small, coarse, predicted[i]);
    for (int i = 0; i < 6 * 12 * 12; i++)
        soft[i] = small[i] ? 0.9f : 0.05f;
    harness_set(h, s, "truth", HF_ON_CANONICAL, HF_U8, 4, shape, mask);
    if (as_mask)
        harness_set_u8(h, s, "predicted", 1, small);
    else
        harness_set_f32(h, s, "predicted", 1, soft);
    return s;
}

static cJSON *scored(struct harness *h, const struct evaluate_options *o,
                     const struct hf_sample *const *in, int32_t n) {
    struct hf_error e = {0};
    struct hf_stage *s = harness_stage(h, &evaluate, o, "scores");
    if (harness_run(s, in, n, &e) != HF_OK)
        fail_msg("%s", e.text);
    harness_stage_free(s);
    cJSON *json = cJSON_Parse(harness_result(h));
    assert_non_null(json);
    return json;
}

static double number(const cJSON *json, const char *name) {
    const cJSON *item = cJSON_GetObjectItem(json, name);
    assert_non_null(item);
    return cJSON_IsNull(item) ? NAN : item->valuedouble;
}

static char *read_text(struct harness *h, const char *name) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", harness_folder(h), name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *text = calloc(1, 1 << 16);
    assert_non_null(text);
    (void)fread(text, 1, (1 << 16) - 1, f);
    (void)fclose(f);
    return text;
}

/* The coarse voxel (i, j, k) covers the fine ones from (4 + 2 i, 8 + 2 j, 8 + 2 k), two each. */
static void exact_prediction_on_a_coarse_grid(void **state) {
    (void)state;
    const struct part truth = {{6, 12, 14}, {10, 20, 24}}, predicted = {{1, 2, 3}, {3, 6, 8}};
    for (int as_mask = 0; as_mask < 2; as_mask++) {
        struct harness *h = harness_open();
        harness_add(h, &hf_plugin);
        const struct hf_sample *in = case_of(h, "a", &truth, 1, &predicted, 1, as_mask);
        cJSON *json = scored(h, &plain, &in, 1);
        assert_int_equal((int)number(json, "cases"), 1);
        /* Linear interpolation rounds the corners; nothing else may differ. */
        assert_true(number(json, "dice") > 0.95);
        assert_true(near(number(json, "dice"), number(json, "dice_global")));
        assert_true(near(number(json, "volume_truth_ml"), 4 * 8 * 10 * 2 / 1000.0));
        assert_true(number(json, "hd95") < 2.3);
        assert_true(near(number(json, "lesion_recall"), 1));
        assert_true(near(number(json, "lesion_precision_iou50"), 1));
        cJSON_Delete(json);
        harness_free_sample(h, in);
        harness_close(h);
    }
}

static void several_cases(void **state) {
    (void)state;
    struct harness *h = harness_open();
    harness_add(h, &hf_plugin);
    struct evaluate_options o = plain;
    o.truth = "tumor"; /* on the working grid: counts can be worked out by hand */
    const struct part none = {{0, 0, 0}, {0, 0, 0}};
    const struct part truth_a[2] = {{{0, 0, 0}, {2, 2, 2}}, {{4, 4, 4}, {6, 6, 6}}};
    const struct part predicted_a[2] = {{{0, 0, 0}, {2, 2, 1}}, {{0, 8, 8}, {1, 9, 9}}};
    uint8_t mask[6 * 12 * 12];
    const int64_t coarse[3] = {6, 12, 12};
    struct hf_sample *in[3];
    for (int i = 0; i < 3; i++) {
        const char *const ids[3] = {"a,1", "empty", "invented"};
        in[i] = case_of(h, ids[i], &none, 1, i == 0 ? predicted_a : &predicted_a[1],
                        i == 0   ? 2
                        : i == 1 ? 0
                                 : 1,
                        i == 0);
        memset(mask, 0, sizeof mask);
        if (i == 0)
            paint(mask, coarse, truth_a[0]), paint(mask, coarse, truth_a[1]);
        harness_set_u8(h, in[i], "tumor", 1, mask);
    }
    o.as = "three";
    cJSON *json = scored(h, &o, (const struct hf_sample *const *)in, 3);
    assert_string_equal(cJSON_GetObjectItem(json, "name")->valuestring, "three");
    /* a: truth 16, predicted 5, both 4. */
    double dice_a = 8.0 / 21;
    assert_int_equal((int)number(json, "cases"), 3);
    assert_true(near(number(json, "dice"), (dice_a + 1 + 0) / 3));
    assert_true(near(number(json, "dice_global"), 8.0 / 22));
    assert_true(near(number(json, "voe"), (1 - 4.0 / 17 + 0 + 1) / 3));
    assert_true(near(number(json, "rvd"), (-11.0 / 16 + 0) / 2));
    assert_true(near(number(json, "lesion_recall"), 0.5));
    assert_true(near(number(json, "lesion_precision"), 1.0 / 3));
    assert_true(near(number(json, "lesion_recall_iou50"), 0));
    assert_true(near(number(json, "volume_truth_ml"), 16 * 16 / 1000.0));
    assert_true(near(number(json, "volume_predicted_ml"), 6 * 16 / 1000.0));
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(json, "tuned_on_truth")));
    cJSON_Delete(json);
    char *csv = read_text(h, "scores/cases.csv");
    assert_non_null(strstr(csv, "case,patient,dice,voe,"));
    assert_non_null(strstr(csv, "\n\"a,1\",\"patient-a,1\",0.380952,"));
    assert_non_null(strstr(csv, "\nempty,patient-empty,1,0,0,9001,,,1,,,,9001,9001,9001,,,"
                                "0,0,0,0,0,0,0,0,0,0\n"));
    free(csv);
    char *cases = read_text(h, "scores/cases.json");
    json = cJSON_Parse(cases);
    assert_int_equal(cJSON_GetArraySize(json), 3);
    assert_true(isnan(number(cJSON_GetArrayItem(json, 2), "rvd")));
    assert_true(isnan(number(cJSON_GetArrayItem(json, 1), "assd")));
    cJSON_Delete(json);
    free(cases);
    assert_non_null(strstr(harness_report(h), "[\"invented\",0,0,"));
    for (int i = 0; i < 3; i++)
        harness_free_sample(h, in[i]);
    harness_close(h);
}

static void gate_and_minimum_volume(void **state) {
    (void)state;
    struct harness *h = harness_open();
    harness_add(h, &hf_plugin);
    struct evaluate_options o = plain;
    o.truth = "tumor";
    o.gate = (struct hf_names){1, {"liver"}};
    o.min_volume = 17; /* mm3: more than one voxel of 16 */
    const struct part none = {{0, 0, 0}, {0, 0, 0}};
    const struct part predicted[3] = {
        {{0, 0, 0}, {2, 2, 2}}, {{3, 8, 8}, {4, 9, 9}}, {{4, 0, 0}, {6, 2, 2}}};
    const struct part inside = {{0, 0, 0}, {4, 12, 12}};
    uint8_t mask[6 * 12 * 12] = {0};
    const int64_t coarse[3] = {6, 12, 12};
    struct hf_sample *in = case_of(h, "a", &none, 1, predicted, 3, 1);
    paint(mask, coarse, predicted[0]);
    harness_set_u8(h, in, "tumor", 1, mask);
    paint(mask, coarse, inside);
    harness_set_u8(h, in, "liver", 1, mask);
    const struct hf_sample *const list[1] = {in};
    cJSON *json = scored(h, &o, list, 1);
    assert_true(near(number(json, "dice"), 1));
    assert_true(near(number(json, "lesion_precision"), 1));
    assert_true(near(number(json, "assd"), 0));
    cJSON_Delete(json);
    o.gate.count = 0;
    o.min_volume = 0;
    json = scored(h, &o, list, 1);
    assert_true(near(number(json, "dice"), 16.0 / (8 + 8 + 1 + 8)));
    assert_true(near(number(json, "lesion_precision"), 1.0 / 3));
    cJSON_Delete(json);
    harness_free_sample(h, in);
    harness_close(h);
}

static void best_threshold_in_hu(void **state) {
    (void)state;
    struct harness *h = harness_open();
    harness_add(h, &hf_plugin);
    struct evaluate_options o = plain;
    o.field = "image";
    o.gate = (struct hf_names){1, {"segments"}};
    o.truth = "tumor";
    o.best_of = BEST_OF_THRESHOLDS;
    o.range = (struct hf_reals){2, {0, 200}};
    o.range_in = RANGE_HU;
    const struct part none = {{0, 0, 0}, {0, 0, 0}}, lesion = {{1, 2, 2}, {3, 6, 6}};
    const struct part segments = {{0, 0, 0}, {6, 8, 8}};
    const int64_t coarse[3] = {6, 12, 12}, two[1] = {2};
    struct hf_sample *in[2];
    for (int k = 0; k < 2; k++) {
        /* Windows differ, HU do not: the lesion has 60, liver 100; outside the gate 60 as well. */
        const float window[2][2] = {{-100, 300}, {0, 160}};
        float image[6 * 12 * 12];
        uint8_t tumor[6 * 12 * 12] = {0}, gate[6 * 12 * 12] = {0};
        paint(tumor, coarse, lesion);
        paint(gate, coarse, segments);
        for (int i = 0; i < 6 * 12 * 12; i++) {
            float hu = tumor[i] || !gate[i] ? 60 : 100;
            image[i] = (hu - window[k][0]) / (window[k][1] - window[k][0]);
        }
        in[k] = case_of(h, k ? "b" : "a", &none, 1, &none, 1, 1);
        harness_set_f32(h, in[k], "image", 1, image);
        harness_set_u8(h, in[k], "tumor", 1, tumor);
        harness_set_u8(h, in[k], "segments", 1, gate);
        harness_set(h, in[k], "window", HF_ON_HOST, HF_F32, 1, two, window[k]);
    }
    cJSON *json = scored(h, &o, (const struct hf_sample *const *)in, 2);
    assert_true(near(number(json, "dice"), 1));
    assert_true(near(number(json, "lesion_recall"), 1));
    assert_true(isnan(number(json, "lesion_precision")));
    double threshold = number(json, "threshold");
    assert_true(threshold > 60 && threshold <= 100);
    assert_string_equal(cJSON_GetObjectItem(json, "side")->valuestring, "below");
    assert_string_equal(cJSON_GetObjectItem(json, "threshold_unit")->valuestring, "HU");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "tuned_on_truth")));
    assert_non_null(strstr(harness_report(h), "tuned on this very truth"));
    cJSON_Delete(json);
    for (int k = 0; k < 2; k++)
        harness_free_sample(h, in[k]);
    harness_close(h);
}

static void cases_without_truth_are_named(void **state) {
    (void)state;
    struct harness *h = harness_open();
    struct hf_error e = {0};
    harness_add(h, &hf_plugin);
    const struct hf_sample *in = harness_sample(h, "c9", 2, 4, 4, 1.0);
    struct hf_stage *s = harness_stage(h, &evaluate, &plain, "scores");
    assert_int_equal(harness_run(s, &in, 1, &e), HF_OK);
    assert_non_null(strstr(harness_log(h), "'c9' has no truth"));
    assert_non_null(strstr(harness_log(h), "none of 1 samples"));
    assert_string_equal(harness_result(h), "");
    harness_stage_free(s);
    harness_free_sample(h, in);
    harness_close(h);
}

static void declares_what_it_reads(void **state) {
    (void)state;
    struct io_stub io;
    struct hf_error e = {0};
    struct evaluate_options o = plain;
    assert_int_equal(io_stub_declare(&io, &evaluate, &o, " ", &e), HF_OK);
    assert_non_null(strstr(io.text, "read predicted@0\nread truth@1\n"));
    o.best_of = BEST_OF_THRESHOLDS;
    o.min_volume = 20;
    assert_int_equal(io_stub_declare(&io, &evaluate, &o, " ", &e), HF_INVALID);
    o = plain;
    o.range = (struct hf_reals){2, {1, 1}};
    assert_int_equal(io_stub_declare(&io, &evaluate, &o, " ", &e), HF_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlap_by_hand),
        cmocka_unit_test(overlap_of_nothing),
        cmocka_unit_test(lesions_by_hand),
        cmocka_unit_test(lesions_against_the_matrix),
        cmocka_unit_test(surfaces_against_definition),
        cmocka_unit_test(percentile_by_hand),
        cmocka_unit_test(sweep_against_trying_all),
        cmocka_unit_test(exact_prediction_on_a_coarse_grid),
        cmocka_unit_test(several_cases),
        cmocka_unit_test(gate_and_minimum_volume),
        cmocka_unit_test(best_threshold_in_hu),
        cmocka_unit_test(cases_without_truth_are_named),
        cmocka_unit_test(declares_what_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
