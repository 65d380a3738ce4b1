/**
 * plan.c - which anatomy, which split and which voxel grid a phantom case has.
 */
#include "phantom.h"

#include <stdio.h>

enum {
    TRAIN_ANATOMIES = PHANTOM_ANATOMIES - PHANTOM_TEST_ANATOMIES
};

int64_t phantom_train_count(const struct phantom_params *p) {
    int64_t test = (int64_t)((double)p->cases * p->test + 0.5);
    if (test == 0 && p->test > 0 && p->cases > 1)
        test = 1;
    return p->cases - test;
}

/** The i-th number of a random order of 0 .. n-1. */
static int32_t shuffled(struct hf_rng rng, int32_t n, int32_t i) {
    int32_t order[PHANTOM_ANATOMIES];
    for (int32_t k = 0; k < n; k++)
        order[k] = k;
    for (int32_t k = n - 1; k > 0; k--) {
        int32_t other = (int32_t)hf_rng_below(&rng, (uint32_t)k + 1), held = order[k];
        order[k] = order[other];
        order[other] = held;
    }
    return order[i];
}

struct phantom_plan phantom_case_plan(const struct phantom_params *p, uint64_t seed,
                                      int64_t index) {
    struct phantom_plan plan = {0};
    int64_t train = phantom_train_count(p);
    plan.test = index >= train;
    int64_t nth = plan.test ? index - train : index;
    int32_t pool = plan.test ? PHANTOM_TEST_ANATOMIES : TRAIN_ANATOMIES;
    const char *split = plan.test ? "test" : "train";
    struct hf_rng rng = hf_rng_init(seed, "phantom.order", split, 0);
    plan.anatomy = shuffled(rng, pool, (int32_t)(nth % pool));
    if (plan.test)
        plan.anatomy += TRAIN_ANATOMIES;
    double share = plan.test ? p->test_healthy : p->healthy;
    plan.healthy =
        (int64_t)((double)(nth + 1) * share + 0.5) > (int64_t)((double)nth * share + 0.5);
    /* steps of the golden section: any few cases in a row differ, whatever the seed */
    rng = hf_rng_init(seed, "phantom.uptake", split, 0);
    double uptake = (double)hf_rng_uniform(&rng) + 0.6180339887 * (double)nth;
    plan.uptake = (float)(uptake - floor(uptake));
    (void)snprintf(plan.id, sizeof plan.id, "%s-%03d", split, (int)nth);
    /* all draws of an anatomy are one patient, so that none is learned from and validated on */
    (void)snprintf(plan.patient, sizeof plan.patient, "%s", phantom_anatomy_names[plan.anatomy]);
    return plan;
}

void phantom_grid_turn(const struct hf_grid *canonical, const char *code, struct hf_grid *ret) {
    static const char *const toward[3] = {"RL", "AP", "SI"};
    struct hf_grid file = {{0}, {{0}}};
    for (int k = 0; k < 3; k++)
        file.affine[k][3] = canonical->affine[k][3];
    for (int j = 0; j < 3; j++)
        for (int a = 0; a < 3; a++) {
            int back = code[j] == toward[a][1];
            if (code[j] != toward[a][0] && !back)
                continue;
            int64_t n = canonical->size[2 - a];
            file.size[2 - j] = n;
            for (int k = 0; k < 3; k++) {
                double step = canonical->affine[k][a];
                file.affine[k][j] = back ? -step : step;
                if (back)
                    file.affine[k][3] += (double)(n - 1) * step;
            }
        }
    *ret = file;
}

static double between(struct hf_rng *r, const double range[2]) {
    return range[0] + (range[1] - range[0]) * (double)hf_rng_uniform(r);
}

void phantom_grids_draw(const struct phantom_params *p, const float extent[3], struct hf_rng rng,
                        struct phantom_case *c) {
    /* mostly what scanners and converters write, and some that catch a wrong reader */
    static const char *const codes[] = {"LPS", "LPS", "LPS", "RAS", "RAS", "LAS",
                                        "LAS", "RPS", "LPI", "RAI", "PIR", "ASL"};
    struct hf_rng *r = &rng;
    /* hundredths of a millimetre, as headers have them */
    double plane = floor(between(r, p->spacing) * 100 + 0.5) / 100;
    double slice = floor(between(r, p->slice) * 100 + 0.5) / 100;
    const double step[3] = {plane, plane, slice};
    struct hf_grid *g = &c->canonical;
    for (int a = 0; a < 3; a++) {
        int64_t n = (int64_t)ceil((double)extent[a] / step[a]) + 1;
        g->size[2 - a] = n;
        c->grid.n[2 - a] = (int32_t)n;
        c->grid.mm[2 - a] = (float)step[a];
        for (int k = 0; k < 4; k++)
            g->affine[a][k] = 0;
        g->affine[a][a] = step[a];
        double origin = a == 2 ? -300 + 600 * (double)hf_rng_uniform(r)
                               : -0.5 * (double)(n - 1) * step[a] + 20 * (double)hf_rng_normal(r);
        g->affine[a][3] = floor(origin * 100 + 0.5) / 100;
    }
    uint32_t draw = hf_rng_below(r, (uint32_t)(sizeof codes / sizeof *codes));
    phantom_grid_turn(g, p->turned ? codes[draw] : "RAS", &c->file);
}
