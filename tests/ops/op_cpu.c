/**
 * op_cpu.c - launches the CPU's ops (see op_call.h).
 */
#include "op_call.h"
#include "ops.h"

enum hf_status op_try(const char *name, const struct hf_op_call *call, struct hf_error *e) {
    const struct hf_op *op = NULL;
    for (int i = 0; cpu_ops[i]; i++)
        if (strcmp(cpu_ops[i]->name, name) == 0)
            op = cpu_ops[i];
    assert_non_null(op);
    size_t bytes = op->scratch ? op->scratch(call) : 0;
    void *scratch = NULL;
    if (bytes > 0) {
        scratch = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
        assert_non_null(scratch);
        memset(scratch, 0xff, bytes);
    }
    enum hf_status st = op->launch(call, scratch, NULL, e);
    free(scratch);
    return st;
}

void op_run(const char *op, const struct hf_op_call *call) {
    struct hf_error e = {0};
    if (op_try(op, call, &e) != HF_OK)
        fail_msg("%s", e.text);
}

int op_open(void) {
    return 1;
}

int op_close(int failed) {
    return failed;
}
