/*
 * test_inpaint.c - the CUDA ops of inpaint beside the CPU's, and those that spot and segment have
 * as well: survey, gather, scatter.
 */
#include "kit.h"
#include "sizes.h"

#include "../../stages/infer/infer.h"
#include "../../stages/inpaint/ops.h"

/* exp of the C library and of CUDA */
static const struct kit_limits libm = {.max = 1e-6, .l2 = 1e-6};

static const char *op_of(const char *stage, const char *verb) {
    static char name[64];
    (void)snprintf(name, sizeof name, "%s.%s", stage, verb);
    return name;
}

static void blank(void **state) {
    (void)state;
    struct blank_params p = {0.5f};
    EACH_SIZE(size) {
        struct hf_tensor *t[3] = {sized_random(HF_F32, 1, size, 0, 1, 1), sized_mask(size, 0.4, 2),
                                  sized(HF_F32, 1, size)};
        struct hf_op_call call = KIT_CALL(t[0], t[2], p);
        call.in[call.inputs++] = t[1];
        kit_compare("inpaint.blank", &call, &exact);
        free_all(t, 3);
    }
}

static void merge(void **state) {
    (void)state;
    EACH_SIZE(size) {
        struct hf_tensor *t[5] = {sized_random(HF_F32, 1, size, 0, 1, 3), sized_mask(size, 0.4, 4),
                                  sized_random(HF_F32, 1, size, 0, 1, 5), sized(HF_F32, 1, size),
                                  sized(HF_F32, 1, size)};
        struct hf_op_call call = {
            .in = {t[0], t[1], t[2]}, .out = {t[3], t[4]}, .inputs = 3, .outputs = 2};
        kit_compare("inpaint.merge", &call, &exact);
        free_all(t, 5);
    }
}

static void survey_of(const char *stage, const int64_t *size) {
    const double shares[] = {0, 0.01, 1};
    for (int i = 0; i < 3; i++) {
        struct hf_tensor *t[3] = {sized_mask(size, shares[i], 6), kit_tensor(HF_U8, 1, size + 1),
                                  sized(HF_F32, size[0], size)};
        struct hf_op_call call = {.in = {t[0]}, .out = {t[1], t[2]}, .inputs = 1, .outputs = 2};
        kit_compare(op_of(stage, "survey"), &call, &exact);
        free_all(t, 3);
    }
}

/* Some slices of a volume, in no order, with places that are empty. */
static void choose(int32_t slice[INFER_MAX_BATCH], int64_t depth, int64_t batch) {
    for (int64_t n = 0; n < INFER_MAX_BATCH; n++)
        slice[n] = -1;
    for (int64_t n = 0; n < batch && n < depth; n++)
        slice[(3 * n + 1) % batch] = (int32_t)(depth - 1 - n);
}

static void gather_of(const char *stage, const int64_t *size) {
    const int64_t batch = 8, shape[5] = {batch, size[0] + 2, 1, size[2], size[3]};
    struct infer_gather_params p;
    choose(p.slice, size[1], batch);
    struct hf_tensor *t[4] = {sized_random(HF_F32, size[0], size, -1, 1, 7),
                              sized_mask(size, 0.5, 8), sized_random(HF_F32, 1, size, 0, 1, 9),
                              kit_tensor(HF_F32, 5, shape)};
    struct hf_op_call call = KIT_CALL(t[0], t[3], p);
    call.in[call.inputs++] = t[1];
    call.in[call.inputs++] = t[2];
    kit_compare(op_of(stage, "gather"), &call, &exact);
    free_all(t, 4);
}

static void scatter_of(const char *stage, const int64_t *size) {
    for (int32_t activation = INFER_NONE; activation <= INFER_SOFTMAX; activation++) {
        const int64_t batch = 5;
        int64_t kept = size[0], channels = kept + (activation == INFER_SOFTMAX);
        const int64_t shape[5] = {batch, channels, 1, size[2], size[3]};
        struct infer_scatter_params p = {.activation = activation};
        choose(p.slice, size[1], batch);
        struct hf_tensor *t[3] = {kit_tensor(HF_F32, 5, shape), sized_mask(size, 0.7, 10),
                                  sized_random(HF_F32, kept, size, 2, 3, 11)};
        kit_random(t[0], -30, 30, 12);
        struct hf_op_call call = KIT_CALL(t[0], t[2], p);
        struct kit_limits limits = activation == INFER_NONE ? exact : libm;
        limits.keep = 1; /* slices that are not in the batch stay as they were */
        kit_compare(op_of(stage, "scatter"), &call, &limits);
        call.in[call.inputs++] = t[1];
        kit_compare(op_of(stage, "scatter"), &call, &limits);
        free_all(t, 3);
    }
}

static void survey(void **state) {
    (void)state;
    EACH_SIZE(size) {
        survey_of("inpaint", size);
    }
}

static void gather(void **state) {
    (void)state;
    EACH_SIZE(size) {
        gather_of("inpaint", size);
    }
}

static void scatter(void **state) {
    (void)state;
    EACH_SIZE(size) {
        scatter_of("inpaint", size);
    }
}

static void spot_and_segment(void **state) {
    (void)state;
    const int64_t size[4] = {2, 3, 9, 13};
    const char *const stages[2] = {"spot", "segment"};
    for (int i = 0; i < 2; i++) {
        kit_load(stages[i]);
        survey_of(stages[i], size);
        gather_of(stages[i], size);
        scatter_of(stages[i], size);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blank),  cmocka_unit_test(merge),   cmocka_unit_test(survey),
        cmocka_unit_test(gather), cmocka_unit_test(scatter), cmocka_unit_test(spot_and_segment)};
    return KIT_RUN("inpaint", tests);
}
