/*
 * kit.h - runs made by hand for the tests of the executor: a plan without YAML, and stages whose
 * samples are numbers that tell where they have been.
 */
#ifndef TESTS_KIT_H
#define TESTS_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "engine.h"
#include "run/run.h"

#define KIT_STAGES 24

/* What the stages of one test share. */
struct probe {
    atomic_int opened, processed, running, most_running, instances;
    atomic_llong most_samples; /* alive at once */
    atomic_int ends;
    atomic_int failed[64]; /* times that a value failed */
};

/* Options of every stage class below; each reads what it needs. */
struct knobs {
    struct probe *probe;
    int64_t count;    /* source: items; collect: epochs */
    int delay_us;     /* up to so long, by chance */
    int64_t add;      /* map */
    int64_t elements; /* source: size of each sample's tensor */
    int emits;        /* source, map: samples for each one (default 1; -1: none) */
    int64_t stop_at;  /* collect: leaves each epoch after so many samples; 0: never */
    struct log *log;  /* collect */
    const char *fail; /* the callback that fails: "start", "count", "open", "process", ... */
    int64_t fail_at;  /* at that value; -1: at any */
    int fail_every;   /* at every value that this divides; 0: see fail_at */
    int fail_times;   /* so often for each value, then never again (up to 63 values); 0: always */
    enum hf_status fail_status; /* HF_OK: HF_INVALID */
    const char *file;           /* source: "%d" in it is the item */
};

/* What a collecting sink has seen. */
struct log {
    pthread_mutex_t lock;
    int count;
    struct {
        uint64_t epoch;
        int64_t value;
        const struct hf_sample *sample; /* only to compare */
        char id[48];
    } line[8192];
};

extern const struct hf_stage_class kit_source;    /* item i: the value i */
extern const struct hf_stage_class kit_random;    /* a source of random values */
extern const struct hf_stage_class kit_files;     /* the first byte of each item's file */
extern const struct hf_stage_class kit_map;       /* value * 31 + add */
extern const struct hf_stage_class kit_noise;     /* adds a random number */
extern const struct hf_stage_class kit_odd;       /* keeps odd values */
extern const struct hf_stage_class kit_sum;       /* serial: running sums, the total at the end */
extern const struct hf_stage_class kit_mix;       /* value * 10 + input */
extern const struct hf_stage_class kit_collect;   /* a sink */
extern const struct hf_stage_class kit_learn;     /* the same, publishing a model; makes passes */
extern const struct hf_stage_class kit_apply;     /* a map: adds the model's first parameter */
extern const struct hf_stage_class kit_modelfile; /* a model without a stream */

struct kit {
    struct hf_engine *engine;
    struct hf_plan plan;
    struct plan_stage stage[KIT_STAGES];
    struct plan_job job[KIT_STAGES];
    int job_sink[KIT_STAGES][4];
    int job_after[KIT_STAGES][4];
    struct knobs knobs[KIT_STAGES];
    char name[KIT_STAGES][24];
    struct probe probe;
    char folder[64];
    int workers;
    const char *device, *trace;
    void (*on_event)(void *arg, const struct hf_run_event *event);
    void *arg;
};

void kit_open(struct kit *k);
/* Fails the test if a tensor or a sample is still alive. */
void kit_close(struct kit *k);

/* Adds a stage with its inputs (-1 terminated); the result is its index. */
int kit_stage_(struct kit *k, const char *name, const struct hf_stage_class *cls,
               struct knobs knobs, const int *inputs);
#define kit_stage(k, name, cls, knobs, ...)                                                        \
    kit_stage_(k, name, cls, knobs, (const int[]){__VA_ARGS__, -1})
#define KNOBS(...) ((struct knobs){__VA_ARGS__})
/* A job of up to four sinks (-1 terminated), after the jobs whose models they need. */
int kit_job_(struct kit *k, const int *sinks);
#define kit_job(k, ...) kit_job_(k, (const int[]){__VA_ARGS__, -1})

enum hf_status kit_try(struct kit *k, struct hf_error *e);
/* The run must succeed. */
void kit_run(struct kit *k);

struct log *log_new(void);
void log_free(struct log *log);
/* Fails the test unless both have the same epochs, values and ids. */
void log_check_equal(const struct log *a, const struct log *b);

#endif
