/*
 * kit.c - a CUDA op beside the CPU's op of the same name (see kit.h).
 */
#include "kit.h"

#include <dlfcn.h>
#include <math.h>
#include <unistd.h>

#include "emulation/asan.h"
#include "harness.h"

#define GUARD       256
#define GUARD_BYTE  0x5a
#define POISON      0xa5
#define MAX_MODULES 16

static struct {
    struct harness *harness;
    const struct hf_plugin *module[MAX_MODULES]; /* of CUDA ops */
    int modules;
    struct hf_device *device;
    struct hf_queue *queue;
    void (*order)(int order);   /* of the emulation; NULL: a real GPU */
    const char *(*fault)(void); /* of the emulation: what was done wrong */
} kit;

static void must(enum hf_status st, const struct hf_error *e) {
    if (st != HF_OK)
        fail_msg("status %d: %s", (int)st, e->text);
}

/* ---- modules ---- */

static const struct hf_plugin *load_cuda(const char *name, int required) {
    const char *folders = getenv("HEPAFLOW_CUDA_MODULES"), *build = getenv("HEPAFLOW_BUILD");
    char own[4096], path[8192];
    (void)snprintf(own, sizeof own, "%s/tests/cuda", build ? build : "build");
    void *handle = NULL;
    for (const char *at = folders ? folders : own; *at && !handle;) {
        int n = (int)strcspn(at, ":");
        (void)snprintf(path, sizeof path, "%.*s/%s.so", n, at, name);
        if (access(path, R_OK) == 0) {
            handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
            if (!handle)
                fail_msg("%s", dlerror());
        }
        at += n + (at[n] == ':');
    }
    if (!handle && required)
        fail_msg("no module '%s.so' in %s", name, folders ? folders : own);
    if (!handle)
        return NULL;
    const struct hf_plugin *plugin = dlsym(handle, "hf_plugin");
    assert_non_null(plugin);
    assert_true(kit.modules < MAX_MODULES);
    kit.module[kit.modules++] = plugin;
    void *order = dlsym(handle, "emulation_order");
    if (order)
        memcpy(&kit.order, &order, sizeof order);
    void *fault = dlsym(handle, "emulation_fault");
    if (fault)
        memcpy(&kit.fault, &fault, sizeof fault);
    return plugin;
}

void kit_load(const char *stage) {
    char name[256], path[4096];
    const char *build = getenv("HEPAFLOW_BUILD");
    (void)snprintf(name, sizeof name, "plugins/%s/%s", stage, stage);
    (void)snprintf(path, sizeof path, "%s/%s.so", build ? build : "build", name);
    if (access(path, R_OK) != 0)
        (void)snprintf(name, sizeof name, "stages/%s/%s", stage, stage);
    harness_load(kit.harness, name);
    (void)snprintf(name, sizeof name, "%s.cuda", stage);
    load_cuda(name, 1);
}

int kit_open(const char *stage) {
    struct hf_error e = {0};
    int real = getenv("HEPAFLOW_CUDA_MODULES") != NULL;
    kit.harness = harness_open();
    const struct hf_plugin *cuda = load_cuda("cuda", real || !stage);
    if (cuda && cuda->devices) {
        struct hf_device_options options = {.host = kit_host()};
        enum hf_status st = cuda->devices[0]->open(&options, &kit.device, &e);
        if (st != HF_OK && real) {
            print_message("skipped: %s\n", e.text);
            harness_close(kit.harness);
            return 0;
        }
        must(st, &e);
        must(kit.device->methods->queue_new(kit.device, &kit.queue, &e), &e);
    }
    if (stage)
        kit_load(stage);
    return 1;
}

int kit_close(int failed) {
    if (kit.device) {
        kit.device->methods->queue_free(kit.device, kit.queue);
        kit.device->methods->destroy(kit.device);
    }
    harness_close(kit.harness);
    const char *fault = kit.fault ? kit.fault() : NULL;
    if (fault)
        print_error("the emulation found a fault: %s\n", fault);
    return failed + (fault != NULL);
}

int kit_gpu(void) {
    return kit.order == NULL;
}

struct hf_device *kit_device(void) {
    return kit.device;
}

const struct hf_host *kit_host(void) {
    return harness_host(kit.harness);
}

static const struct hf_op *cuda_op(const char *name) {
    for (int i = kit.modules - 1; i >= 0; i--)
        for (const struct hf_op *const *op = kit.module[i]->ops; op && *op; op++)
            if ((*op)->kind == HF_KIND_CUDA && strcmp((*op)->name, name) == 0)
                return *op;
    fail_msg("no loaded module has the CUDA op '%s'", name);
    return NULL;
}

/* ---- tensors ---- */

struct hf_tensor *kit_tensor(enum hf_dtype dtype, int32_t ndim, const int64_t *shape) {
    struct hf_tensor *t = calloc(1, sizeof *t);
    assert_non_null(t);
    memcpy(t->shape, shape, (size_t)ndim * sizeof *shape);
    t->dtype = dtype;
    t->dl.ndim = ndim;
    t->dl.shape = t->shape;
    t->bytes = (size_t)hf_tensor_count(t) * hf_dtype_size(dtype);
    t->dl.data = malloc(t->bytes);
    assert_non_null(t->dl.data);
    memset(t->dl.data, POISON, t->bytes);
    return t;
}

struct hf_tensor *kit_volume(enum hf_dtype dtype, int64_t c, int64_t d, int64_t h, int64_t w) {
    return kit_tensor(dtype, 4, (int64_t[]){c, d, h, w});
}

void kit_free(struct hf_tensor *t) {
    if (t)
        free(t->dl.data);
    free(t);
}

static void set(struct hf_tensor *t, int64_t i, double v) {
    switch (t->dtype) {
    case HF_U8:
        HF_DATA(uint8_t, t)[i] = (uint8_t)v;
        break;
    case HF_I16:
        HF_DATA(int16_t, t)[i] = (int16_t)v;
        break;
    case HF_I32:
        HF_DATA(int32_t, t)[i] = (int32_t)v;
        break;
    case HF_I64:
        HF_DATA(int64_t, t)[i] = (int64_t)v;
        break;
    case HF_F32:
        HF_DATA(float, t)[i] = (float)v;
        break;
    default:
        HF_DATA(double, t)[i] = v;
    }
}

static double get(const struct hf_tensor *t, const void *data, int64_t i) {
    switch (t->dtype) {
    case HF_U8:
        return ((const uint8_t *)data)[i];
    case HF_I16:
        return ((const int16_t *)data)[i];
    case HF_I32:
        return ((const int32_t *)data)[i];
    case HF_I64:
        return (double)((const int64_t *)data)[i];
    case HF_F32:
        return (double)((const float *)data)[i];
    default:
        return ((const double *)data)[i];
    }
}

void kit_random(struct hf_tensor *t, double low, double high, uint64_t seed) {
    struct hf_rng draws = hf_rng_init(seed, "test", "kit", 0);
    int whole = t->dtype != HF_F32 && t->dtype != HF_F64;
    for (int64_t i = 0; i < hf_tensor_count(t); i++) {
        double v = low + (high - low) * (double)hf_rng_uniform(&draws);
        set(t, i, whole ? fmin(floor(v), high - 1) : v);
    }
}

/* ---- guards: memory on the host with a margin on either side ---- */

static char *guarded(size_t bytes) {
    char *block = aligned_alloc(64, (bytes + 2 * GUARD + 63) & ~(size_t)63);
    assert_non_null(block);
    memset(block, GUARD_BYTE, GUARD);
    memset(block + GUARD, POISON, bytes);
    memset(block + GUARD + bytes, GUARD_BYTE, GUARD);
    return block;
}

static void hide_guards(char *block, size_t bytes) {
    ASAN_POISON_MEMORY_REGION(block, GUARD);
    ASAN_POISON_MEMORY_REGION(block + GUARD + bytes, GUARD);
}

static void check_guards(char *block, size_t bytes, const char *op, const char *what, int i) {
    ASAN_UNPOISON_MEMORY_REGION(block, GUARD);
    ASAN_UNPOISON_MEMORY_REGION(block + GUARD + bytes, GUARD);
    for (int k = 0; k < GUARD; k++)
        if (block[k] != GUARD_BYTE || block[GUARD + bytes + (size_t)k] != GUARD_BYTE)
            fail_msg("op '%s' wrote %s %s %d", op, block[k] != GUARD_BYTE ? "before" : "behind",
                     what, i);
}

/* The index of the input that output `i` is, or -1. */
static int in_place(const struct hf_op_call *call, int i) {
    for (int k = 0; k < call->inputs; k++)
        if (call->in[k] && call->in[k] == call->out[i])
            return k;
    return -1;
}

/* ---- one run ---- */

/* The operands of a run, in memory of its own where the op writes. */
struct run {
    struct hf_op_call call;
    struct hf_tensor in[HF_OP_MAX_TENSORS], out[HF_OP_MAX_TENSORS];
    char *block[HF_OP_MAX_TENSORS]; /* of outputs, with guards */
};

static void run_begin(struct run *r, const struct hf_op_call *call, uint32_t keep) {
    *r = (struct run){.call = *call};
    for (int i = 0; i < call->inputs; i++)
        if (call->in[i]) {
            r->in[i] = *call->in[i];
            r->in[i].dl.shape = r->in[i].shape;
            r->call.in[i] = &r->in[i];
        }
    for (int i = 0; i < call->outputs; i++) {
        if (!call->out[i])
            continue;
        r->out[i] = *call->out[i];
        r->out[i].dl.shape = r->out[i].shape;
        r->call.out[i] = &r->out[i];
        r->block[i] = guarded(r->out[i].bytes);
        r->out[i].dl.data = r->block[i] + GUARD;
        int source = in_place(call, i);
        if (source >= 0 || keep >> i & 1)
            memcpy(r->out[i].dl.data, call->out[i]->dl.data, r->out[i].bytes);
        if (source >= 0)
            r->in[source].dl.data = r->out[i].dl.data;
    }
}

static void run_end(struct run *r) {
    for (int i = 0; i < HF_OP_MAX_TENSORS; i++)
        if (r->block[i]) {
            ASAN_UNPOISON_MEMORY_REGION(r->block[i], GUARD);
            ASAN_UNPOISON_MEMORY_REGION(r->block[i] + GUARD + r->out[i].bytes, GUARD);
            free(r->block[i]);
        }
}

static void run_check_guards(const struct run *r, const char *op) {
    for (int i = 0; i < r->call.outputs; i++)
        if (r->block[i])
            check_guards(r->block[i], r->out[i].bytes, op, "output", i);
}

/* In the calling thread, on host memory: the CPU's ops, and CUDA's in the emulation. */
static enum hf_status run_here(struct run *r, const struct hf_op *op, struct hf_error *e) {
    size_t bytes = op->scratch ? op->scratch(&r->call) : 0;
    char *scratch = bytes > 0 ? guarded(bytes) : NULL;
    if (scratch)
        hide_guards(scratch, bytes);
    for (int i = 0; i < r->call.outputs; i++)
        if (r->block[i])
            hide_guards(r->block[i], r->out[i].bytes);
    enum hf_status st = op->launch(&r->call, scratch ? scratch + GUARD : NULL, NULL, e);
    if (scratch) {
        check_guards(scratch, bytes, op->name, "scratch", 0);
        free(scratch);
    }
    run_check_guards(r, op->name);
    return st;
}

/* On the CUDA device: copies there, the launch, copies back. */
static enum hf_status run_device(struct run *r, const struct hf_op *op, struct hf_error *e) {
    const struct hf_device_methods *m = kit.device->methods;
    struct hf_op_call call = r->call;
    struct hf_tensor in[HF_OP_MAX_TENSORS], out[HF_OP_MAX_TENSORS];
    char *taken[2 * HF_OP_MAX_TENSORS] = {0};
    size_t size[2 * HF_OP_MAX_TENSORS] = {0};
    for (int i = 0; i < call.outputs; i++) {
        if (!call.out[i])
            continue;
        out[i] = r->out[i];
        out[i].dl.shape = out[i].shape;
        size[i] = out[i].bytes + 2 * (size_t)GUARD;
        must(m->alloc(kit.device, kit.queue, size[i], (void **)&taken[i], e), e);
        must(m->copy(kit.device, kit.queue, taken[i], r->block[i], size[i], e), e);
        out[i].dl.data = taken[i] + GUARD;
        out[i].device = kit.device;
        call.out[i] = &out[i];
    }
    for (int i = 0; i < call.inputs; i++) {
        if (!call.in[i])
            continue;
        in[i] = r->in[i];
        in[i].dl.shape = in[i].shape;
        in[i].device = kit.device;
        call.in[i] = &in[i];
        int same = -1;
        for (int k = 0; k < call.outputs; k++)
            if (r->block[k] && r->in[i].dl.data == r->out[k].dl.data)
                same = k;
        if (same >= 0) {
            in[i].dl.data = out[same].dl.data;
            continue;
        }
        int k = HF_OP_MAX_TENSORS + i;
        size[k] = in[i].bytes ? in[i].bytes : 1;
        must(m->alloc(kit.device, kit.queue, size[k], (void **)&taken[k], e), e);
        must(m->copy(kit.device, kit.queue, taken[k], r->in[i].dl.data, in[i].bytes, e), e);
        in[i].dl.data = taken[k];
    }
    enum hf_status st = m->launch(kit.device, kit.queue, op, &call, e);
    for (int i = 0; st == HF_OK && i < call.outputs; i++)
        if (call.out[i])
            must(m->copy(kit.device, kit.queue, r->block[i], taken[i], size[i], e), e);
    struct hf_error late = {0};
    struct hf_event *done = NULL;
    must(m->record(kit.device, kit.queue, &done, &late), &late);
    if (done) {
        must(m->sync(kit.device, done, &late), &late);
        m->event_unref(kit.device, done);
    }
    for (int i = 0; i < 2 * HF_OP_MAX_TENSORS; i++)
        if (taken[i])
            m->free(kit.device, taken[i], size[i], NULL);
    run_check_guards(r, op->name);
    return st;
}

/* ---- comparisons ---- */

struct inputs {
    void *copy[HF_OP_MAX_TENSORS];
};

static void inputs_keep(struct inputs *k, const struct hf_op_call *call) {
    *k = (struct inputs){0};
    for (int i = 0; i < call->inputs; i++)
        if (call->in[i]) {
            k->copy[i] = malloc(call->in[i]->bytes);
            assert_non_null(k->copy[i]);
            memcpy(k->copy[i], call->in[i]->dl.data, call->in[i]->bytes);
        }
}

static void inputs_check(struct inputs *k, const struct hf_op_call *call, const char *op) {
    for (int i = 0; i < call->inputs; i++) {
        if (k->copy[i] && memcmp(k->copy[i], call->in[i]->dl.data, call->in[i]->bytes) != 0)
            fail_msg("op '%s' changed its input %d", op, i);
        free(k->copy[i]);
    }
}

static void same_bits(const struct run *a, const struct run *b, const char *op, const char *what) {
    for (int k = 0; k < a->call.outputs; k++) {
        const struct hf_tensor *t = &a->out[k];
        size_t size = hf_dtype_size(t->dtype);
        if (!a->block[k] || memcmp(t->dl.data, b->out[k].dl.data, t->bytes) == 0)
            continue;
        for (int64_t i = 0; i < hf_tensor_count(t); i++)
            if (memcmp((char *)t->dl.data + (size_t)i * size,
                       (char *)b->out[k].dl.data + (size_t)i * size, size) != 0)
                fail_msg("op '%s', output %d, element %lld: %.9g, but %.9g %s", op, k, (long long)i,
                         get(t, t->dl.data, i), get(t, b->out[k].dl.data, i), what);
    }
}

static void check_fault(const char *op) {
    const char *fault = kit.fault ? kit.fault() : NULL;
    if (fault)
        fail_msg("op '%s': the emulation found a fault: %s", op, fault);
}

static void give_results(const struct run *r, const struct hf_op_call *call) {
    for (int i = 0; i < call->outputs; i++)
        if (r->block[i])
            memcpy(call->out[i]->dl.data, r->out[i].dl.data, r->out[i].bytes);
}

static void run_cuda(struct run *first, const char *name, const struct hf_op_call *call,
                     uint32_t keep) {
    const struct hf_op *op = cuda_op(name);
    struct hf_error e = {0};
    const char *const orders[3] = {"", "backwards", "in shuffled order"};
    for (int i = 0; i < 3; i++) {
        struct run again, *r = i == 0 ? first : &again;
        run_begin(r, call, keep);
        if (kit.order)
            kit.order(i);
        must(kit.order ? run_here(r, op, &e) : run_device(r, op, &e), &e);
        check_fault(name);
        if (i > 0) {
            same_bits(first, r, name, kit.order ? orders[i] : "the next time");
            run_end(r);
        }
    }
    if (!kit.order)
        return;
    kit.order(0);
    if (kit.device) {
        struct run r;
        run_begin(&r, call, keep);
        must(run_device(&r, op, &e), &e);
        check_fault(name);
        same_bits(first, &r, name, "on the device");
        run_end(&r);
    }
}

static void run_cpu(struct run *r, const char *name, const struct hf_op_call *call, uint32_t keep) {
    const struct hf_op *op = kit_host()->op_find(kit_host(), harness_cpu(kit.harness), name);
    struct hf_error e = {0};
    if (!op)
        fail_msg("no loaded module has the CPU op '%s'", name);
    run_begin(r, call, keep);
    must(run_here(r, op, &e), &e);
}

static void compare_integers(const struct hf_tensor *cpu, const struct hf_tensor *cuda,
                             const char *op, int k, int64_t flips) {
    size_t size = hf_dtype_size(cpu->dtype);
    int64_t wrong = 0;
    for (int64_t i = 0; i < hf_tensor_count(cpu); i++) {
        if (memcmp((char *)cpu->dl.data + (size_t)i * size,
                   (char *)cuda->dl.data + (size_t)i * size, size) == 0)
            continue;
        if (wrong++ >= flips)
            fail_msg("op '%s', output %d, element %lld: %.0f on the CPU, %.0f on CUDA", op, k,
                     (long long)i, get(cpu, cpu->dl.data, i), get(cuda, cuda->dl.data, i));
    }
}

static void compare_floats(const struct hf_tensor *cpu, const struct hf_tensor *cuda,
                           const char *op, int k, const struct kit_limits *limits) {
    double most = 0, worst = 0, squares = 0, off = 0;
    int64_t where = 0;
    for (int64_t i = 0; i < hf_tensor_count(cpu); i++) {
        double a = get(cpu, cpu->dl.data, i), b = get(cuda, cuda->dl.data, i);
        if (a == b || (isnan(a) && isnan(b))) {
            squares += isfinite(a) ? a * a : 0;
            most = isfinite(a) ? fmax(most, fabs(a)) : most;
            continue;
        }
        if (!isfinite(a) || !isfinite(b))
            fail_msg("op '%s', output %d, element %lld: %.9g on the CPU, %.9g on CUDA", op, k,
                     (long long)i, a, b);
        squares += a * a;
        off += (a - b) * (a - b);
        most = fmax(most, fabs(a));
        if (fabs(a - b) > worst) {
            worst = fabs(a - b);
            where = i;
        }
    }
    if (worst > limits->max * most)
        fail_msg("op '%s', output %d, element %lld: %.9g on the CPU, %.9g on CUDA, among values up "
                 "to %.9g; the limit is %g of that",
                 op, k, (long long)where, get(cpu, cpu->dl.data, where),
                 get(cuda, cuda->dl.data, where), most, limits->max);
    if (sqrt(off) > limits->l2 * sqrt(squares))
        fail_msg("op '%s', output %d: CUDA is off by %g (L2), the limit is %g", op, k,
                 sqrt(off / squares), limits->l2);
}

void kit_compare(const char *op, const struct hf_op_call *call, const struct kit_limits *limits) {
    struct run cpu, cuda;
    struct inputs before;
    inputs_keep(&before, call);
    run_cpu(&cpu, op, call, limits->keep);
    run_cuda(&cuda, op, call, limits->keep);
    inputs_check(&before, call, op);
    for (int i = 0; i < call->outputs; i++) {
        if (!cpu.block[i])
            continue;
        if (cpu.out[i].dtype == HF_F32 || cpu.out[i].dtype == HF_F64)
            compare_floats(&cpu.out[i], &cuda.out[i], op, i, limits);
        else
            compare_integers(&cpu.out[i], &cuda.out[i], op, i, kit_gpu() ? limits->flips : 0);
    }
    give_results(&cuda, call);
    run_end(&cpu);
    run_end(&cuda);
}

void kit_cuda(const char *op, const struct hf_op_call *call, uint32_t keep) {
    struct run r;
    struct inputs before;
    inputs_keep(&before, call);
    run_cuda(&r, op, call, keep);
    inputs_check(&before, call, op);
    give_results(&r, call);
    run_end(&r);
}

void kit_cpu(const char *op, const struct hf_op_call *call, uint32_t keep) {
    struct run r;
    run_cpu(&r, op, call, keep);
    give_results(&r, call);
    run_end(&r);
}

enum hf_status kit_cuda_status(const char *op, const struct hf_op_call *call, struct hf_error *e) {
    struct run r;
    run_begin(&r, call, 0);
    enum hf_status st = kit.order ? run_here(&r, cuda_op(op), e) : run_device(&r, cuda_op(op), e);
    run_end(&r);
    return st;
}
