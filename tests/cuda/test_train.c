/*
 * test_train.c - the CUDA ops of `train` beside the CPU's.
 */
#include "kit.h"
#include "sizes.h"

#include "../../stages/train/ops.h"

enum {
    CHANNELS = 6 /* of a slice */
};

static void take_as(enum hf_dtype dtype, const int64_t *size, int32_t classes) {
    const int64_t shape[4] = {CHANNELS, 1, size[2], size[3]};
    for (int64_t d = 0; d < size[1]; d += 3) {
        struct train_take_params p = {{d, 0, 0}, 2, classes, 0, 1};
        int64_t channels = classes ? 1 : size[0];
        struct hf_tensor *t[2] = {sized_random(dtype, channels, size, 0, 4, 1),
                                  kit_tensor(HF_F32, 4, shape)};
        kit_random(t[1], 5, 6, 2); /* the channels of others stay as they are */
        struct hf_op_call call = KIT_CALL(t[0], t[1], p);
        kit_compare("train.take", &call, &(struct kit_limits){.keep = 1});
        free_all(t, 2);
    }
}

static void take(void **state) {
    (void)state;
    EACH_SIZE(size) {
        take_as(HF_U8, size, 0);
        take_as(HF_F32, size, 0);
        take_as(HF_U8, size, 4);
        take_as(HF_F32, size, 4);
    }
}

/* Several fields at once: inputs, a label map, a weight; or no label map among them. */
static void take_many(void **state) {
    (void)state;
    EACH_SIZE(size) {
        const int64_t shape[4] = {size[0] + 7, 1, size[2], size[3]};
        for (int32_t labels = 1; labels < 5; labels += 3) {
            struct train_take_params p = {{size[1] - 1, 0, 0}, 1, 4, labels, 2};
            struct hf_tensor *t[4] = {sized_random(HF_F32, size[0], size, 0, 1, 1),
                                      sized_random(HF_U8, 1, size, 0, 4, 2),
                                      sized_mask(size, 0.5, 3), kit_tensor(HF_F32, 4, shape)};
            kit_random(t[3], 5, 6, 4);
            struct hf_op_call call = KIT_CALL(t[0], t[3], p);
            call.in[call.inputs++] = t[1];
            call.in[call.inputs++] = t[2];
            kit_compare("train.take", &call, &(struct kit_limits){.keep = 1});
            free_all(t, 4);
        }
    }
}

/* Patches within the volume, over its borders, larger than it, and with nothing of it. */
static void take_patches(void **state) {
    (void)state;
    EACH_SIZE(size) {
        const int64_t shapes[3][4] = {
            {size[0] + 5, size[1] + 3, size[2] / 2 + 1, size[3] + 2},
            {size[0] + 5, 1, size[2] / 2 + 1, size[3] / 2 + 1},
            {size[0] + 5, size[1] / 2 + 1, size[2] + 5, size[3] / 3 + 1},
        };
        for (int k = 0; k < 3; k++) {
            struct train_take_params p = {
                {1 - k, k * size[2] / 3, -k - 1}, 0, k == 1 ? 4 : 0, 1, 2};
            struct hf_tensor *t[4] = {sized_random(HF_F32, size[0], size, 0, 1, 1),
                                      sized_random(HF_U8, 1, size, 0, 4, 2),
                                      sized_mask(size, 0.5, 3), kit_tensor(HF_F32, 4, shapes[k])};
            struct hf_op_call call = KIT_CALL(t[0], t[3], p);
            call.in[call.inputs++] = t[1];
            call.in[call.inputs++] = t[2];
            kit_random(t[3], 5, 6, 4);
            kit_compare("train.take", &call, &(struct kit_limits){.keep = 1});
            p.start[2] = size[3] + 7;
            kit_compare("train.take", &call, &(struct kit_limits){.keep = 1});
            free_all(t, 4);
        }
    }
}

static void pick(void **state) {
    (void)state;
    EACH_SIZE(size) {
        const int64_t draws = 5;
        int32_t last = (int32_t)size[1] - 1;
        struct train_pick_params p = {{{last, 0}, {0, 3}, {last / 2, 1000000}, {last, 40}, {0, 1}}};
        struct hf_tensor *t[4] = {sized_random(HF_F32, size[0], size, 0, 1, 5),
                                  sized_mask(size, 0.2, 6), kit_tensor(HF_I32, 1, &draws),
                                  sized_mask(size, 0, 7)};
        for (int i = 0; i < 4; i += i == 1 ? 2 : 1) {
            struct hf_op_call call = KIT_CALL(t[i], t[2], p);
            kit_compare("train.pick", &call, &exact);
        }
        free_all(t, 4);
    }
}

static void put(void **state) {
    (void)state;
    EACH_SIZE(size) {
        const int64_t slice[4] = {CHANNELS, 2, size[2], size[3]};
        const int64_t batch[5] = {5, 2, 2, size[2], size[3]};
        for (int64_t n = 0; n < 3; n++) {
            struct train_put_params p = {n, (int32_t)n + 1};
            struct hf_tensor *t[4] = {kit_tensor(HF_F32, 4, slice), kit_tensor(HF_F32, 4, slice),
                                      kit_tensor(HF_F32, 4, slice), kit_tensor(HF_F32, 5, batch)};
            for (int i = 0; i < 4; i++)
                kit_random(t[i], i, i + 1, 3);
            struct hf_op_call call = KIT_CALL(t[0], t[3], p);
            for (int i = 1; i <= n; i++)
                call.in[call.inputs++] = t[i];
            kit_compare("train.put", &call, &(struct kit_limits){.keep = 1});
            free_all(t, 4);
        }
    }
}

static void profile(void **state) {
    (void)state;
    EACH_SIZE(size) {
        struct hf_tensor *t[4] = {sized_random(HF_F32, size[0], size, 0, 1, 5),
                                  sized_mask(size, 0.2, 6), kit_tensor(HF_F32, 1, size + 1),
                                  sized_mask(size, 0, 7)};
        HF_DATA(float, t[0])[0] = 0.5f; /* does not exceed one half */
        for (int i = 0; i < 4; i += i == 1 ? 2 : 1) {
            struct hf_op_call call = {.in = {t[i]}, .out = {t[2]}, .inputs = 1, .outputs = 1};
            kit_compare("train.profile", &call, &exact);
        }
        free_all(t, 4);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(take),         cmocka_unit_test(take_many),
                                       cmocka_unit_test(take_patches), cmocka_unit_test(put),
                                       cmocka_unit_test(profile),      cmocka_unit_test(pick)};
    return KIT_RUN("train", tests);
}
