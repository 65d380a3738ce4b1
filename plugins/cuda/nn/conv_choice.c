/**
 * conv_choice.c - which engine was found to be the fastest, from run to run.
 *
 * Two engines may round differently, and timing is never the same twice: a choice counts only once
 * it is in the file, where every later run finds it. The file is text, a title and then a line for
 * each problem, "<problem><tab><engine>"; a line that is not like that is passed over. A lock
 * beside it lets one process at a time measure and write; whoever had to wait takes what the other
 * chose.
 */
#include "conv_cudnn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TITLE      "hepaflow cudnn 1\n"
#define MAX_BYTES  ((size_t)4 << 20)
#define LOCK_TRIES 3000 /* a minute */

struct entry {
    char *key, *tag;
};

struct cv_choices {
    const struct hf_host *host;
    pthread_mutex_t mutex; /* guards what follows, and lets one thread measure at a time */
    struct entry *entry;
    size_t entries, capacity;
    int remember;
    char path[PATH_MAX], lock[PATH_MAX];
};

/* ---- the table ---- */

static struct entry *find(struct cv_choices *c, const char *key) {
    for (size_t i = 0; i < c->entries; i++)
        if (strcmp(c->entry[i].key, key) == 0)
            return &c->entry[i];
    return NULL;
}

/** Adds or replaces; 0: out of memory. */
static int put(struct cv_choices *c, const char *key, const char *tag) {
    char *text = strdup(tag);
    struct entry *known = find(c, key);
    if (!text)
        return 0;
    if (known) {
        free(known->tag);
        known->tag = text;
        return 1;
    }
    if (c->entries == c->capacity) {
        size_t more = c->capacity ? 2 * c->capacity : 64;
        struct entry *grown = realloc(c->entry, more * sizeof *grown);
        if (!grown) {
            free(text);
            return 0;
        }
        c->entry = grown;
        c->capacity = more;
    }
    char *name = strdup(key);
    if (!name) {
        free(text);
        return 0;
    }
    c->entry[c->entries++] = (struct entry){name, text};
    return 1;
}

/* ---- the file ---- */

/** The whole file, NUL-terminated, or NULL. */
static char *read_text(const char *path) {
    FILE *f = fopen(path, "rbe");
    char *text = f ? malloc(MAX_BYTES + 1) : NULL;
    if (text) {
        size_t got = fread(text, 1, MAX_BYTES, f);
        text[got] = 0;
    }
    if (f)
        (void)fclose(f);
    return text;
}

/** Adds what the file knows and the table does not: a process keeps to what it has used. */
static void load(struct cv_choices *c) {
    char *text = read_text(c->path);
    if (text && strncmp(text, TITLE, strlen(TITLE)) == 0) {
        char *line = text + strlen(TITLE), *end;
        for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = 0;
            char *tab = strchr(line, '\t');
            if (!tab || tab == line || !tab[1] || strchr(tab + 1, '\t'))
                continue;
            *tab = 0;
            if (!find(c, line) && !put(c, line, tab + 1))
                break;
        }
    }
    free(text);
}

static int save(const struct cv_choices *c) {
    size_t size = strlen(TITLE), used;
    for (size_t i = 0; i < c->entries; i++)
        size += strlen(c->entry[i].key) + strlen(c->entry[i].tag) + 2;
    char *text = size < MAX_BYTES ? malloc(size + 1) : NULL;
    if (!text)
        return 0;
    used = (size_t)snprintf(text, size + 1, "%s", TITLE);
    for (size_t i = 0; i < c->entries; i++)
        used += (size_t)snprintf(text + used, size + 1 - used, "%s\t%s\n", c->entry[i].key,
                                 c->entry[i].tag);
    struct hf_error unused;
    enum hf_status st = c->host->write_file(c->path, text, used, &unused);
    free(text);
    return st == HF_OK;
}

/** Waits for the file's lock; -1 if it cannot be had. */
static int lock_take(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (int i = 0; fd >= 0; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return fd;
        if ((errno != EWOULDBLOCK && errno != EINTR) || i == LOCK_TRIES)
            break;
        const struct timespec pause = {.tv_nsec = 20000000};
        (void)nanosleep(&pause, NULL);
    }
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

/* ---- choosing ---- */

static int32_t index_of(const struct entry *known, const struct cv_plan *plans, int32_t count) {
    for (int32_t i = 0; known && i < count; i++)
        if (strcmp(plans[i].tag, known->tag) == 0)
            return i;
    return -1;
}

/** What the file says by now, or a new choice that it then says; else -1. */
static int32_t measure_new(struct cv_choices *c, const char *key, const struct cv_plan *plans,
                           int32_t count, int32_t (*measure)(void *arg), void *arg) {
    int fd = lock_take(c->lock);
    if (fd < 0)
        return -1;
    load(c);
    int32_t best = index_of(find(c, key), plans, count);
    if (best < 0) {
        int32_t fastest = measure(arg);
        best = fastest >= 0 && fastest < count ? fastest : 0;
        if (!put(c, key, plans[best].tag) || !save(c))
            best = -1;
    }
    (void)close(fd);
    return best;
}

int32_t cv_choices_pick(struct cv_choices *c, const char *key, const struct cv_plan *plans,
                        int32_t count, int32_t (*measure)(void *arg), void *arg) {
    (void)pthread_mutex_lock(&c->mutex);
    int32_t best = index_of(find(c, key), plans, count);
    if (best < 0 && c->remember) {
        best = measure_new(c, key, plans, count, measure, arg);
        c->remember = best >= 0;
    }
    if (best < 0) {
        best = 0;
        (void)put(c, key, plans[0].tag);
    }
    (void)pthread_mutex_unlock(&c->mutex);
    return best;
}

/** The folder <cache>/hepaflow, made if it is not there; 0 if there can be none. */
static int folder_make(char *ret, size_t size) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = -1;
    if (cache && *cache == '/')
        n = snprintf(ret, size, "%s", cache);
    else if (home && *home == '/')
        n = snprintf(ret, size, "%s/.cache", home);
    if (n < 0 || (size_t)n + sizeof "/hepaflow" > size)
        return 0;
    (void)mkdir(ret, 0700);
    (void)snprintf(ret + n, size - (size_t)n, "/hepaflow");
    return mkdir(ret, 0700) == 0 || errno == EEXIST;
}

enum hf_status cv_choices_new(const struct hf_host *host, struct cv_choices **ret,
                              struct hf_error *e) {
    struct cv_choices *c = calloc(1, sizeof *c);
    if (!c || pthread_mutex_init(&c->mutex, NULL) != 0) {
        free(c);
        return hf_fail(e, HF_NO_MEMORY, "cuda: out of memory");
    }
    c->host = host;
    const char *timing = getenv("HEPAFLOW_CUDNN_TIMING");
    char folder[PATH_MAX - 32];
    if ((!timing || strcmp(timing, "0") != 0) && folder_make(folder, sizeof folder)) {
        (void)snprintf(c->path, sizeof c->path, "%s/cudnn.txt", folder);
        (void)snprintf(c->lock, sizeof c->lock, "%s/cudnn.lock", folder);
        c->remember = 1;
        load(c);
    }
    *ret = c;
    return HF_OK;
}

void cv_choices_free(struct cv_choices *c) {
    if (!c)
        return;
    for (size_t i = 0; i < c->entries; i++) {
        free(c->entry[i].key);
        free(c->entry[i].tag);
    }
    free(c->entry);
    (void)pthread_mutex_destroy(&c->mutex);
    free(c);
}
