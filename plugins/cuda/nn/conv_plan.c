/**
 * conv_plan.c - the engines of cuDNN that may run an operation graph.
 *
 * Left out are engines whose results differ from run to run, that compute in less than the
 * precision asked for, and those that need more than cuDNN itself, as every problem has others.
 * They are compiled at run time by NVRTC, which takes a second or more for each in every process;
 * or they call cuBLASLt, some versions of which read out of bounds on compute capability 12.0.
 */
#include "conv_cudnn.h"

#include <stdlib.h>
#include <string.h>

/* CUDNN_BEHAVIOR_NOTE_CUBLASLT_DEPENDENCY, which older headers do not have. */
#define NOTE_CUBLASLT 4
#define MAX_BEHAVIORS 16

/** Reads a list of at most `max` values; -1: it cannot be read. */
static int64_t get(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                   cudnnBackendAttributeType_t type, int64_t max, void *values) {
    int64_t count = 0;
    if (cudnnBackendGetAttribute(d, name, type, max, &count, values) != CUDNN_STATUS_SUCCESS)
        return -1;
    return count < max ? count : max;
}

static int notes_fit(cudnnBackendDescriptor_t engine, enum hf_precision precision) {
    cudnnBackendNumericalNote_t note[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t count = get(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                        CUDNN_NUMERICAL_NOTE_TYPE_COUNT, note);
    if (count < 0)
        return 0;
    for (int64_t i = 0; i < count; i++)
        switch (note[i]) {
        case CUDNN_NUMERICAL_NOTE_TENSOR_CORE: /* of float32 operands: tf32 */
            if (precision == HF_PRECISION_F32)
                return 0;
            break;
        case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
        case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
        case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
        case CUDNN_NUMERICAL_NOTE_FFT:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13:
            return 0;
        default:
            break;
        }
    cudnnBackendBehaviorNote_t behavior[MAX_BEHAVIORS];
    count = get(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, MAX_BEHAVIORS,
                behavior);
    for (int64_t i = 0; i < count; i++)
        if (behavior[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION ||
            (int)behavior[i] == NOTE_CUBLASLT)
            return 0;
    return count >= 0;
}

/** Appends "_k2=1_k5=0", the configuration's knobs. */
static int knobs_tag(cudnnBackendDescriptor_t config, char tag[CV_TAG]) {
    cudnnBackendDescriptor_t knob[CUDNN_KNOB_TYPE_COUNTS];
    int64_t made = 0, count = -1;
    while (made < CUDNN_KNOB_TYPE_COUNTS &&
           cudnnBackendCreateDescriptor(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, &knob[made]) ==
               CUDNN_STATUS_SUCCESS)
        made++;
    if (made == CUDNN_KNOB_TYPE_COUNTS)
        count = get(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                    CUDNN_KNOB_TYPE_COUNTS, knob);
    int good = count >= 0;
    for (int64_t i = 0; i < count && good; i++) {
        cudnnBackendKnobType_t type;
        int64_t value;
        good =
            get(knob[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type) == 1 &&
            get(knob[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &value) == 1;
        size_t used = strlen(tag);
        if (good)
            (void)snprintf(tag + used, CV_TAG - used, "_k%d=%lld", (int)type, (long long)value);
    }
    while (made)
        cudnnBackendDestroyDescriptor(knob[--made]);
    return good;
}

/** 1 and the tag, if the configuration's engine is one that may run. */
static int config_fits(cudnnBackendDescriptor_t config, enum hf_precision precision,
                       char tag[CV_TAG]) {
    cudnnBackendDescriptor_t engine;
    if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) !=
        CUDNN_STATUS_SUCCESS)
        return 0;
    int64_t index;
    int fits =
        get(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &engine) == 1 &&
        get(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index) == 1 &&
        notes_fit(engine, precision);
    if (fits) {
        (void)snprintf(tag, CV_TAG, "eng%lld", (long long)index);
        fits = knobs_tag(config, tag);
    }
    cudnnBackendDestroyDescriptor(engine);
    return fits;
}

/** Takes `config` over on success only. */
static int plan_make(const struct cv_target *t, cudnnBackendDescriptor_t config,
                     struct cv_plan *p) {
    cudnnBackendDescriptor_t d;
    if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &d) !=
        CUDNN_STATUS_SUCCESS)
        return 0;
    cudnnStatus_t s = cudnnBackendSetAttribute(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                                               CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config);
    if (s == CUDNN_STATUS_SUCCESS && t->handle) /* needed before cuDNN 9.8 */
        s = cudnnBackendSetAttribute(d, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1,
                                     &t->handle);
    if (s == CUDNN_STATUS_SUCCESS)
        s = cudnnBackendFinalize(d);
    if (s != CUDNN_STATUS_SUCCESS ||
        get(d, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &p->workspace) != 1 ||
        p->workspace < 0 || p->workspace > CV_MAX_WORKSPACE) {
        cudnnBackendDestroyDescriptor(d);
        return 0;
    }
    p->plan = d;
    p->config = config;
    return 1;
}

static cudnnBackendDescriptor_t heuristics(const struct cv_target *t, const struct cv_graph *g,
                                           cudnnBackendHeurMode_t mode) {
    cudnnBackendDescriptor_t d;
    if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &d) !=
        CUDNN_STATUS_SUCCESS)
        return NULL;
    cudnnStatus_t s = cudnnBackendSetAttribute(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                                               CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &g->graph);
    if (s == CUDNN_STATUS_SUCCESS)
        s = cudnnBackendSetAttribute(d, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
#if CUDNN_VERSION >= 90800
    if (s == CUDNN_STATUS_SUCCESS && t->device)
        s = cudnnBackendSetAttribute(d, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP,
                                     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &t->device);
#else
    (void)t;
#endif
    if (s == CUDNN_STATUS_SUCCESS)
        s = cudnnBackendFinalize(d);
    if (s == CUDNN_STATUS_SUCCESS)
        return d;
    cudnnBackendDestroyDescriptor(d);
    return NULL;
}

/** The configurations of one mode, best first; *ret, of *made descriptors, is freed by the caller.
 */
static int64_t configs_get(const struct cv_target *t, const struct cv_graph *g,
                           cudnnBackendHeurMode_t mode, cudnnBackendDescriptor_t **ret,
                           int64_t *made) {
    int64_t count = 0;
    *ret = NULL;
    *made = 0;
    cudnnBackendDescriptor_t h = heuristics(t, g, mode);
    if (!h)
        return 0;
    if (cudnnBackendGetAttribute(h, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0,
                                 &count, NULL) != CUDNN_STATUS_SUCCESS ||
        count <= 0)
        count = 0;
    if (count > 0)
        *ret = calloc((size_t)count, sizeof **ret);
    while (*ret && *made < count &&
           cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &(*ret)[*made]) ==
               CUDNN_STATUS_SUCCESS)
        ++*made;
    /* Fewer may come than were counted: those that the device cannot run are dropped late. */
    int64_t got =
        *made ? get(h, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, *made, *ret)
              : 0;
    cudnnBackendDestroyDescriptor(h);
    return got > 0 ? got : 0;
}

static int is_known(const struct cv_plan *plans, int32_t count, const char *tag) {
    for (int32_t i = 0; i < count; i++)
        if (strcmp(plans[i].tag, tag) == 0)
            return 1;
    return 0;
}

int32_t cv_plans_find(const struct cv_target *t, const struct cv_graph *g,
                      enum hf_precision precision, struct cv_plan *ret) {
    static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK};
    int32_t found = 0;
    for (size_t m = 0; m < sizeof modes / sizeof modes[0]; m++) {
        cudnnBackendDescriptor_t *config;
        int64_t made, count = configs_get(t, g, modes[m], &config, &made);
        for (int64_t i = 0; i < count && found < CV_MAX_PLANS; i++) {
            struct cv_plan *p = &ret[found];
            *p = (struct cv_plan){.workspace = 0};
            if (config_fits(config[i], precision, p->tag) && !is_known(ret, found, p->tag) &&
                plan_make(t, config[i], p)) {
                config[i] = NULL;
                found++;
            }
        }
        for (int64_t i = 0; i < made; i++)
            if (config[i])
                cudnnBackendDestroyDescriptor(config[i]);
        free(config);
    }
    return found;
}

void cv_plan_free(struct cv_plan *p) {
    if (p->plan)
        cudnnBackendDestroyDescriptor(p->plan);
    if (p->config)
        cudnnBackendDestroyDescriptor(p->config);
    p->plan = p->config = NULL;
}
