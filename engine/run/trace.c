/*
 * trace.c - writes the events of a trace one by one, so that a long run's takes no memory.
 */
#include "trace.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A counter at a moment. */
struct count {
    int job;
    const char *what;
    int64_t at, samples, bytes;
};

struct counts {
    int used, capacity;
    struct count *item;
};

struct trace {
    pthread_mutex_t lock;
    pthread_mutex_t counts_lock; /* never held while the file is written */
    struct counts counts;        /* that the file lacks */
    FILE *file;
    int tracks;
    int64_t began;
    char *path, *aside;
};

int64_t trace_now(void) {
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void trace_free(struct trace *t) {
    if (t->file)
        (void)fclose(t->file);
    pthread_mutex_destroy(&t->lock);
    pthread_mutex_destroy(&t->counts_lock);
    free(t->counts.item);
    free(t->path);
    free(t->aside);
    free(t);
}

enum hf_status trace_open(const char *path, struct trace **ret, struct hf_error *e) {
    struct trace *t = calloc(1, sizeof *t);
    if (!t)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the trace");
    pthread_mutex_init(&t->lock, NULL);
    pthread_mutex_init(&t->counts_lock, NULL);
    t->path = strdup(path);
    if (asprintf(&t->aside, "%s.%ld.part", path, (long)getpid()) < 0)
        t->aside = NULL;
    if (!t->path || !t->aside) {
        trace_free(t);
        return hf_fail(e, HF_NO_MEMORY, "no memory for the trace");
    }
    t->file = fopen(t->aside, "w");
    if (!t->file) {
        enum hf_status st =
            hf_fail(e, HF_IO, "the trace '%s' cannot be written: %s", path, strerror(errno));
        trace_free(t);
        return st;
    }
    t->began = trace_now();
    (void)fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n", t->file);
    (void)fputs("{\"ph\":\"M\",\"name\":\"trace\",\"pid\":0,\"args\":{\"name\":\"hepaflow\"}}",
                t->file);
    *ret = t;
    return HF_OK;
}

void trace_abandon(struct trace *t) {
    if (t)
        (void)unlink(t->aside);
}

/* A JSON string; names and ids come from graphs and files. */
static void put_text(FILE *f, const char *text) {
    (void)putc('"', f);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c == '"' || *c == '\\')
            (void)fprintf(f, "\\%c", *c);
        else if (*c < 0x20)
            (void)fprintf(f, "\\u%04x", *c);
        else
            (void)putc(*c, f);
    (void)putc('"', f);
}

static void put_name(struct trace *t, const char *kind, int job, int track, const char *name) {
    (void)fprintf(t->file, ",\n{\"ph\":\"M\",\"name\":\"%s\",\"pid\":%d,\"tid\":%d,\"args\":", kind,
                  job + 1, track);
    (void)fputs("{\"name\":", t->file);
    put_text(t->file, name);
    (void)fputs("}}", t->file);
}

void trace_job(struct trace *t, int job, const char *name) {
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    put_name(t, "process_name", job, 0, name);
    pthread_mutex_unlock(&t->lock);
}

int trace_track(struct trace *t, int job, const char *stage, int replica) {
    char name[256];
    if (!t)
        return 0;
    if (replica < 0)
        (void)snprintf(name, sizeof name, "%s", stage);
    else
        (void)snprintf(name, sizeof name, "%s %d", stage, replica + 1);
    pthread_mutex_lock(&t->lock);
    int track = ++t->tracks;
    put_name(t, "thread_name", job, track, name);
    pthread_mutex_unlock(&t->lock);
    return track;
}

static double micros(const struct trace *t, int64_t ns) {
    return (double)(ns - t->began) * 1e-3;
}

/* Writes what has been counted since the last call; t->lock is held, or nobody else is left. */
static void write_counts(struct trace *t) {
    pthread_mutex_lock(&t->counts_lock);
    struct counts all = t->counts;
    t->counts = (struct counts){0};
    pthread_mutex_unlock(&t->counts_lock);
    for (int i = 0; i < all.used; i++) {
        const struct count *c = &all.item[i];
        (void)fprintf(t->file, ",\n{\"ph\":\"C\",\"pid\":%d,\"ts\":%.3f,\"name\":", c->job + 1,
                      micros(t, c->at));
        put_text(t->file, c->what);
        (void)fprintf(t->file, ",\"args\":{\"samples\":%lld,\"MB\":%.3f}}", (long long)c->samples,
                      (double)c->bytes * 1e-6);
    }
    free(all.item);
}

void trace_span(struct trace *t, int job, int track, const char *what, const char *id,
                int64_t epoch, int64_t from, int64_t to) {
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    write_counts(t);
    (void)fprintf(t->file, ",\n{\"ph\":\"X\",\"pid\":%d,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,",
                  job + 1, track, micros(t, from), (double)(to - from) * 1e-3);
    (void)fputs("\"name\":", t->file);
    put_text(t->file, what);
    if (epoch >= 0 || id) {
        (void)fputs(",\"args\":{", t->file);
        if (epoch >= 0)
            (void)fprintf(t->file, "\"epoch\":%lld%s", (long long)epoch, id ? "," : "");
        if (id) {
            (void)fputs("\"sample\":", t->file);
            put_text(t->file, id);
        }
        (void)putc('}', t->file);
    }
    (void)putc('}', t->file);
    pthread_mutex_unlock(&t->lock);
}

void trace_count(struct trace *t, int job, const char *what, int64_t count, int64_t bytes) {
    if (!t)
        return;
    struct count now = {job, what, trace_now(), count, bytes};
    pthread_mutex_lock(&t->counts_lock);
    struct counts *all = &t->counts;
    if (all->used == all->capacity) {
        int n = all->capacity ? 2 * all->capacity : 64;
        struct count *more = realloc(all->item, (size_t)n * sizeof *more);
        if (more) {
            all->item = more;
            all->capacity = n;
        }
    }
    if (all->used < all->capacity) /* without memory a point of the curve is missing */
        all->item[all->used++] = now;
    pthread_mutex_unlock(&t->counts_lock);
}

enum hf_status trace_close(struct trace *t, struct hf_error *e) {
    enum hf_status st = HF_OK;
    if (!t)
        return HF_OK;
    write_counts(t);
    bool written = fputs("\n]}\n", t->file) >= 0 && fflush(t->file) == 0 && !ferror(t->file) &&
                   fsync(fileno(t->file)) == 0;
    written = fclose(t->file) == 0 && written;
    t->file = NULL;
    if (!written || rename(t->aside, t->path) != 0) {
        st = hf_fail(e, HF_IO, "the trace '%s' cannot be written: %s", t->path, strerror(errno));
        (void)unlink(t->aside);
    }
    trace_free(t);
    return st;
}
