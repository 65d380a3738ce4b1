/*
 * test_host.c - the host's services without a graph: tensors, samples, ops, files, DLPack, and the
 * CPU device's memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <hepaflow/dlpack.h>

#include "harness.h"
#include "run/run.h"

static int setup(void **state) {
    *state = harness_open();
    return 0;
}

static int teardown(void **state) {
    harness_close(*state);
    return 0;
}

static void tensors_have_the_layout_of_dlpack(void **state) {
    struct harness *h = *state;
    struct hf_error e;
    struct hf_tensor *t;
    struct hf_dl_managed *m;
    int64_t shape[4] = {2, 3, 4, 5};
    assert_int_equal(tensor_new(harness_host(h), harness_cpu(h), NULL, HF_F32, 4, shape, &t, &e),
                     HF_OK);
    assert_int_equal((uintptr_t)t->dl.data % 64, 0);
    assert_int_equal(t->bytes, 480);
    assert_int_equal(hf_tensor_to_dlpack(t, &m, &e), HF_OK);
    tensor_unref(t); /* what is lent lives on */
    /* Offsets of DLManagedTensorVersioned and DLTensor on a 64-bit machine, from DLPack 1.0. */
    const char *at = (const char *)m;
    assert_int_equal(*(const uint32_t *)at, 1);
    assert_ptr_equal(*(void *const *)(at + 8), t);
    assert_int_equal(*(const uint64_t *)(at + 24), 1); /* read-only */
    assert_ptr_equal(*(void *const *)(at + 32), t->dl.data);
    assert_int_equal(*(const int32_t *)(at + 40), 1);  /* kDLCPU */
    assert_int_equal(*(const int32_t *)(at + 44), 0);  /* its number */
    assert_int_equal(*(const int32_t *)(at + 48), 4);  /* ndim */
    assert_int_equal(*(const uint8_t *)(at + 52), 2);  /* kDLFloat */
    assert_int_equal(*(const uint8_t *)(at + 53), 32); /* bits */
    assert_int_equal(*(const uint16_t *)(at + 54), 1); /* lanes */
    const int64_t *dims = *(const int64_t *const *)(at + 56);
    const int64_t *strides = *(const int64_t *const *)(at + 64);
    assert_memory_equal(dims, shape, sizeof shape);
    assert_memory_equal(strides, ((int64_t[]){60, 20, 5, 1}), sizeof shape);
    assert_int_equal(*(const uint64_t *)(at + 72), 0);
    m->deleter(m);
}

static void impossible_tensors_are_refused(void **state) {
    struct harness *h = *state;
    struct hf_error e;
    struct hf_tensor *t = NULL;
    int64_t negative[2] = {4, -1}, huge[3] = {INT64_MAX / 2, 8, 8}, large[1] = {INT64_MAX / 8};
    const struct hf_host *host = harness_host(h);
    struct hf_device *d = harness_cpu(h);
    assert_int_equal(tensor_new(host, d, NULL, HF_F32, 2, negative, &t, &e), HF_INVALID);
    assert_int_equal(tensor_new(host, d, NULL, HF_F64, 3, huge, &t, &e), HF_INVALID);
    assert_int_equal(tensor_new(host, d, NULL, HF_U8, 1, large, &t, &e), HF_NO_MEMORY);
    assert_int_equal(tensor_new(host, d, NULL, HF_U8, 6, huge, &t, &e), HF_INVALID);
    assert_null(t);
}

static void memory_of_every_size_is_apart(void **state) {
    struct hf_device *d = harness_cpu(*state);
    struct hf_error e;
    enum {
        COUNT = 600
    };
    static uint8_t *block[COUNT];
    static size_t size[COUNT];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            void *p;
            size[i] = i < 520 ? (size_t)i + 1 : (size_t)(i - 519) * 997;
            assert_int_equal(d->methods->alloc(d, NULL, size[i], &p, &e), HF_OK);
            assert_int_equal((uintptr_t)p % 64, 0);
            block[i] = p;
            memset(p, i & 255, size[i]);
        }
        for (int i = 0; i < COUNT; i++) {
            for (size_t k = 0; k < size[i]; k++)
                assert_int_equal(block[i][k], i & 255);
            d->methods->free(d, block[i], size[i], NULL);
        }
    }
}

static void nothing_is_let_go(void **state) {
    const struct hf_host *host = harness_host(*state);
    host->tensor_unref(NULL);
    host->sample_unref(NULL);
    host->model_unref(NULL);
}

static void derived_samples_share_fields(void **state) {
    struct harness *h = *state;
    struct hf_error e;
    struct hf_sample *a = harness_sample(h, "case/1", 1, 2, 3, 1.5), *b;
    harness_set_u8(h, a, "liver", 1, NULL);
    harness_set_f32(h, a, "image", 2, NULL);
    assert_string_equal(a->case_id, "case");
    assert_int_equal(sample_derive(harness_host(h), a, "case/1/2", &b, &e), HF_OK);
    assert_ptr_equal(hf_sample_get(a, "image"), hf_sample_get(b, "image"));
    sample_drop(b, "liver");
    assert_null(hf_sample_get(b, "liver"));
    assert_non_null(hf_sample_get(a, "liver"));
    assert_int_equal(b->fields, 1);
    assert_true(b->grid.affine[1][1] == 1.5);
    assert_int_equal(sample_seal(b, &e), HF_OK);
    /* What has been emitted does not change any more. */
    tensor_ref(hf_sample_get(a, "liver"));
    assert_int_equal(sample_set(b, "liver", HF_ON_GRID, hf_sample_get(a, "liver"), &e), HF_INVALID);
    sample_drop(b, "image");
    assert_int_equal(b->fields, 1);
    sample_unref(a);
    sample_unref(b);
}

static void a_field_off_its_grid_is_refused(void **state) {
    struct harness *h = *state;
    struct hf_error e;
    struct hf_sample *a = harness_sample(h, "case", 1, 2, 3, 1);
    int64_t shape[4] = {1, 1, 2, 4};
    harness_set(h, a, "image", HF_ON_GRID, HF_F32, 4, shape, NULL);
    assert_int_equal(sample_seal(a, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "'image'"));
    assert_non_null(strstr(e.text, "1 x 2 x 3"));
    sample_drop(a, "image");
    harness_set(h, a, "counts", HF_ON_HOST, HF_I32, 1, shape, NULL);
    assert_int_equal(sample_seal(a, &e), HF_OK);
    sample_unref(a);
}

static void samples_hold_a_bounded_number_of_fields(void **state) {
    struct harness *h = *state;
    struct hf_error e;
    struct hf_sample *a = harness_sample(h, "case", 1, 1, 1, 1);
    char name[HF_FIELD_NAME + 8];
    for (int i = 0; i < HF_MAX_FIELDS; i++) {
        (void)snprintf(name, sizeof name, "f%d", i);
        harness_set_u8(h, a, name, 1, NULL);
    }
    struct hf_tensor *t = hf_sample_get(a, "f0");
    tensor_ref(t);
    assert_int_equal(sample_set(a, "more", HF_ON_GRID, t, &e), HF_INVALID);
    tensor_ref(t);
    assert_int_equal(sample_set(a, "a_name_that_is_longer_than_a_field", HF_ON_GRID, t, &e),
                     HF_INVALID);
    sample_unref(a);
}

static void launched_ops_run_on_the_cpu(void **state) {
    struct harness *h = *state;
    struct hf_error e;
    const struct hf_host *host = harness_host(h);
    struct hf_sample *a = harness_sample(h, "case", 1, 1, 4, 1);
    harness_set_u8(h, a, "mask", 1, (const uint8_t[]){0, 1, 0, 0});
    struct hf_stage s = {.host = host, .device = harness_cpu(h), .name = "test"};
    struct hf_tensor *out;
    assert_int_equal(hf_tensor_new(&s, HF_F32, 4, (int64_t[]){1, 1, 1, 4}, &out, &e), HF_OK);
    struct hf_distance_params params = {{1, 1, 2}};
    struct hf_op_call call = {.in = {hf_sample_get(a, "mask")},
                              .out = {out},
                              .inputs = 1,
                              .outputs = 1,
                              .params = &params,
                              .params_size = sizeof params};
    assert_int_equal(hf_launch(&s, "distance", &call, &e), HF_OK);
    const float expected[4] = {2, 0, 2, 4};
    assert_memory_equal(out->dl.data, expected, sizeof expected);
    assert_int_equal(hf_launch(&s, "no such op", &call, &e), HF_NOT_FOUND);
    tensor_unref(out);
    sample_unref(a);
}

/* y = 2 x + 1 on the executor's thread: the output is there once its event has happened. */
static void the_cpu_runs_networks(void **state) {
    struct harness *h = *state;
    struct hf_error e;
    const struct hf_host *host = harness_host(h);
    struct hf_device *d = harness_cpu(h);
    struct hf_stage s = {.host = host, .device = d, .name = "test"};
    struct hf_layer l = {
        .kind = HF_LAYER_CONV, .name = "head", .inputs = 1, .channels = 1, .bias = 1};
    const float params[2] = {2, 1};
    const int64_t shape[5] = {1, 1, 1, 2, 3};
    struct hf_exec_spec spec = {.mode = HF_EXEC_FORWARD, .shape = {1, 1, 1, 2, 3}};
    struct hf_net *net;
    struct hf_executable *x;
    struct hf_tensor *in, *out;
    assert_int_equal(host->net_new(2, 1, &net, &e), HF_OK);
    assert_int_equal(host->net_add(net, &l, NULL, &e), HF_OK);
    assert_int_equal(d->methods->compile(d, NULL, net, &spec, &x, &e), HF_OK);
    assert_int_equal(x->methods->set_params(x, params, &e), HF_OK);
    assert_int_equal(hf_tensor_new(&s, HF_F32, 5, shape, &in, &e), HF_OK);
    assert_int_equal(hf_tensor_new(&s, HF_F32, 5, shape, &out, &e), HF_OK);
    for (int i = 0; i < 6; i++)
        HF_DATA(float, in)[i] = (float)i;
    assert_int_equal(x->methods->forward(x, in, out, &e), HF_OK);
    assert_int_equal(tensor_wait(out, &e), HF_OK);
    for (int i = 0; i < 6; i++)
        assert_true(HF_DATA(float, out)[i] == 2 * (float)i + 1);
    assert_non_null(strstr(d->methods->describe(d), "oneDNN"));
    tensor_unref(out);
    tensor_unref(in);
    x->methods->destroy(x);
    host->net_free(net);
}

static void files_are_whole_or_not_there(void **state) {
    struct harness *h = *state;
    struct hf_error e;
    const struct hf_host *host = harness_host(h);
    char path[300], folder[256];
    void *bytes;
    size_t size;
    struct hf_stage s = {.host = host, .name = "test", .out_dir = harness_folder(h)};
    assert_int_equal(host->folder(&s, "a/b", folder, sizeof folder, &e), HF_OK);
    (void)snprintf(path, sizeof path, "%s/x", folder);
    assert_int_equal(host->write_file(path, "first", 5, &e), HF_OK);
    assert_int_equal(host->write_file(path, "second", 6, &e), HF_OK);
    assert_int_equal(host->file_take(host, path, &bytes, &size, &e), HF_OK);
    assert_int_equal(size, 6);
    assert_memory_equal(bytes, "second", 6);
    host->file_free(host, bytes);
    assert_int_equal(host->file_take(host, folder, &bytes, &size, &e), HF_IO);
    assert_non_null(strstr(e.text, "is a folder"));
    assert_int_equal(host->write_file(folder, "x", 1, &e), HF_IO);
    (void)snprintf(path, sizeof path, "%s/none", folder);
    assert_int_equal(host->file_take(host, path, &bytes, &size, &e), HF_NOT_FOUND);
    assert_int_equal(host->folder(&s, "a/b/x", folder, sizeof folder, &e), HF_IO);
}

/* A full disk, as a limit on the size of files has it. */
static void a_failed_write_leaves_the_old_file(void **state) {
    struct harness *h = *state;
    struct hf_error e;
    const struct hf_host *host = harness_host(h);
    char path[300];
    void *bytes, *large = calloc(1, 1 << 20);
    size_t size;
    assert_non_null(large);
    (void)snprintf(path, sizeof path, "%s/x", harness_folder(h));
    assert_int_equal(host->write_file(path, "first", 5, &e), HF_OK);
    struct rlimit old, low;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low = (struct rlimit){65536, old.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    enum hf_status st = host->write_file(path, large, 1 << 20, &e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(st, HF_IO);
    assert_non_null(strstr(e.text, path));
    assert_int_equal(host->file_take(host, path, &bytes, &size, &e), HF_OK);
    assert_int_equal(size, 5);
    host->file_free(host, bytes);
    DIR *folder = opendir(harness_folder(h));
    int entries = 0;
    while (readdir(folder))
        entries++;
    closedir(folder);
    assert_int_equal(entries, 3); /* ".", ".." and "x" */
    free(large);
}

/* ---- an executable of an earlier interface ---- */

static bool destroyed;

static void small_destroy(struct hf_executable *x) {
    (void)x;
    destroyed = true;
}

static enum hf_status small_compile(struct hf_device *d, struct hf_queue *q,
                                    const struct hf_net *net, const struct hf_exec_spec *spec,
                                    struct hf_executable **ret, struct hf_error *e) {
    static const struct hf_executable_methods methods = {
        .size = offsetof(struct hf_executable_methods, memory), .destroy = small_destroy};
    static struct hf_executable x = {&methods};
    (void)d, (void)q, (void)net, (void)spec, (void)e;
    *ret = &x;
    return HF_OK;
}

static void a_small_executable_is_refused(void **state) {
    (void)state;
    struct hf_error e;
    const struct hf_device_methods methods = {.size = sizeof methods, .compile = small_compile};
    struct hf_device d = {.methods = &methods};
    struct hf_stage s = {.name = "fill", .device = &d};
    struct hf_exec_spec spec = {.mode = HF_EXEC_FORWARD};
    struct hf_executable *x = NULL;
    assert_int_equal(hf_compile(&s, NULL, &spec, &x, &e), HF_ABI);
    assert_null(x);
    assert_true(destroyed);
    assert_non_null(strstr(e.text, "stage 'fill': the device's networks have a table of methods"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tensors_have_the_layout_of_dlpack, setup, teardown),
        cmocka_unit_test_setup_teardown(impossible_tensors_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_of_every_size_is_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_let_go, setup, teardown),
        cmocka_unit_test_setup_teardown(derived_samples_share_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(a_field_off_its_grid_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(samples_hold_a_bounded_number_of_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(launched_ops_run_on_the_cpu, setup, teardown),
        cmocka_unit_test_setup_teardown(the_cpu_runs_networks, setup, teardown),
        cmocka_unit_test_setup_teardown(files_are_whole_or_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_write_leaves_the_old_file, setup, teardown),
        cmocka_unit_test(a_small_executable_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
