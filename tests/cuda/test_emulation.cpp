/*
 * test_emulation.cpp - the emulated runtime finds what it is there to find: each rule, and the
 * fault that breaks it.
 */
#include <hepaflow/cuda.h>

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asan.h"

extern "C" {
#include <cmocka.h>
}

#define N          64
#define GOOD(call) assert_int_equal(call, cudaSuccess)

static cudaStream_t a, b;
static cudaEvent_t event;
static cudaMemPool_t pool;

static int setup(void **state) {
    (void)state;
    cudaMemPoolProps props = {};
    props.allocType = cudaMemAllocationTypePinned;
    props.location.type = cudaMemLocationTypeDevice;
    GOOD(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking));
    GOOD(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
    GOOD(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    GOOD(cudaMemPoolCreate(&pool, &props));
    return 0;
}

static int teardown(void **state) {
    (void)state;
    (void)emulation_fault();
    emulation_default_stream(1);
    GOOD(cudaStreamSynchronize(a));
    GOOD(cudaStreamSynchronize(b));
    GOOD(cudaEventDestroy(event));
    GOOD(cudaStreamDestroy(a));
    GOOD(cudaStreamDestroy(b));
    GOOD(cudaMemPoolDestroy(pool));
    assert_int_equal(emulation_used(), 0);
    assert_null(emulation_fault());
    return 0;
}

/* The fault that the emulation tells of holds these words. */
static void expect_fault(const char *words) {
    const char *fault = emulation_fault();
    if (!fault || !strstr(fault, words))
        fail_msg("expected a fault '%s', got '%s'", words, fault ? fault : "none");
}

static unsigned char *block(cudaStream_t stream) {
    void *p;
    GOOD(cudaMallocFromPoolAsync(&p, N, pool, stream));
    return (unsigned char *)p;
}

static void release(unsigned char *p, cudaStream_t stream) {
    GOOD(cudaFreeAsync(p, stream));
}

static __global__ void fill(unsigned char *p, int64_t n, int value) {
    HF_CUDA_EACH(i, n)
        p[i] = (unsigned char)value;
}

static __global__ void half_a_barrier(int *p) {
    if (threadIdx.x < 16)
        __syncthreads();
    *p = 1;
}

/* ---- order ---- */

static void work_runs_when_somebody_waits(void **state) {
    (void)state;
    unsigned char *p = block(a), out[N] = {0};
    HF_CUDA_LAUNCH(fill, 1, 32, a, p, (int64_t)N, 7);
    GOOD(cudaMemcpyAsync(out, p, N, cudaMemcpyDeviceToHost, a));
    GOOD(cudaEventRecord(event, a));
    assert_int_equal(cudaEventQuery(event), cudaErrorNotReady);
    assert_int_equal(cudaGetLastError(), cudaErrorNotReady);
    assert_int_equal(cudaStreamQuery(a), cudaErrorNotReady);
    assert_int_equal(out[0], 0);
    GOOD(cudaEventSynchronize(event));
    for (int i = 0; i < N; i++)
        assert_int_equal(out[i], 7);
    GOOD(cudaEventQuery(event));
    GOOD(cudaStreamQuery(a));
    (void)cudaGetLastError();
    release(p, a);
    GOOD(cudaStreamSynchronize(a));
    assert_null(emulation_fault());
}

/* What `b` reads of the block that `a` writes. */
static int seen_by_another(int waits) {
    unsigned char *p = block(a), out[N] = {0};
    GOOD(cudaStreamSynchronize(a)); /* the block is there for both */
    HF_CUDA_LAUNCH(fill, 1, 32, a, p, (int64_t)N, 7);
    GOOD(cudaEventRecord(event, a));
    if (waits)
        GOOD(cudaStreamWaitEvent(b, event, 0));
    GOOD(cudaMemcpyAsync(out, p, N, cudaMemcpyDeviceToHost, b));
    GOOD(cudaStreamSynchronize(b));
    GOOD(cudaStreamSynchronize(a));
    release(p, a);
    return out[N - 1];
}

static void a_missing_wait_reads_poison(void **state) {
    (void)state;
    assert_int_equal(seen_by_another(1), 7);
    assert_int_equal(seen_by_another(0), 0xA5);
    assert_null(emulation_fault());
}

/* An event that is recorded again stands, for those who waited before, where it stood. */
static void a_wait_keeps_its_point(void **state) {
    (void)state;
    unsigned char *p = block(a), out[N] = {0};
    HF_CUDA_LAUNCH(fill, 1, 32, a, p, (int64_t)N, 1);
    GOOD(cudaEventRecord(event, a));
    GOOD(cudaStreamWaitEvent(b, event, 0));
    HF_CUDA_LAUNCH(fill, 1, 32, a, p, (int64_t)N, 2);
    GOOD(cudaEventRecord(event, a));
    GOOD(cudaMemcpyAsync(out, p, N, cudaMemcpyDeviceToHost, b));
    GOOD(cudaStreamSynchronize(b));
    assert_int_equal(out[0], 1);
    release(p, a);
}

static void a_stream_holds_so_much_work(void **state) {
    (void)state;
    unsigned char *p = block(a);
    for (int i = 0; i < 2000; i++)
        GOOD(cudaMemsetAsync(p, i, N, a));
    assert_int_equal(cudaStreamQuery(a), cudaErrorNotReady);
    release(p, a);
}

/* ---- memory ---- */

static void host_memory_is_read_when_the_copy_runs(void **state) {
    (void)state;
    void *pinned;
    unsigned char *p = block(a), out[N] = {0};
    GOOD(cudaHostAlloc(&pinned, N, cudaHostAllocDefault));
    memset(pinned, 1, N);
    GOOD(cudaMemcpyAsync(p, pinned, N, cudaMemcpyHostToDevice, a));
    memset(pinned, 2, N); /* too early */
    GOOD(cudaMemcpyAsync(out, p, N, cudaMemcpyDeviceToHost, a));
    GOOD(cudaStreamSynchronize(a));
    assert_int_equal(out[0], 2);
    GOOD(cudaMemcpyAsync(p, pinned, N, cudaMemcpyHostToDevice, a));
    GOOD(cudaFreeHost(pinned)); /* much too early */
    GOOD(cudaStreamSynchronize(a));
    expect_fault("page-locked memory after it was freed");
    release(p, a);
}

static void released_memory_is_refused(void **state) {
    (void)state;
    unsigned char *p = block(a), out[N];
    release(p, a);
    assert_int_equal(cudaMemcpyAsync(out, p, N, cudaMemcpyDeviceToHost, a),
                     cudaErrorIllegalAddress);
    expect_fault("memory that was given back");
    assert_int_equal(cudaFreeAsync(p, a), cudaErrorInvalidValue);
    expect_fault("twice");
}

/* Enqueued in time, on a stream that the release does not wait for. */
static void a_release_that_does_not_wait_is_found(void **state) {
    (void)state;
    unsigned char *p = block(a), out[N];
    GOOD(cudaStreamSynchronize(a));
    GOOD(cudaMemcpyAsync(out, p, N, cudaMemcpyDeviceToHost, b));
    release(p, a);
    GOOD(cudaStreamSynchronize(a));
    GOOD(cudaStreamSynchronize(b));
    expect_fault("after its release");
}

static void memory_is_used_in_the_order_of_its_stream(void **state) {
    (void)state;
    unsigned char *p = block(a), out[N];
    GOOD(cudaMemcpyAsync(out, p, N, cudaMemcpyDeviceToHost, b));
    GOOD(cudaStreamSynchronize(b));
    expect_fault("before its allocation's turn");
    release(p, b);
    GOOD(cudaStreamSynchronize(b));
    expect_fault("before its allocation");
    GOOD(cudaStreamSynchronize(a));
}

static void copies_stay_within_their_blocks(void **state) {
    (void)state;
    unsigned char *p = block(a), out[2 * N];
    assert_int_equal(cudaMemcpyAsync(out, p, N + 1, cudaMemcpyDeviceToHost, a),
                     cudaErrorIllegalAddress);
    expect_fault("beyond a block");
    assert_int_equal(cudaMemcpyAsync(out, out + N, N, cudaMemcpyDeviceToHost, a),
                     cudaErrorInvalidValue);
    expect_fault("the host's memory as the GPU's");
    release(p, a);
}

/* What a kernel may do wrong, in a child: the sanitizer ends it, or the fault is told. */
static int child(void (*sin)(void)) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        if (ADDRESS_SANITIZER)
            (void)close(2);
        sin();
        _exit(emulation_fault() ? 42 : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 1 : WEXITSTATUS(status) == (ADDRESS_SANITIZER ? 1 : 42);
}

static void write_behind(void) {
    unsigned char *p = block(a);
    HF_CUDA_LAUNCH(fill, 1, 32, a, p, (int64_t)N + 1, 1);
    release(p, a);
    (void)cudaStreamSynchronize(a);
}

static void write_released(void) {
    unsigned char *p = block(a);
    release(p, a);
    HF_CUDA_LAUNCH(fill, 1, 32, a, p, (int64_t)N, 1);
    (void)cudaStreamSynchronize(a);
    for (int i = 0; i < 3; i++) { /* until the block goes for good */
        void *q;
        if (cudaMallocFromPoolAsync(&q, 48 << 20, pool, a) == cudaSuccess)
            (void)cudaFreeAsync(q, a);
        (void)cudaStreamSynchronize(a);
    }
}

static void touch_from_the_host(void) {
    unsigned char *p = block(a);
    for (int i = 0; i < 100; i++) { /* not every time is found */
        (void)cudaStreamSynchronize(a);
        *(volatile unsigned char *)p = 1;
    }
}

static void kernels_stay_within_living_blocks(void **state) {
    (void)state;
    assert_true(child(write_behind));
    assert_true(child(write_released));
}

static void the_host_keeps_away(void **state) {
    (void)state;
    assert_true(child(touch_from_the_host));
}

static void memory_ends(void **state) {
    (void)state;
    void *p, *q;
    size_t free_bytes, total;
    emulation_memory(1000);
    GOOD(cudaMallocFromPoolAsync(&p, 600, pool, a));
    assert_int_equal(cudaMallocFromPoolAsync(&q, 600, pool, a), cudaErrorMemoryAllocation);
    assert_int_equal(cudaGetLastError(), cudaErrorMemoryAllocation);
    GOOD(cudaMemGetInfo(&free_bytes, &total));
    assert_int_equal(free_bytes, 400);
    GOOD(cudaFreeAsync(p, a));
    assert_int_equal(cudaMallocFromPoolAsync(&q, 600, pool, a), cudaErrorMemoryAllocation);
    GOOD(cudaStreamSynchronize(a)); /* now it has been released */
    GOOD(cudaMallocFromPoolAsync(&q, 600, pool, a));
    GOOD(cudaFreeAsync(q, a));
    GOOD(cudaStreamSynchronize(a));
    assert_int_equal(emulation_most_used(), 600);
    emulation_memory((size_t)1 << 30);
}

/* ---- rules ---- */

static void the_default_stream_is_refused(void **state) {
    (void)state;
    unsigned char host[N];
    assert_int_equal(cudaEventRecord(event, NULL), cudaErrorInvalidResourceHandle);
    expect_fault("default stream");
    assert_int_equal(cudaStreamSynchronize(NULL), cudaErrorInvalidResourceHandle);
    expect_fault("default stream");
    HF_CUDA_LAUNCH(fill, 1, 32, NULL, host, (int64_t)N, 3);
    assert_int_equal(host[0], 3);
    assert_null(emulation_fault());
    emulation_default_stream(0);
    HF_CUDA_LAUNCH(fill, 1, 32, NULL, host, (int64_t)N, 4);
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidResourceHandle);
    assert_int_equal(host[0], 3);
    expect_fault("default stream");
}

static void launch_on_the_default_stream(void) {
    unsigned char host[N];
    (void)close(2);
    (void)signal(SIGABRT, SIG_DFL);
    setenv("HEPAFLOW_EMULATION_STRICT", "1", 1);
    HF_CUDA_LAUNCH(fill, 1, 32, NULL, host, (int64_t)N, 3);
}

static void a_strict_emulation_ends_the_program(void **state) {
    (void)state;
    assert_int_equal(child(launch_on_the_default_stream), 1);
}

static void a_fault_of_a_kernel_comes_with_the_wait(void **state) {
    (void)state;
    int *p;
    GOOD(cudaMalloc((void **)&p, sizeof *p));
    HF_CUDA_LAUNCH(half_a_barrier, 1, 32, a, p);
    GOOD(cudaGetLastError());
    assert_int_equal(cudaStreamSynchronize(a), cudaErrorLaunchFailure);
    assert_non_null(strstr(cudaGetErrorString(cudaErrorLaunchFailure), "barrier"));
    assert_int_equal(cudaStreamSynchronize(b), cudaErrorLaunchFailure); /* and stays */
    expect_fault("barrier");
    GOOD(cudaStreamSynchronize(b));
    GOOD(cudaFree(p));
}

static void launches_keep_the_limits(void **state) {
    (void)state;
    unsigned char host[N];
    HF_CUDA_LAUNCH(fill, dim3(1, 65536), 32, a, host, (int64_t)N, 3);
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidConfiguration);
    expect_fault("no GPU takes");
    HF_CUDA_LAUNCH(fill, 1, 1025, a, host, (int64_t)N, 3);
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidConfiguration);
    expect_fault("no GPU takes");
}

static void sync_from_host_function(void *arg) {
    (void)arg;
    (void)cudaStreamSynchronize(b);
}

static void set_from_host_function(void *arg) {
    *(int *)arg = 1;
}

static void host_functions_call_no_cuda(void **state) {
    (void)state;
    int set = 0;
    GOOD(cudaLaunchHostFunc(a, set_from_host_function, &set));
    assert_int_equal(set, 0);
    GOOD(cudaStreamSynchronize(a));
    assert_int_equal(set, 1);
    assert_null(emulation_fault());
    GOOD(cudaLaunchHostFunc(a, sync_from_host_function, NULL));
    GOOD(cudaStreamSynchronize(a));
    expect_fault("a host function calls");
}

static void a_stream_needs_its_device(void **state) {
    (void)state;
    setenv("HEPAFLOW_EMULATED_GPUS", "2", 1);
    GOOD(cudaSetDevice(1));
    assert_int_equal(cudaStreamSynchronize(a), cudaErrorInvalidResourceHandle);
    expect_fault("while device 1 is current");
    GOOD(cudaSetDevice(0));
    unsetenv("HEPAFLOW_EMULATED_GPUS");
    assert_int_equal(cudaSetDevice(1), cudaErrorInvalidDevice);
}

static void there_may_be_no_gpu(void **state) {
    (void)state;
    int n = 7, major;
    setenv("HEPAFLOW_EMULATED_GPUS", "0", 1);
    assert_int_equal(cudaGetDeviceCount(&n), cudaErrorNoDevice);
    assert_int_equal(n, 0);
    unsetenv("HEPAFLOW_EMULATED_GPUS");
    setenv("HEPAFLOW_EMULATED_DRIVER", "0", 1);
    assert_int_equal(cudaGetDeviceCount(&n), cudaErrorInsufficientDriver);
    unsetenv("HEPAFLOW_EMULATED_DRIVER");
    GOOD(cudaGetDeviceCount(&n));
    assert_int_equal(n, 1);
    setenv("HEPAFLOW_EMULATED_CAPABILITY", "75", 1);
    GOOD(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
    assert_int_equal(major, 7);
    unsetenv("HEPAFLOW_EMULATED_CAPABILITY");
}

/* ---- graphs ---- */

static __global__ void add_one(unsigned char *p, int64_t n) {
    HF_CUDA_EACH(i, n)
        p[i]++;
}

static void a_graph_runs_what_was_captured(void **state) {
    (void)state;
    unsigned char *p = block(a), out[N];
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    cudaEvent_t back;
    GOOD(cudaEventCreateWithFlags(&back, cudaEventDisableTiming));
    GOOD(cudaMemsetAsync(p, 0, N, a));
    GOOD(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
    HF_CUDA_LAUNCH(add_one, 1, 32, a, p, (int64_t)N);
    GOOD(cudaEventRecord(event, a));
    GOOD(cudaStreamWaitEvent(b, event, 0)); /* b joins the capture */
    HF_CUDA_LAUNCH(add_one, 1, 32, b, p, (int64_t)N);
    GOOD(cudaEventRecord(back, b));
    GOOD(cudaStreamWaitEvent(a, back, 0));
    GOOD(cudaStreamEndCapture(a, &graph));
    GOOD(cudaGraphInstantiate(&exec, graph, 0));
    GOOD(cudaGraphDestroy(graph));
    for (int i = 0; i < 3; i++)
        GOOD(cudaGraphLaunch(exec, a));
    GOOD(cudaGraphExecDestroy(exec));
    GOOD(cudaMemcpyAsync(out, p, N, cudaMemcpyDeviceToHost, a));
    GOOD(cudaStreamSynchronize(a));
    assert_int_equal(out[5], 6);
    GOOD(cudaEventDestroy(back));
    release(p, a);
    assert_null(emulation_fault());
}

static void captures_are_closed_worlds(void **state) {
    (void)state;
    void *p;
    unsigned char *kept = block(a), host[N];
    cudaGraph_t graph;
    cudaEvent_t outside;
    GOOD(cudaEventCreateWithFlags(&outside, cudaEventDisableTiming));
    GOOD(cudaEventRecord(outside, b));
    GOOD(cudaStreamBeginCapture(a, cudaStreamCaptureModeRelaxed));
    assert_int_equal(cudaStreamWaitEvent(a, outside, 0), cudaErrorStreamCaptureIsolation);
    expect_fault("outside the capture");
    assert_int_equal(cudaStreamSynchronize(a), cudaErrorStreamCaptureUnsupported);
    expect_fault("captured");
    assert_int_equal(cudaMallocFromPoolAsync(&p, N, pool, a), cudaErrorStreamCaptureUnsupported);
    expect_fault("within a capture");
    assert_int_equal(cudaMemcpyAsync(kept, host, N, cudaMemcpyHostToDevice, a),
                     cudaErrorStreamCaptureUnsupported);
    expect_fault("not page-locked");
    GOOD(cudaEventRecord(event, a));
    assert_int_equal(cudaEventSynchronize(event), cudaErrorCapturedEvent);
    expect_fault("event of a capture");
    GOOD(cudaStreamWaitEvent(b, event, 0));
    assert_int_equal(cudaStreamEndCapture(a, &graph), cudaErrorStreamCaptureUnjoined);
    expect_fault("came back");
    assert_int_equal(cudaStreamWaitEvent(b, event, 0), cudaErrorCapturedEvent);
    expect_fault("has ended");
    assert_int_equal(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal), cudaErrorInvalidValue);
    expect_fault("other threads");
    GOOD(cudaEventDestroy(outside));
    release(kept, a);
}

static void *record_on_a(void *arg) {
    *(cudaError_t *)arg = cudaEventRecord(event, a);
    return NULL;
}

static void others_keep_out_of_a_capture(void **state) {
    (void)state;
    pthread_t other;
    cudaGraph_t graph;
    cudaError_t error = cudaSuccess;
    GOOD(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal));
    assert_int_equal(pthread_create(&other, NULL, record_on_a, &error), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(error, cudaErrorStreamCaptureWrongThread);
    expect_fault("another thread captures");
    GOOD(cudaStreamEndCapture(a, &graph));
    GOOD(cudaGraphDestroy(graph));
}

static void events_that_take_no_time_tell_none(void **state) {
    (void)state;
    float ms = -1;
    cudaEvent_t from, to;
    GOOD(cudaEventCreateWithFlags(&from, cudaEventDefault));
    GOOD(cudaEventCreateWithFlags(&to, cudaEventDefault));
    GOOD(cudaEventRecord(from, a));
    GOOD(cudaEventRecord(to, a));
    assert_int_equal(cudaEventElapsedTime(&ms, from, to), cudaErrorNotReady);
    GOOD(cudaEventSynchronize(to));
    GOOD(cudaEventElapsedTime(&ms, from, to));
    assert_true(ms >= 0);
    assert_int_equal(cudaEventElapsedTime(&ms, from, event), cudaErrorInvalidResourceHandle);
    expect_fault("takes none");
    GOOD(cudaEventDestroy(from));
    GOOD(cudaEventDestroy(to));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(work_runs_when_somebody_waits),
        TEST(a_missing_wait_reads_poison),
        TEST(a_wait_keeps_its_point),
        TEST(a_stream_holds_so_much_work),
        TEST(host_memory_is_read_when_the_copy_runs),
        TEST(released_memory_is_refused),
        TEST(a_release_that_does_not_wait_is_found),
        TEST(memory_is_used_in_the_order_of_its_stream),
        TEST(copies_stay_within_their_blocks),
        TEST(kernels_stay_within_living_blocks),
        TEST(the_host_keeps_away),
        TEST(memory_ends),
        TEST(the_default_stream_is_refused),
        TEST(a_strict_emulation_ends_the_program),
        TEST(a_fault_of_a_kernel_comes_with_the_wait),
        TEST(launches_keep_the_limits),
        TEST(host_functions_call_no_cuda),
        TEST(a_stream_needs_its_device),
        TEST(there_may_be_no_gpu),
        TEST(a_graph_runs_what_was_captured),
        TEST(captures_are_closed_worlds),
        TEST(others_keep_out_of_a_capture),
        TEST(events_that_take_no_time_tell_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
