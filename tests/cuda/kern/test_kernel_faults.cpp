/*
 * test_kernel_faults.cpp - faults planted in kernels, which the emulation must find: a barrier that
 * is missing, one that not all threads reach, and, with the address sanitizer, writes out of
 * bounds. What is found here is what the tests of kernels rely on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include <cmocka.h>
}

#include <hepaflow/cuda.h>

#include "asan.h"

#define COUNT 64

static cudaStream_t stream;

/* Runs what was enqueued; the fault that was found, or NULL. */
static const char *finish(void) {
    (void)cudaStreamSynchronize(stream);
    return emulation_fault();
}

/* ---- a missing barrier ---- */

template <bool WAITS> static __global__ void reverse(const int *in, int *out) {
    __shared__ int row[COUNT];
    int t = (int)threadIdx.x;
    row[t] = in[t];
    if (WAITS)
        __syncthreads();
    out[t] = row[COUNT - 1 - t];
}

/* In how many of the orders of threads the row comes out reversed. */
static int right_orders(void (*kernel)(const int *, int *)) {
    int right = 0;
    for (int order = 0; order < 3; order++) {
        int in[COUNT], out[COUNT] = {0}, same = 1;
        for (int i = 0; i < COUNT; i++)
            in[i] = 100 * order + i + 1;
        emulation_order(order);
        HF_CUDA_LAUNCH(kernel, 1, COUNT, stream, (const int *)in, (int *)out);
        assert_null(finish());
        for (int i = 0; i < COUNT; i++)
            same &= out[i] == in[COUNT - 1 - i];
        right += same;
    }
    emulation_order(0);
    return right;
}

static void a_missing_barrier_shows_in_the_result(void **state) {
    (void)state;
    assert_int_equal(right_orders(reverse<true>), 3);
    assert_int_equal(right_orders(reverse<false>), 0);
}

/* A sum in shared memory that lacks its last barrier but one: right in some order, not in all. */
static __global__ void sum(const int *in, int *out) {
    __shared__ int part[COUNT];
    int t = (int)threadIdx.x;
    part[t] = in[t];
    __syncthreads();
    for (int half = COUNT / 2; half > 0; half /= 2) {
        if (t < half)
            part[t] += part[t + half];
        if (half != 2)
            __syncthreads();
    }
    if (t == 0)
        *out = part[0];
}

static void a_race_depends_on_the_order(void **state) {
    (void)state;
    int in[COUNT], out, right = 0;
    for (int i = 0; i < COUNT; i++)
        in[i] = 1 << (i % 20);
    int expected = 0;
    for (int i = 0; i < COUNT; i++)
        expected += in[i];
    for (int order = 0; order < 3; order++) {
        emulation_order(order);
        HF_CUDA_LAUNCH(sum, 1, COUNT, stream, (const int *)in, &out);
        assert_null(finish());
        right += out == expected;
    }
    emulation_order(0);
    assert_in_range(right, 1, 2);
}

/* ---- barriers that do not meet ---- */

static __global__ void some_wait(int) {
    if (threadIdx.x < COUNT / 2)
        __syncthreads();
}

static __global__ void wait_apart(int) {
    if (threadIdx.x % 2)
        __syncthreads();
    else
        __syncthreads();
}

static __global__ void lanes_part(int *out) {
    if (threadIdx.x != 5)
        out[threadIdx.x] = __shfl_xor_sync(0xFFFFFFFFu, (int)threadIdx.x, 1);
}

static void expect(const char *found, const char *words) {
    assert_non_null(found);
    assert_non_null(strstr(found, words));
}

static void a_divergent_barrier_is_told(void **state) {
    (void)state;
    int out[COUNT];
    HF_CUDA_LAUNCH(some_wait, 1, COUNT, stream, 0);
    expect(finish(), "not reached by all threads");
    HF_CUDA_LAUNCH(wait_apart, 1, COUNT, stream, 0);
    expect(finish(), "different barriers");
    HF_CUDA_LAUNCH(lanes_part, 1, COUNT, stream, (int *)out);
    expect(finish(), "lanes of a warp do not meet");
}

/* ---- writes out of bounds ---- */

static __global__ void write_at(float *out, int i) {
    out[i] = 1.0f;
}

/* The other sanitizer knows the array's bounds and would tell first. */
__attribute__((no_sanitize("undefined"))) static __global__ void write_shared(float *out, int i) {
    __shared__ float row[COUNT];
    row[i + (int)threadIdx.x] = 1.0f;
    __syncthreads();
    out[threadIdx.x] = row[threadIdx.x];
}

/* What the sanitizer says of the kernel, in a child that it ends. */
static void expect_report(void (*kernel)(float *, int), int i, const char *words) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        float *memory = (float *)malloc(COUNT * sizeof *memory);
        HF_CUDA_LAUNCH(kernel, 1, COUNT, stream, memory, i);
        (void)finish();
        _exit(0);
    }
    (void)close(ends[1]);
    static char text[1 << 16];
    size_t size = 0;
    for (ssize_t got;
         size + 1 < sizeof text && (got = read(ends[0], text + size, sizeof text - 1 - size)) > 0;)
        size += (size_t)got;
    text[size] = '\0';
    (void)close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_non_null(strstr(text, words));
}

static void a_write_out_of_bounds_ends_the_program(void **state) {
    (void)state;
    if (!ADDRESS_SANITIZER)
        skip();
    expect_report(write_at, COUNT, "heap-buffer-overflow");
    expect_report(write_shared, 1, "global-buffer-overflow");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_barrier_shows_in_the_result),
        cmocka_unit_test(a_race_depends_on_the_order),
        cmocka_unit_test(a_divergent_barrier_is_told),
        cmocka_unit_test(a_write_out_of_bounds_ends_the_program),
    };
    if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
