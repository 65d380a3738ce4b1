/*
 * cache.c - `cache: store`: what a stage makes of each item of its source, kept in the store by the
 * stage's key, so that later runs need not make it again.
 *
 * A file is made of the samples of one item, in the machine's byte order: the magic word, their
 * count, and of each its texts, grids and fields; then the XXH3-128 of all of it. It is written
 * aside and renamed, and read back straight into tensors, so that memory has one item at a time. A
 * file that is damaged is told, and made again. What cannot be kept costs a warning, not the run.
 */
#include "exec.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#define MAGIC     "hepasmp1"
#define TEXT_MOST 4096 /* bytes of an id */

struct place {
    bool on;
    struct digest key;
    atomic_llong taken, kept;
    atomic_bool complained;
};

struct cache {
    struct run *run;
    struct store *store;
    struct place *stage;
};

/* ---- writing ---- */

struct writer {
    FILE *file;
    XXH3_state_t *state;
    bool good;
};

static void put(struct writer *w, const void *bytes, size_t size) {
    if (size == 0)
        return;
    w->good = w->good && fwrite(bytes, 1, size, w->file) == size;
    if (w->good)
        (void)XXH3_128bits_update(w->state, bytes, size);
}

static void put_number(struct writer *w, int64_t n) {
    put(w, &n, sizeof n);
}

static void put_text(struct writer *w, const char *text) {
    if (strlen(text) >= TEXT_MOST) {
        w->good = false;
        errno = ENAMETOOLONG;
    }
    put_number(w, (int64_t)strlen(text));
    put(w, text, strlen(text));
}

static enum hf_status put_field(struct writer *w, struct instance *in, const struct hf_field *f,
                                struct hf_error *e) {
    struct run *run = in->job->run;
    struct hf_tensor *t = f->tensor, *here = NULL;
    enum hf_status st = HF_OK;
    if (!t->device->host_memory) {
        st = in->copies ? HF_OK : run->device->methods->queue_new(run->device, &in->copies, e);
        if (st == HF_OK)
            st = tensor_share(&run->services->host, t, run->services->host_device, in->copies,
                              &here, e);
        t = here;
    }
    if (st == HF_OK)
        st = tensor_wait(t, e);
    if (st == HF_OK) {
        put_text(w, f->name);
        put_number(w, f->place);
        put_number(w, t->dtype);
        put_number(w, t->dl.ndim);
        put(w, t->shape, (size_t)t->dl.ndim * sizeof *t->shape);
        put(w, t->dl.data, (size_t)hf_tensor_count(t) * hf_dtype_size(t->dtype));
    }
    tensor_unref(here);
    return st;
}

static enum hf_status put_list(struct writer *w, struct instance *in, const struct samples *list,
                               struct hf_error *e) {
    enum hf_status st = HF_OK;
    put(w, MAGIC, strlen(MAGIC));
    put_number(w, list->count);
    for (int i = 0; st == HF_OK && i < list->count; i++) {
        const struct hf_sample *s = list->item[i];
        put_text(w, s->id);
        put_text(w, s->case_id);
        put_text(w, s->patient);
        put(w, &s->grid, sizeof s->grid);
        put(w, &s->canonical, sizeof s->canonical);
        put(w, &s->file, sizeof s->file);
        put_number(w, s->fields);
        for (int32_t f = 0; st == HF_OK && f < s->fields; f++)
            st = put_field(w, in, &s->field[f], e);
    }
    return st;
}

static enum hf_status write_list(const char *path, struct instance *in, const struct samples *list,
                                 struct hf_error *e) {
    XXH128_canonical_t last;
    struct writer w = {.file = fopen(path, "wbxe"), .state = XXH3_createState()};
    w.good = w.file && w.state;
    if (w.good)
        (void)XXH3_128bits_reset(w.state);
    enum hf_status st = w.good ? put_list(&w, in, list, e) : HF_OK;
    if (w.good) {
        XXH128_canonicalFromHash(&last, XXH3_128bits_digest(w.state));
        w.good = fwrite(last.digest, 1, sizeof last.digest, w.file) == sizeof last.digest &&
                 fflush(w.file) == 0 && fsync(fileno(w.file)) == 0;
    }
    if (st == HF_OK && !w.good)
        st = file_failed(e, path, "cannot be written");
    if (w.file && fclose(w.file) != 0 && st == HF_OK)
        st = file_failed(e, path, "cannot be written");
    (void)XXH3_freeState(w.state);
    return st;
}

/* ---- reading ---- */

struct reader {
    FILE *file;
    XXH3_state_t *state;
    int64_t left; /* before the digest */
    bool good;
};

static void take(struct reader *r, void *bytes, size_t size) {
    r->good = r->good && (uint64_t)size <= (uint64_t)r->left &&
              (size == 0 || fread(bytes, 1, size, r->file) == size);
    if (!r->good || size == 0)
        return;
    r->left -= (int64_t)size;
    (void)XXH3_128bits_update(r->state, bytes, size);
}

static int64_t take_number(struct reader *r, int64_t least, int64_t most) {
    int64_t n = 0;
    take(r, &n, sizeof n);
    r->good = r->good && n >= least && n <= most;
    return r->good ? n : least;
}

static void take_text(struct reader *r, char *text, int64_t size) {
    int64_t n = take_number(r, 0, size - 1);
    take(r, text, (size_t)n);
    text[r->good ? n : 0] = 0;
}

static enum hf_status take_field(struct reader *r, const struct run *run, struct hf_sample *s,
                                 struct hf_error *e) {
    struct hf_device *host = run->services->host_device;
    char name[HF_FIELD_NAME];
    int64_t shape[HF_MAX_DIMS] = {0}, room = r->left;
    struct hf_tensor *t = NULL;
    take_text(r, name, sizeof name);
    enum hf_place where = (enum hf_place)take_number(r, HF_ON_GRID, HF_ON_HOST);
    enum hf_dtype dtype = (enum hf_dtype)take_number(r, 0, HF_DTYPES - 1);
    int32_t ndim = (int32_t)take_number(r, 1, HF_MAX_DIMS);
    for (int32_t i = 0; i < ndim; i++) {
        shape[i] = take_number(r, 0, INT64_MAX);
        room = shape[i] > 0 ? room / shape[i] : room;
    }
    r->good = r->good && room >= (int64_t)hf_dtype_size(dtype); /* what it says is there */
    if (!r->good)
        return HF_OK;
    enum hf_status st = tensor_new(&run->services->host, host, NULL, dtype, ndim, shape, &t, e);
    if (st != HF_OK)
        return st;
    take(r, t->dl.data, (size_t)hf_tensor_count(t) * hf_dtype_size(dtype));
    return sample_set(s, name, where, t, e);
}

static enum hf_status take_sample(struct reader *r, const struct run *run, struct samples *list,
                                  struct hf_error *e) {
    char text[3][TEXT_MOST];
    struct hf_sample *s = NULL;
    for (int i = 0; i < 3; i++)
        take_text(r, text[i], TEXT_MOST);
    enum hf_status st = sample_new(&run->services->host, text[0], text[1], text[2], &s, e);
    if (st != HF_OK)
        return st;
    take(r, &s->grid, sizeof s->grid);
    take(r, &s->canonical, sizeof s->canonical);
    take(r, &s->file, sizeof s->file);
    int64_t fields = take_number(r, 0, HF_MAX_FIELDS);
    for (int64_t i = 0; st == HF_OK && r->good && i < fields; i++)
        st = take_field(r, run, s, e);
    if (st == HF_OK && r->good)
        st = sample_seal(s, e);
    if (st == HF_OK)
        return samples_push(list, s, e);
    sample_unref(s);
    return st;
}

static enum hf_status read_list(const char *path, const struct run *run, struct samples *list,
                                struct hf_error *e) {
    char magic[sizeof MAGIC] = "";
    XXH128_canonical_t last, found;
    struct stat info;
    struct reader r = {.file = fopen(path, "rbe")};
    if (!r.file)
        return errno == ENOENT ? hf_fail(e, HF_NOT_FOUND, "%s: is not there", path)
                               : file_failed(e, path, "cannot be read");
    r.state = XXH3_createState();
    r.left = fstat(fileno(r.file), &info) == 0 ? info.st_size - (int64_t)sizeof last.digest : -1;
    r.good = r.state && r.left >= 0;
    if (r.state)
        (void)XXH3_128bits_reset(r.state);
    enum hf_status st = HF_OK;
    take(&r, magic, strlen(MAGIC));
    r.good = r.good && memcmp(magic, MAGIC, strlen(MAGIC)) == 0;
    int64_t count = take_number(&r, 0, INT_MAX);
    for (int64_t i = 0; st == HF_OK && r.good && i < count; i++)
        st = take_sample(&r, run, list, e);
    if (st == HF_OK && r.good) {
        XXH128_canonicalFromHash(&found, XXH3_128bits_digest(r.state));
        r.good = r.left == 0 &&
                 fread(last.digest, 1, sizeof last.digest, r.file) == sizeof last.digest &&
                 memcmp(found.digest, last.digest, sizeof last.digest) == 0;
    }
    if (st == HF_OK && !r.good)
        st = !r.state         ? hf_fail(e, HF_NO_MEMORY, "%s: no memory to read it", path)
             : ferror(r.file) ? file_failed(e, path, "cannot be read")
                              : hf_fail(e, HF_INVALID, "%s: is damaged", path);
    (void)XXH3_freeState(r.state);
    (void)fclose(r.file);
    if (st != HF_OK)
        samples_clear(list);
    return st;
}

/* ---- the stages ---- */

static void warn(struct cache *c, int stage, const char *what, const char *why) {
    char line[3200];
    const char *name = c->run->plan->stage[stage].name;
    if (atomic_exchange(&c->stage[stage].complained, true))
        return;
    (void)snprintf(line, sizeof line, "%s: %s: %s", name, what, why);
    run_note(c->run,
             &(struct hf_run_event){
                 .kind = HF_EVENT_LOG, .level = HF_LOG_WARNING, .job = name, .text = line},
             NULL);
}

/* Before the loop runs, on its thread. */
static void tell_off(const struct cache *c, int stage, const char *why) {
    char line[3200];
    const char *name = c->run->plan->stage[stage].name;
    (void)snprintf(line, sizeof line, "%s: its samples are not kept: %s", name, why);
    run_tell(c->run, (struct hf_run_event){
                         .kind = HF_EVENT_LOG, .level = HF_LOG_WARNING, .job = name, .text = line});
}

static void open_place(struct cache *c, int stage) {
    const struct run *run = c->run;
    const struct plan_stage *ps = &run->plan->stage[stage];
    struct place *p = &c->stage[stage];
    struct hf_error e = {0};
    if (!hold_cuts(run->hold, stage)) {
        tell_off(c, stage, "only those of maps in a row behind a source are");
        return;
    }
    p->key = reuse_digest(run->reuse, stage);
    if (run->options->fresh)
        samples_drop(c->store, p->key);
    p->on = samples_open(c->store, p->key, ps->name, run->plan->name, &e) == HF_OK;
    if (!p->on)
        tell_off(c, stage, e.text);
}

enum hf_status cache_new(struct run *run, struct cache **ret, struct hf_error *e) {
    struct store *store = reuse_store(run->reuse);
    bool any = false;
    *ret = NULL;
    for (int i = 0; i < run->plan->stages; i++)
        any = any || run->plan->stage[i].cache;
    if (!any || !store)
        return HF_OK;
    struct cache *c = calloc(1, sizeof *c);
    if (c)
        c->stage = calloc((size_t)run->plan->stages, sizeof *c->stage);
    if (!c || !c->stage) {
        free(c);
        return hf_fail(e, HF_NO_MEMORY, "no memory for the samples that the store keeps");
    }
    c->run = run;
    c->store = store;
    for (int i = 0; i < run->plan->stages; i++)
        if (run->plan->stage[i].cache)
            open_place(c, i);
    *ret = c;
    return HF_OK;
}

void cache_free(struct cache *c) {
    if (!c)
        return;
    free(c->stage);
    free(c);
}

static const char *path_of(const struct cache *c, int stage, int64_t item, char *buffer) {
    return samples_path(c->store, buffer, PATH_MAX, c->stage[stage].key, item);
}

static bool is_read(const struct cache *c, int stage) {
    return c && c->stage[stage].on;
}

bool cache_has(const struct cache *c, int stage, int64_t item) {
    char path[PATH_MAX];
    return is_read(c, stage) && access(path_of(c, stage, item, path), R_OK) == 0;
}

bool cache_get(struct cache *c, int stage, int64_t item, struct samples *list) {
    char path[PATH_MAX];
    struct hf_error e = {0};
    if (!is_read(c, stage))
        return false;
    enum hf_status st = read_list(path_of(c, stage, item, path), c->run, list, &e);
    if (st == HF_OK)
        atomic_fetch_add(&c->stage[stage].taken, 1);
    else if (st == HF_INVALID) {
        warn(c, stage, "some of its samples in the store are damaged, and are made again", e.text);
        (void)unlink(path);
    } else if (st == HF_IO) {
        warn(c, stage, "some of its samples in the store are made again", e.text);
    }
    return st == HF_OK;
}

void cache_put(struct cache *c, struct instance *in, int64_t item, const struct samples *list) {
    char path[PATH_MAX], aside[PATH_MAX];
    struct hf_error e = {0};
    if (!c || !c->stage[in->index].on || cache_has(c, in->index, item) ||
        !reuse_is_certain(c->run, in->index, item))
        return;
    (void)store_aside(c->store, aside, sizeof aside);
    enum hf_status st = write_list(aside, in, list, &e);
    if (st == HF_OK && rename(aside, path_of(c, in->index, item, path)) != 0)
        st = file_failed(&e, path, "cannot be written");
    if (st == HF_OK) {
        atomic_fetch_add(&c->stage[in->index].kept, 1);
        return;
    }
    (void)unlink(aside);
    warn(c, in->index, "not all of its samples are kept", e.text);
}

void cache_tell(const struct cache *c) {
    for (int i = 0; c && i < c->run->plan->stages; i++) {
        long long taken = atomic_load(&c->stage[i].taken), kept = atomic_load(&c->stage[i].kept);
        const char *name = c->run->plan->stage[i].name;
        char line[256];
        if (taken + kept == 0)
            continue;
        (void)snprintf(line, sizeof line, "%.64s: %lld item%s taken from the store, %lld more kept",
                       name, taken, taken == 1 ? "" : "s", kept);
        run_tell(c->run,
                 (struct hf_run_event){
                     .kind = HF_EVENT_LOG, .level = HF_LOG_INFO, .job = name, .text = line});
    }
}
