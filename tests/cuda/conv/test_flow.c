/*
 * test_flow.c - conv.c on a machine without a GPU: plans for a described H200 from the real cuDNN,
 * with a stand-in for what needs the device. It looks into every variant pack that is executed, and
 * makes time pass: as much as the test says that a plan takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>
#include <cudnn_graph.h>

#include "../../harness.h"
#include "described.h"

/* ---- the stand-in ---- */

enum {
    PLANS = 40
};

static struct {
    float clock; /* ms */
    float cost[PLANS];
    int fails[PLANS]; /* the plan cannot be executed */
    cudnnBackendDescriptor_t plan[PLANS];
    int plans, executed, allocated, events, no_memory;
    size_t version; /* of cuDNN; 0: as it is */
    int64_t count, uid[8];
    void *data[8], *workspace;
} gpu;

static int plan_index(cudnnBackendDescriptor_t plan) {
    for (int i = 0; i < gpu.plans; i++)
        if (gpu.plan[i] == plan)
            return i;
    assert_in_range(gpu.plans, 0, PLANS - 1);
    gpu.plan[gpu.plans] = plan;
    return gpu.plans++;
}

/* cuDNN does not say what a variant pack holds. */
static cudnnStatus_t watched_set(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                                 cudnnBackendAttributeType_t type, int64_t count,
                                 const void *values) {
    assert_in_range(count, 1, 8);
    if (name == CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS) {
        memcpy(gpu.uid, values, (size_t)count * sizeof *gpu.uid);
        gpu.count = count;
    } else if (name == CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS) {
        memcpy(gpu.data, values, (size_t)count * sizeof *gpu.data);
        assert_int_equal(count, gpu.count);
    } else {
        assert_int_equal(name, CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
        memcpy(&gpu.workspace, values, sizeof gpu.workspace);
    }
    return cudnnBackendSetAttribute(d, name, type, count, values);
}

static cudnnStatus_t fake_execute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
    int at = plan_index(plan);
    (void)handle;
    if (gpu.fails[at] || !pack)
        return CUDNN_STATUS_EXECUTION_FAILED;
    gpu.clock += gpu.cost[at];
    gpu.executed++;
    return CUDNN_STATUS_SUCCESS;
}

static cudaError_t fake_malloc(void **data, size_t bytes, cudaStream_t stream) {
    (void)bytes;
    (void)stream;
    if (gpu.no_memory)
        return cudaErrorMemoryAllocation;
    *data = aligned_alloc(16, 16);
    gpu.allocated++;
    return *data ? cudaSuccess : cudaErrorMemoryAllocation;
}

static cudaError_t fake_free(void *data, cudaStream_t stream) {
    (void)stream;
    free(data);
    gpu.allocated--;
    return cudaSuccess;
}

static cudaError_t fake_memset(void *data, int value, size_t bytes, cudaStream_t stream) {
    (void)value;
    (void)bytes;
    (void)stream;
    return data ? cudaSuccess : cudaErrorInvalidValue;
}

static cudaError_t fake_event_new(cudaEvent_t *event) {
    *event = calloc(1, sizeof(float));
    gpu.events++;
    return *event ? cudaSuccess : cudaErrorMemoryAllocation;
}

static cudaError_t fake_event_free(cudaEvent_t event) {
    free(event);
    gpu.events--;
    return cudaSuccess;
}

static cudaError_t fake_record(cudaEvent_t event, cudaStream_t stream) {
    (void)stream;
    *(float *)(void *)event = gpu.clock;
    return cudaSuccess;
}

static cudaError_t fake_wait(cudaEvent_t event) {
    return event ? cudaSuccess : cudaErrorInvalidValue;
}

static cudaError_t fake_elapsed(float *ms, cudaEvent_t from, cudaEvent_t to) {
    *ms = *(float *)(void *)to - *(float *)(void *)from;
    return cudaSuccess;
}

static size_t fake_version(void) {
    return gpu.version ? gpu.version : cudnnGetVersion();
}

#define cudnnGetVersion          fake_version
#define cudnnBackendSetAttribute watched_set
#define cudnnBackendExecute      fake_execute
#define cudaMallocAsync          fake_malloc
#define cudaFreeAsync            fake_free
#define cudaMemsetAsync          fake_memset
#define cudaEventCreate          fake_event_new
#define cudaEventDestroy         fake_event_free
#define cudaEventRecord          fake_record
#define cudaEventSynchronize     fake_wait
#define cudaEventElapsedTime     fake_elapsed

#include "../../../plugins/cuda/nn/conv.c"

#undef cudnnBackendSetAttribute

/* ---- */

struct fixture {
    struct harness *h;
    struct cv_choices *choices;
    struct cv_context ctx;
};

static const struct cv_spec problem = {.name = "layer",
                                       .precision = HF_PRECISION_BF16,
                                       .dims = 2,
                                       .bias = 1,
                                       .passes = 7,
                                       .n = 2,
                                       .ci = 32,
                                       .co = 64,
                                       .in = {1, 32, 32},
                                       .out = {1, 32, 32},
                                       .kernel = {1, 3, 3},
                                       .stride = {1, 1, 1},
                                       .dilation = {1, 1, 1},
                                       .pad_low = {0, 1, 1},
                                       .pad_high = {0, 1, 1}};

static int set_up(void **state) {
    static struct fixture f;
    struct hf_error e = {0};
    f = (struct fixture){.h = harness_open()};
    memset(&gpu, 0, sizeof gpu);
    for (int i = 0; i < PLANS; i++)
        gpu.cost[i] = 1;
    if (setenv("XDG_CACHE_HOME", harness_folder(f.h), 1) != 0 ||
        cv_choices_new(harness_host(f.h), &f.choices, &e) != HF_OK)
        return 1;
    f.ctx.choices = f.choices;
    (void)snprintf(f.ctx.device, sizeof f.ctx.device, "H200 as described");
    f.ctx.target.device = described_gpu("NVIDIA H200", 90, 132, 232448);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    cudnnBackendDestroyDescriptor(f->ctx.target.device);
    cv_choices_free(f->choices);
    harness_close(f->h);
    assert_int_equal(gpu.allocated, 0);
    assert_int_equal(gpu.events, 0);
    return 0;
}

static struct cv_conv *plan(struct fixture *f, uint32_t passes) {
    struct cv_spec spec = problem;
    struct cv_conv *c = NULL;
    struct hf_error e = {0};
    spec.passes = passes;
    gpu.plans = 0;
    if (cv_conv_new(&f->ctx, &spec, &c, &e) != HF_OK)
        fail_msg("%s", e.text);
    return c;
}

/* The engine that a convolution gets. */
static void take(struct fixture *f, char tag[CV_TAG]) {
    struct cv_conv *c = plan(f, 1u << CV_FORWARD);
    (void)snprintf(tag, CV_TAG, "%s", cv_engine(c, CV_FORWARD));
    cv_conv_free(c);
}

static void forget(struct fixture *f) {
    char path[4096];
    struct hf_error e = {0};
    (void)snprintf(path, sizeof path, "%s/hepaflow/cudnn.txt", harness_folder(f->h));
    (void)remove(path);
    cv_choices_free(f->choices);
    assert_int_equal(cv_choices_new(harness_host(f->h), &f->choices, &e), HF_OK);
    f->ctx.choices = f->choices;
}

static void the_fastest_is_taken_and_kept(void **state) {
    struct fixture *f = *state;
    char first[CV_TAG], fast[CV_TAG], again[CV_TAG];
    gpu.cost[3] = 0.98f; /* not by enough */
    take(f, first);
    assert_in_range(gpu.plans, 5, CV_MAX_PLANS);
    forget(f);
    gpu.cost[3] = 0.5f;
    gpu.cost[1] = 0.6f;
    take(f, fast);
    assert_string_not_equal(fast, first);
    int executed = gpu.executed;
    gpu.cost[3] = 9;
    take(f, again);
    assert_string_equal(again, fast);
    assert_int_equal(gpu.executed, executed);
    forget(f);
    gpu.cost[3] = 0.5f;
    gpu.fails[3] = 1;
    take(f, again);
    assert_string_not_equal(again, fast);
    assert_string_not_equal(again, first);
}

static void without_memory_the_first_is_taken(void **state) {
    struct fixture *f = *state;
    char first[CV_TAG], again[CV_TAG];
    take(f, first);
    forget(f);
    gpu.no_memory = 1;
    gpu.cost[2] = 0.1f;
    int executed = gpu.executed;
    take(f, again);
    assert_string_equal(again, first);
    assert_int_equal(gpu.executed, executed);
}

static void a_pass_gets_its_operands(void **state) {
    struct fixture *f = *state;
    struct cv_conv *c = plan(f, 7);
    struct hf_error e = {0};
    int x, w, y, bias, workspace;
    struct cv_buffers b = {&x, &w, &y, &bias, &workspace};
    assert_int_equal(cv_adds_bias(c), 1);
    for (int pass = 0; pass < CV_PASSES; pass++) {
        gpu.plans = 0;
        assert_true(cv_engine(c, (enum cv_pass)pass)[0]);
        assert_in_range(cv_workspace(c, (enum cv_pass)pass), 0, CV_MAX_WORKSPACE);
        assert_int_equal(cv_conv_run(c, (enum cv_pass)pass, &b, &e), HF_OK);
        assert_int_equal(gpu.count, pass == CV_FORWARD ? 4 : 3);
        for (int64_t i = 0; i < gpu.count; i++) {
            void *const expected = gpu.uid[i] == CV_UID_X      ? &x
                                   : gpu.uid[i] == CV_UID_W    ? &w
                                   : gpu.uid[i] == CV_UID_Y    ? &y
                                   : gpu.uid[i] == CV_UID_BIAS ? &bias
                                                               : NULL;
            assert_ptr_equal(gpu.data[i], expected);
        }
        assert_ptr_equal(gpu.workspace,
                         cv_workspace(c, (enum cv_pass)pass) ? (void *)&workspace : NULL);
    }
    gpu.plans = 0;
    gpu.fails[0] = 1;
    assert_int_equal(cv_conv_run(c, CV_WEIGHTS, &b, &e), HF_UNSUPPORTED);
    assert_non_null(strstr(e.text, "layer"));
    assert_non_null(strstr(e.text, "weight gradient bf16 2D 2x32x32x32 to 64x32x32"));
    cv_conv_free(c);
}

static void what_no_engine_runs_is_refused(void **state) {
    struct fixture *f = *state;
    struct cv_spec spec = problem;
    struct cv_conv *c = NULL;
    struct hf_error e = {0};
    spec.out[1] = 31;
    assert_int_equal(cv_conv_new(&f->ctx, &spec, &c, &e), HF_INVALID);
    spec = problem;
    cudnnBackendDescriptor_t device = f->ctx.target.device;
    f->ctx.target.device = NULL; /* no device at all: no engines */
    assert_int_equal(cv_conv_new(&f->ctx, &spec, &c, &e), HF_UNSUPPORTED);
    assert_non_null(strstr(e.text, "\"layer\""));
    assert_non_null(strstr(e.text, "forward with bias bf16"));
    f->ctx.target.device = device;
}

static void what_comes_out_wrong_is_refused(void **state) {
    struct fixture *f = *state;
    static const size_t versions[] = {90700, 90800, 91002, 91500};
    for (int large = 0; large < 2; large++)
        for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
            struct cv_spec spec = problem;
            struct cv_conv *c = NULL;
            struct hf_error e = {0};
            spec.dims = 3;
            spec.passes = 1u << CV_FORWARD;
            spec.in[0] = spec.out[0] = large ? 8192 : 8191; /* of y: 2 GiB and a little less */
            spec.n = 2;
            gpu.version = versions[i];
            enum hf_status st = cv_conv_new(&f->ctx, &spec, &c, &e);
            gpu.version = 0;
            int wrong = large && versions[i] >= 90800 && versions[i] < 91500;
            assert_int_equal(st, wrong ? HF_UNSUPPORTED : HF_OK);
            if (wrong)
                assert_non_null(strstr(e.text, "\"layer\": cuDNN before 9.15"));
            cv_conv_free(c);
        }
}

int main(void) {
    if (cudnnGetVersion() < 90800)
        return 77;
    described_hasten();
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_fastest_is_taken_and_kept),   TEST(without_memory_the_first_is_taken),
        TEST(a_pass_gets_its_operands),        TEST(what_no_engine_runs_is_refused),
        TEST(what_comes_out_wrong_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
