/*
 * kit.c - runs made by hand (see kit.h).
 */
#include "kit.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nn/net.h"

/* ---- what the stages share ---- */

static const struct knobs *knobs_of(const struct hf_stage *s) {
    return s->options;
}

static struct probe *probe_of(const struct hf_stage *s) {
    return knobs_of(s)->probe;
}

static void raise_to(atomic_int *most, int n) {
    int old = atomic_load(most);
    while (old < n && !atomic_compare_exchange_weak(most, &old, n))
        ;
}

/* Some time that differs from call to call, so that nothing arrives in order by itself. */
static void dawdle(const struct hf_stage *s) {
    struct probe *p = probe_of(s);
    long long alive = atomic_load(&services_of(s->host)->samples);
    long long most = atomic_load(&p->most_samples);
    while (most < alive && !atomic_compare_exchange_weak(&p->most_samples, &most, alive))
        ;
    if (knobs_of(s)->delay_us > 0) {
        struct timespec now;
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        (void)usleep((useconds_t)((now.tv_nsec / 64 * 7919) % knobs_of(s)->delay_us));
    }
}

static enum hf_status planned(const struct hf_stage *s, const char *where, int64_t value,
                              struct hf_error *e) {
    const struct knobs *o = knobs_of(s);
    if (!o->fail || strcmp(o->fail, where) != 0)
        return HF_OK;
    if (o->fail_every ? value % o->fail_every != 0 : o->fail_at >= 0 && o->fail_at != value)
        return HF_OK;
    if (o->fail_times && atomic_fetch_add(&o->probe->failed[value & 63], 1) >= o->fail_times)
        return HF_OK;
    return hf_fail(e, o->fail_status ? o->fail_status : HF_INVALID, "planned in %s", where);
}

static int64_t value_of(const struct hf_sample *in) {
    return HF_DATA(int64_t, hf_sample_get(in, "value"))[0];
}

static enum hf_status send(struct hf_stage *s, const struct hf_sample *from, const char *id,
                           int64_t value, struct hf_error *e) {
    struct hf_sample *out = NULL;
    struct hf_tensor *t = NULL;
    const int64_t one = 1;
    enum hf_status st = from ? s->host->sample_derive(s->host, from, id, &out, e)
                             : s->host->sample_new(s->host, id, id, id, &out, e);
    if (st != HF_OK)
        return st;
    st = hf_tensor_new_host(s, HF_I64, 1, &one, &t, e);
    if (st == HF_OK) {
        HF_DATA(int64_t, t)[0] = value;
        st = s->host->sample_set(out, "value", HF_ON_HOST, t, e);
    }
    int64_t elements = knobs_of(s)->elements;
    if (st == HF_OK && elements > 0) {
        st = hf_tensor_new_host(s, HF_U8, 1, &elements, &t, e);
        if (st == HF_OK)
            st = s->host->sample_set(out, "bulk", HF_ON_HOST, t, e);
    }
    if (st != HF_OK) {
        s->host->sample_unref(out);
        return st;
    }
    return hf_emit(s, out, e);
}

static enum hf_status send_all(struct hf_stage *s, const struct hf_sample *from, const char *id,
                               int64_t value, struct hf_error *e) {
    int n = knobs_of(s)->emits ? knobs_of(s)->emits : 1;
    enum hf_status st = HF_OK;
    for (int i = 0; st == HF_OK && i < n; i++)
        st = send(s, from, id, value + 1000000 * i, e);
    return st;
}

static enum hf_status start(struct hf_stage *s, struct hf_error *e) {
    (void)atomic_fetch_add(&probe_of(s)->instances, 1);
    return planned(s, "start", 0, e);
}

static void stop(struct hf_stage *s) {
    (void)atomic_fetch_sub(&probe_of(s)->instances, 1);
}

/* ---- sources ---- */

static enum hf_status count(struct hf_stage *s, int64_t *ret, struct hf_error *e) {
    *ret = knobs_of(s)->count;
    return planned(s, "count", 0, e);
}

static enum hf_status open_value(struct hf_stage *s, int64_t item, int64_t value,
                                 struct hf_error *e) {
    char id[32];
    struct probe *p = probe_of(s);
    (void)snprintf(id, sizeof id, "case%03d", (int)item);
    (void)atomic_fetch_add(&p->opened, 1);
    raise_to(&p->most_running, atomic_fetch_add(&p->running, 1) + 1);
    dawdle(s);
    enum hf_status st = planned(s, "open", item, e);
    if (st == HF_OK)
        st = send_all(s, NULL, id, value, e);
    (void)atomic_fetch_sub(&p->running, 1);
    return st;
}

static enum hf_status source_open(struct hf_stage *s, int64_t item, struct hf_error *e) {
    return open_value(s, item, item, e);
}

static enum hf_status random_open(struct hf_stage *s, int64_t item, struct hf_error *e) {
    char id[32];
    (void)snprintf(id, sizeof id, "case%03d", (int)item);
    struct hf_rng rng = hf_stage_rng(s, id);
    return open_value(s, item, (int64_t)hf_rng_below(&rng, 100000), e);
}

struct files_state {
    char path[256];
};

static int32_t files_of(struct hf_stage *s, int64_t item, const char **paths, int32_t max) {
    struct files_state *fs = s->state;
    (void)max;
    (void)snprintf(fs->path, sizeof fs->path, "%s/%d", knobs_of(s)->file, (int)item);
    paths[0] = fs->path;
    return 1;
}

static enum hf_status files_open(struct hf_stage *s, int64_t item, struct hf_error *e) {
    const char *path;
    void *bytes;
    size_t size;
    (void)files_of(s, item, &path, 1);
    enum hf_status st = s->host->file_take(s->host, path, &bytes, &size, e);
    if (st != HF_OK)
        return st;
    int64_t value = size ? *(const uint8_t *)bytes : -1;
    s->host->file_free(s->host, bytes);
    return open_value(s, item, value, e);
}

/* ---- maps ---- */

static enum hf_status begin(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e) {
    struct probe *p = probe_of(s);
    (void)atomic_fetch_add(&p->processed, 1);
    dawdle(s);
    return planned(s, "process", value_of(in), e);
}

static enum hf_status map_process(struct hf_stage *s, const struct hf_sample *in,
                                  struct hf_error *e) {
    enum hf_status st = begin(s, in, e);
    if (st == HF_OK)
        st = send_all(s, in, NULL, value_of(in) * 31 + knobs_of(s)->add, e);
    return st == HF_OK ? planned(s, "emitted", value_of(in), e) : st;
}

static enum hf_status noise_process(struct hf_stage *s, const struct hf_sample *in,
                                    struct hf_error *e) {
    struct hf_rng rng = hf_stage_rng(s, in->id);
    enum hf_status st = begin(s, in, e);
    return st == HF_OK ? send(s, in, NULL, value_of(in) + hf_rng_below(&rng, 1000), e) : st;
}

static enum hf_status odd_process(struct hf_stage *s, const struct hf_sample *in,
                                  struct hf_error *e) {
    enum hf_status st = begin(s, in, e);
    return st == HF_OK && value_of(in) % 2 ? send(s, in, NULL, value_of(in), e) : st;
}

struct sum_state {
    int64_t sum;
};

static enum hf_status sum_process(struct hf_stage *s, const struct hf_sample *in,
                                  struct hf_error *e) {
    struct sum_state *state = s->state;
    enum hf_status st = begin(s, in, e);
    state->sum = (state->sum * 3 + value_of(in)) % 1000003; /* depends on the order */
    return st == HF_OK ? send(s, in, NULL, state->sum, e) : st;
}

static enum hf_status sum_end(struct hf_stage *s, struct hf_error *e) {
    struct sum_state *state = s->state;
    (void)atomic_fetch_add(&probe_of(s)->ends, 1);
    enum hf_status st = planned(s, "end_of_epoch", 0, e);
    if (st == HF_OK)
        st = send(s, NULL, "end", -state->sum, e);
    state->sum = 0;
    return st;
}

static enum hf_status mix_process(struct hf_stage *s, const struct hf_sample *in,
                                  struct hf_error *e) {
    enum hf_status st = begin(s, in, e);
    return st == HF_OK ? send(s, in, NULL, value_of(in) * 10 + s->input, e) : st;
}

static enum hf_status apply_process(struct hf_stage *s, const struct hf_sample *in,
                                    struct hf_error *e) {
    enum hf_status st = begin(s, in, e);
    return st == HF_OK ? send(s, in, NULL, value_of(in) + (int64_t)s->model->params[0], e) : st;
}

/* ---- sinks ---- */

static void write_line(struct log *log, uint64_t epoch, const struct hf_sample *s) {
    pthread_mutex_lock(&log->lock);
    int i = log->count < 8191 ? log->count++ : 8191;
    log->line[i].epoch = epoch;
    log->line[i].value = value_of(s);
    log->line[i].sample = s;
    (void)snprintf(log->line[i].id, sizeof log->line[i].id, "%s", s->id);
    pthread_mutex_unlock(&log->lock);
}

static enum hf_status collect_run(struct hf_stage *s, struct hf_stream *in, struct hf_error *e) {
    const struct knobs *o = knobs_of(s);
    enum hf_status st = planned(s, "run", 0, e);
    for (uint64_t epoch = 0; st == HF_OK && epoch < (uint64_t)(o->count ? o->count : 1); epoch++) {
        const struct hf_sample *sample = NULL;
        int64_t seen = 0;
        st = s->host->rewind(in, epoch, e);
        while (st == HF_OK && (o->stop_at == 0 || seen < o->stop_at) &&
               (st = s->host->next(in, &sample, e)) == HF_OK) {
            dawdle(s);
            if (o->log)
                write_line(o->log, epoch, sample);
            seen++;
            st = planned(s, "sink", value_of(sample), e);
            s->host->progress(s, (double)seen, 0, 0.5);
        }
        if (st == HF_END)
            st = HF_OK;
    }
    return st;
}

static enum hf_status publish_one(struct hf_stage *s, float value, struct hf_error *e) {
    struct hf_net *net = NULL;
    struct hf_model *model = NULL;
    const float params[2] = {value, 0};
    struct hf_layer l = {
        .kind = HF_LAYER_CONV, .name = "head", .inputs = 1, .channels = 1, .bias = 1};
    struct hf_model_info info = {.stage = "kit", .network = "kit", .input_channels = 1};
    enum hf_status st = s->host->net_new(2, 1, &net, e);
    if (st == HF_OK)
        st = s->host->net_add(net, &l, NULL, e);
    if (st == HF_OK)
        st = s->host->model_new(&info, net, params, &model, e);
    if (st == HF_OK) {
        st = s->host->publish(s, model, e);
        s->host->model_unref(model);
    }
    s->host->net_free(net);
    return st;
}

static enum hf_status learn_run(struct hf_stage *s, struct hf_stream *in, struct hf_error *e) {
    enum hf_status st = collect_run(s, in, e);
    return st == HF_OK && !knobs_of(s)->emits ? publish_one(s, (float)knobs_of(s)->add, e) : st;
}

static enum hf_status modelfile_run(struct hf_stage *s, struct hf_stream *in, struct hf_error *e) {
    assert_null(in);
    return publish_one(s, (float)knobs_of(s)->add, e);
}

#define CLASS(NAME, KIND, ...)                                                                     \
    const struct hf_stage_class kit_##NAME = {.name = #NAME,                                       \
                                              .kind = KIND,                                        \
                                              .options_size = sizeof(struct knobs),                \
                                              .start = start,                                      \
                                              .stop = stop,                                        \
                                              __VA_ARGS__}

CLASS(source, HF_SOURCE, .count = count, .open = source_open);
CLASS(random, HF_SOURCE, .flags = HF_STAGE_RANDOM, .count = count, .open = random_open);
CLASS(files, HF_SOURCE, .count = count, .open = files_open, .files = files_of,
      .state_size = sizeof(struct files_state));
CLASS(map, HF_MAP, .process = map_process);
CLASS(noise, HF_MAP, .flags = HF_STAGE_RANDOM, .process = noise_process);
CLASS(odd, HF_MAP, .process = odd_process);
CLASS(sum, HF_MAP, .flags = HF_STAGE_SERIAL, .state_size = sizeof(struct sum_state),
      .process = sum_process, .end_of_epoch = sum_end);
CLASS(mix, HF_MIX, .process = mix_process);
CLASS(collect, HF_SINK, .run = collect_run);
CLASS(learn, HF_SINK, .flags = HF_STAGE_YIELDS_MODEL, .run = learn_run);
CLASS(apply, HF_MAP, .flags = HF_STAGE_TAKES_MODEL, .process = apply_process);
CLASS(modelfile, HF_MODEL, .flags = HF_STAGE_YIELDS_MODEL, .run = modelfile_run);

/* ---- the plan ---- */

void kit_open(struct kit *k) {
    struct hf_error e;
    memset(k, 0, sizeof *k);
    if (hf_engine_open(&k->engine, &e) != HF_OK)
        fail_msg("%s", e.text);
    (void)snprintf(k->folder, sizeof k->folder, "/tmp/hepaflow-kit-XXXXXX");
    assert_non_null(mkdtemp(k->folder));
    k->plan = (struct hf_plan){.engine = k->engine,
                               .name = "kit",
                               .seed = 66,
                               .device = "cpu",
                               .nn_threads = 1,
                               .jobs_at_once = 2,
                               .stage = k->stage,
                               .job = k->job};
    k->workers = 2;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw) {
    (void)info;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void kit_close(struct kit *k) {
    struct services *sv = services_of(k->engine->host);
    assert_int_equal(atomic_load(&sv->samples), 0);
    assert_int_equal(atomic_load(&sv->tensors), 0);
    assert_int_equal(atomic_load(&k->probe.instances), 0);
    hf_engine_close(k->engine);
    (void)nftw(k->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int kit_stage_(struct kit *k, const char *name, const struct hf_stage_class *cls,
               struct knobs knobs, const int *inputs) {
    int i = k->plan.stages++;
    assert_true(i < KIT_STAGES);
    struct plan_stage *ps = &k->stage[i];
    (void)snprintf(k->name[i], sizeof k->name[i], "%s", name);
    k->knobs[i] = knobs;
    k->knobs[i].probe = knobs.probe ? knobs.probe : &k->probe;
    *ps = (struct plan_stage){.name = k->name[i],
                              .cls = cls,
                              .options = &k->knobs[i],
                              .model = -1,
                              .on_device = true,
                              .reads = {.all = true}};
    while (inputs[ps->inputs] >= 0) {
        ps->input[ps->inputs] = inputs[ps->inputs];
        ps->random = ps->random || k->stage[inputs[ps->inputs]].random;
        ps->inputs++;
    }
    ps->random = ps->random || (cls->flags & HF_STAGE_RANDOM);
    return i;
}

int kit_job_(struct kit *k, const int *sinks) {
    int j = k->plan.jobs++;
    assert_true(j < KIT_STAGES);
    struct plan_job *job = &k->job[j];
    *job = (struct plan_job){.sink = k->job_sink[j], .after_job = k->job_after[j]};
    while (sinks[job->sinks] >= 0) {
        job->sink[job->sinks] = sinks[job->sinks];
        job->sinks++;
    }
    job->name = k->name[sinks[0]];
    return j;
}

enum hf_status kit_try(struct kit *k, struct hf_error *e) {
    struct hf_run_options options = {.out_dir = k->folder,
                                     .device = k->device,
                                     .workers = k->workers,
                                     .seed = -1,
                                     .trace = k->trace,
                                     .on_event = k->on_event,
                                     .arg = k->arg};
    k->plan.runs_on = k->device ? k->device : "cpu"; /* as placed by hand */
    return hf_run(k->engine, &k->plan, &options, e);
}

void kit_run(struct kit *k) {
    struct hf_error e;
    if (kit_try(k, &e) != HF_OK)
        fail_msg("%s", e.text);
}

struct log *log_new(void) {
    struct log *log = calloc(1, sizeof *log);
    assert_non_null(log);
    pthread_mutex_init(&log->lock, NULL);
    return log;
}

void log_free(struct log *log) {
    pthread_mutex_destroy(&log->lock);
    free(log);
}

void log_check_equal(const struct log *a, const struct log *b) {
    assert_int_equal(a->count, b->count);
    for (int i = 0; i < a->count; i++) {
        assert_int_equal(a->line[i].epoch, b->line[i].epoch);
        assert_int_equal(a->line[i].value, b->line[i].value);
        assert_string_equal(a->line[i].id, b->line[i].id);
    }
}
