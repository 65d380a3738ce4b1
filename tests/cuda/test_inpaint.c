/*
 * test_inpaint.c - the CUDA ops of inpaint beside the CPU's, and those that spot and segment have
 * as well: survey, gather, add, finish.
 */
#include "kit.h"
#include "sizes.h"

#include "../../stages/infer/lattice.c"
#include "../../stages/infer/ops.h"
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

static void turn(void **state) {
    (void)state;
    struct turn_params p = {9};
    EACH_SIZE(size) {
        struct hf_tensor *t[3] = {sized_mask(size, 0.7, 6), sized_mask(size, 0.6, 7),
                                  sized(HF_U8, 1, size)};
        struct hf_op_call call = KIT_CALL(t[0], t[2], p);
        call.in[call.inputs++] = t[1];
        kit_compare("inpaint.turn", &call, &exact);
        struct hf_op_call all = {.out = {t[2]}, .outputs = 1};
        kit_compare("inpaint.everywhere", &all, &exact);
        free_all(t, 3);
    }
}

/* Tiles smaller than the volume, larger, and as flat as slices. */
static struct infer_lattice lattice_of(const int64_t *size, int kind) {
    const int64_t tiles[3][3] = {{1, size[2], size[3]}, {3, 7, 5}, {size[1] + 2, 4, size[3] + 3}};
    return infer_lattice_make(size + 1, tiles[kind], 0.5);
}

static void survey_of(const char *stage, const int64_t *size) {
    const double shares[] = {0, 0.01, 1};
    for (int i = 0; i < 3; i++) {
        struct infer_lattice l = lattice_of(size, i);
        int64_t tiles = infer_lattice_tiles(&l);
        struct hf_tensor *t[3] = {sized_mask(size, shares[2 - i], 6), kit_tensor(HF_U8, 1, &tiles),
                                  sized(HF_F32, size[0], size)};
        struct hf_op_call call = KIT_CALL(t[0], t[1], l);
        call.out[call.outputs++] = t[2];
        kit_compare(op_of(stage, "survey"), &call, &exact);
        free_all(t, 3);
    }
}

/* Some tiles of a volume, in no order, mirrored in all ways, with places that are empty. */
static struct infer_batch batch_of(const int64_t *size, int kind, int64_t count) {
    struct infer_batch b = {.lattice = lattice_of(size, kind), .share = 0.25f};
    int64_t tiles = infer_lattice_tiles(&b.lattice), place[3];
    for (int64_t n = 0; n < INFER_MAX_BATCH; n++)
        b.piece[n].place[0] = -1;
    for (int64_t n = 0; n < count && n < tiles + 2; n++) {
        infer_places(&b.lattice, (5 * n + 3) % tiles, place);
        if (n % 4 != 2)
            b.piece[n] = (struct infer_piece){
                {(int32_t)place[0], (int32_t)place[1], (int32_t)place[2]}, (int32_t)(n * 3 % 8)};
    }
    return b;
}

static struct hf_tensor *stack_of(const struct infer_batch *b, int64_t count, int64_t channels) {
    const int64_t shape[5] = {count, channels, b->lattice.tile[0], b->lattice.tile[1],
                              b->lattice.tile[2]};
    return kit_tensor(HF_F32, 5, shape);
}

/* Beyond the volume there is nothing but, without `ends`, what its border has: no 0 in the image.
 */
static void check_ends(const struct infer_batch *b, const struct hf_tensor *out) {
    const struct infer_lattice *l = &b->lattice;
    int64_t plane = l->tile[1] * l->tile[2], voxels = l->tile[0] * plane;
    for (int64_t n = 0; n < out->shape[0]; n++)
        for (int64_t i = 0; i < voxels && b->piece[n].place[0] >= 0; i++) {
            const int64_t at[3] = {i / plane, i / l->tile[2] % l->tile[1], i % l->tile[2]};
            int inside = 1;
            for (int a = 0; a < 3; a++) {
                int64_t from = b->piece[n].flip >> (2 - a) & 1 ? l->tile[a] - 1 - at[a] : at[a];
                from += infer_start(l, a, b->piece[n].place[a]);
                inside = inside && from >= 0 && from < l->size[a];
            }
            float v = HF_DATA(float, out)[n * out->shape[1] * voxels + i];
            assert_int_equal(v != 0, inside || !b->ends);
        }
}

static void gather_of(const char *stage, const int64_t *size) {
    for (int kind = 0; kind < 3; kind++) {
        struct infer_batch b = batch_of(size, kind, 8);
        struct hf_tensor *t[4] = {sized_random(HF_F32, size[0], size, 1, 2, 7),
                                  sized_mask(size, 0.5, 8), sized_random(HF_F32, 1, size, 0, 1, 9),
                                  stack_of(&b, 8, size[0] + 2)};
        struct hf_op_call call = KIT_CALL(t[0], t[3], b);
        call.in[call.inputs++] = t[1];
        call.in[call.inputs++] = t[2];
        for (b.ends = 0; b.ends < 2; b.ends++) {
            kit_compare(op_of(stage, "gather"), &call, &exact);
            check_ends(&b, t[3]);
        }
        free_all(t, 4);
    }
}

static void add_of(const char *stage, const int64_t *size) {
    for (int kind = 0; kind < 3; kind++) {
        struct infer_batch b = batch_of(size, kind, 7);
        int64_t weights = infer_weights_count(&b.lattice);
        struct hf_tensor *t[3] = {stack_of(&b, 7, size[0] + kind), kit_tensor(HF_F32, 1, &weights),
                                  sized_random(HF_F32, size[0], size, 2, 3, 11)};
        kit_random(t[0], -30, 30, 12);
        infer_weights(&b.lattice, INFER_GAUSSIAN, HF_DATA(float, t[1]));
        struct hf_op_call call = KIT_CALL(t[0], t[2], b);
        call.in[call.inputs++] = t[1];
        struct kit_limits limits = exact;
        limits.keep = 1; /* added to what was there */
        kit_compare(op_of(stage, "add"), &call, &limits);
        free_all(t, 3);
    }
}

static void finish_of(const char *stage, const int64_t *size) {
    for (int32_t activation = INFER_NONE; activation <= INFER_SOFTMAX; activation++) {
        struct infer_finish_params p = {activation};
        int64_t kept = size[0], channels = kept + (activation == INFER_SOFTMAX);
        struct hf_tensor *t[3] = {sized_random(HF_F32, channels, size, -30, 30, 12),
                                  sized_mask(size, 0.7, 10), sized(HF_F32, kept, size)};
        struct hf_op_call call = KIT_CALL(t[0], t[2], p);
        call.in[call.inputs++] = t[1];
        const struct kit_limits *limits = activation == INFER_NONE ? &exact : &libm;
        kit_compare(op_of(stage, "finish"), &call, limits);
        call.out[0] = t[0];
        if (kept == channels)
            kit_compare(op_of(stage, "finish"), &call, limits);
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

static void add(void **state) {
    (void)state;
    EACH_SIZE(size) {
        add_of("inpaint", size);
    }
}

static void finish(void **state) {
    (void)state;
    EACH_SIZE(size) {
        finish_of("inpaint", size);
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
        add_of(stages[i], size);
        finish_of(stages[i], size);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blank),  cmocka_unit_test(merge),           cmocka_unit_test(turn),
        cmocka_unit_test(survey), cmocka_unit_test(gather),          cmocka_unit_test(add),
        cmocka_unit_test(finish), cmocka_unit_test(spot_and_segment)};
    return KIT_RUN("inpaint", tests);
}
