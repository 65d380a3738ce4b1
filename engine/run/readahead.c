/*
 * readahead.c - files read into memory by libuv before a stage asks for them (see readahead.h).
 *
 * An entry is under way, done or failed; the loop's callbacks move it on and alone touch
 * its request. `lock` guards the list and every entry's state; nothing is called under it.
 */
#include "readahead.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <uv.h>

enum state {
    UNDER_WAY,
    DONE,
    FAILED
};

struct entry {
    struct entry *following;
    struct readahead *ra;
    const void *owner; /* NULL: nobody's, to be dropped */
    enum state state;
    int waiting; /* takers that wait for the state to change */
    uv_fs_t request;
    uv_file file;
    char *bytes;
    size_t size, have;
    char path[];
};

struct readahead {
    uv_loop_t *loop;
    int64_t limit;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct entry *first;
    int64_t used; /* bytes of all entries */
    int64_t taken;
};

static void entry_free(struct entry *en) {
    free(en->bytes);
    free(en);
}

/* Takes an entry out of the list; the lock is held. */
static void unlink_entry(struct readahead *ra, struct entry *en) {
    struct entry **at = &ra->first;
    while (*at != en)
        at = &(*at)->following;
    *at = en->following;
    ra->used -= (int64_t)en->size;
}

static void finish(struct entry *en, enum state state) {
    struct readahead *ra = en->ra;
    pthread_mutex_lock(&ra->lock);
    en->state = state;
    bool drop = en->waiting == 0 && (state == FAILED || !en->owner);
    if (drop)
        unlink_entry(ra, en);
    pthread_cond_broadcast(&ra->changed);
    pthread_mutex_unlock(&ra->lock);
    if (drop)
        entry_free(en);
}

static void on_close(uv_fs_t *request) {
    struct entry *en = request->data;
    uv_fs_req_cleanup(request);
    finish(en, en->have == en->size && en->bytes ? DONE : FAILED);
}

static void close_file(struct entry *en) {
    if (uv_fs_close(en->ra->loop, &en->request, en->file, on_close) != 0)
        finish(en, FAILED);
}

static void on_read(uv_fs_t *request);

static void read_more(struct entry *en) {
    uv_buf_t buffer = uv_buf_init(en->bytes + en->have, 0);
    buffer.len = en->size - en->have;
    if (buffer.len == 0 || uv_fs_read(en->ra->loop, &en->request, en->file, &buffer, 1,
                                      (int64_t)en->have, on_read) != 0)
        close_file(en);
}

static void on_read(uv_fs_t *request) {
    struct entry *en = request->data;
    ssize_t n = request->result;
    uv_fs_req_cleanup(request);
    if (n <= 0) {
        close_file(en);
    } else {
        en->have += (size_t)n;
        read_more(en);
    }
}

/* Makes room for the file if the limit allows it. */
static bool reserve(struct entry *en, uint64_t size) {
    struct readahead *ra = en->ra;
    pthread_mutex_lock(&ra->lock);
    bool fits = size <= (uint64_t)INT64_MAX / 2 && (ra->used + (int64_t)size <= ra->limit);
    if (fits) {
        en->size = (size_t)size;
        ra->used += (int64_t)size;
    }
    pthread_mutex_unlock(&ra->lock);
    return fits && (en->bytes = malloc(size ? size : 1));
}

static void on_stat(uv_fs_t *request) {
    struct entry *en = request->data;
    uint64_t size = request->statbuf.st_size;
    bool regular = request->result == 0 && S_ISREG(request->statbuf.st_mode);
    uv_fs_req_cleanup(request);
    if (regular && reserve(en, size))
        read_more(en);
    else
        close_file(en);
}

static void on_open(uv_fs_t *request) {
    struct entry *en = request->data;
    en->file = (uv_file)request->result;
    uv_fs_req_cleanup(request);
    if (en->file < 0)
        finish(en, FAILED);
    else if (uv_fs_fstat(en->ra->loop, &en->request, en->file, on_stat) != 0)
        close_file(en);
}

bool readahead_want(struct readahead *ra, const void *owner, const char *path) {
    size_t length = strlen(path) + 1;
    pthread_mutex_lock(&ra->lock);
    bool full = ra->used >= ra->limit, known = false;
    for (const struct entry *at = ra->first; at && !known; at = at->following)
        known = strcmp(at->path, path) == 0;
    struct entry *en = full || known ? NULL : calloc(1, sizeof *en + length);
    if (en) {
        en->ra = ra;
        en->owner = owner;
        en->request.data = en;
        memcpy(en->path, path, length);
        en->following = ra->first;
        ra->first = en;
    }
    pthread_mutex_unlock(&ra->lock);
    bool started = en;
    if (started &&
        uv_fs_open(ra->loop, &en->request, en->path, O_RDONLY | O_CLOEXEC, 0, on_open) != 0)
        finish(en, FAILED);
    return known || started;
}

void readahead_forget(struct readahead *ra, const void *owner) {
    pthread_mutex_lock(&ra->lock);
    for (struct entry *en = ra->first, *following; en; en = following) {
        following = en->following;
        if (en->owner != owner)
            continue;
        en->owner = NULL;
        if (en->state == DONE && en->waiting == 0) {
            unlink_entry(ra, en);
            entry_free(en);
        }
    }
    pthread_mutex_unlock(&ra->lock);
}

bool readahead_take(struct readahead *ra, const char *path, void **ret, size_t *ret_size) {
    pthread_mutex_lock(&ra->lock);
    struct entry *en = ra->first;
    while (en && strcmp(en->path, path) != 0)
        en = en->following;
    if (en) {
        en->waiting++;
        while (en->state == UNDER_WAY)
            pthread_cond_wait(&ra->changed, &ra->lock);
        en->waiting--;
    }
    bool there = en && en->state == DONE && en->bytes;
    if (there) {
        *ret = en->bytes;
        *ret_size = en->size;
        ra->taken += (int64_t)en->size;
        en->bytes = NULL;
    }
    /* Of several takers of one path the last one puts the entry away. */
    bool drop = en && en->waiting == 0;
    if (drop)
        unlink_entry(ra, en);
    pthread_mutex_unlock(&ra->lock);
    if (drop)
        entry_free(en);
    return there;
}

int64_t readahead_taken(struct readahead *ra) {
    pthread_mutex_lock(&ra->lock);
    int64_t n = ra->taken;
    pthread_mutex_unlock(&ra->lock);
    return n;
}

enum hf_status readahead_new(uv_loop_t *loop, int64_t bytes, struct readahead **ret,
                             struct hf_error *e) {
    struct readahead *ra = calloc(1, sizeof *ra);
    if (!ra)
        return hf_fail(e, HF_NO_MEMORY, "no memory to read ahead");
    ra->loop = loop;
    ra->limit = bytes;
    pthread_mutex_init(&ra->lock, NULL);
    pthread_cond_init(&ra->changed, NULL);
    *ret = ra;
    return HF_OK;
}

void readahead_free(struct readahead *ra) {
    if (!ra)
        return;
    for (struct entry *en = ra->first, *following; en; en = following) {
        following = en->following;
        entry_free(en);
    }
    pthread_cond_destroy(&ra->changed);
    pthread_mutex_destroy(&ra->lock);
    free(ra);
}
