/*
 * op_cuda.c - launches CUDA's ops for the tests of tests/ops, and compares with the CPU's: the same
 * bits, as all of the arithmetic is IEEE's and the blur's kernel comes from the host.
 */
#include "../ops/op_call.h"
#include "kit.h"

enum hf_status op_try(const char *op, const struct hf_op_call *call, struct hf_error *e) {
    return kit_cuda_status(op, call, e);
}

void op_run(const char *op, const struct hf_op_call *call) {
    kit_compare(op, call, &(struct kit_limits){0});
}

int op_open(void) {
    return kit_open(NULL);
}

int op_close(int failed) {
    return kit_close(failed);
}
