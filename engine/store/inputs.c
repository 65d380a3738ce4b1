/*
 * inputs.c - digests of input files. Each file is read whole once, and known again by its path,
 * size and times of change. `files` in the store holds a line for each, the last one counts:
 *
 *     <digest> <size> <mtime in ns> <ctime in ns> <path> <digest of the line so far>
 *
 * Lines are only ever added, a run's all at once; one that was cut is not taken for whole.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "run/run.h"

/* A file that changed so shortly before it was read may change again without its time telling. */
#define SETTLED_NS INT64_C(2000000000)

struct stamp {
    int64_t size, mtime, ctime; /* ns; size -1: there is no such file */
};

struct known {
    char *path;
    struct stamp stamp;
    struct digest digest;
    bool settled, fresh; /* it may be remembered; it is not yet */
};

struct inputs {
    struct store *store;
    int count, capacity;
    struct known *known; /* by path */
};

static struct stamp stamp_of(const struct stat *info) {
    return (struct stamp){
        .size = info->st_size,
        .mtime = (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec,
        .ctime = (int64_t)info->st_ctim.tv_sec * 1000000000 + info->st_ctim.tv_nsec,
    };
}

static struct stamp stamp_now(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 ? stamp_of(&info) : (struct stamp){.size = -1};
}

static bool same_stamp(struct stamp a, struct stamp b) {
    return a.size == b.size && a.mtime == b.mtime && a.ctime == b.ctime;
}

/* ---- the table ---- */

/* Where the path stands, or should. */
static int place_of(const struct inputs *in, const char *path, bool *ret_there) {
    int low = 0, high = in->count;
    *ret_there = false;
    while (low < high) {
        int middle = low + (high - low) / 2, c = strcmp(in->known[middle].path, path);
        *ret_there = c == 0;
        if (c == 0)
            return middle;
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct known *place_for(struct inputs *in, const char *path) {
    bool there;
    int at = place_of(in, path, &there);
    if (there)
        return &in->known[at];
    if (in->count == in->capacity) {
        int n = in->capacity ? 2 * in->capacity : 64;
        struct known *more = realloc(in->known, (size_t)n * sizeof *more);
        if (!more)
            return NULL;
        in->known = more;
        in->capacity = n;
    }
    char *copy = strdup(path);
    if (!copy)
        return NULL;
    memmove(&in->known[at + 1], &in->known[at], (size_t)(in->count - at) * sizeof *in->known);
    in->known[at] = (struct known){.path = copy};
    in->count++;
    return &in->known[at];
}

/* ---- remembering ---- */

static void take_line(struct inputs *in, char *line) {
    char digest[DIGEST_TEXT], *end = strrchr(line, ' ');
    struct digest sum, made;
    struct stamp stamp;
    int at = 0;
    if (!end || !digest_parse(end + 1, &sum))
        return;
    *end = 0;
    if (!digest_same(sum, digest_bytes(line, strlen(line))) ||
        sscanf(line, "%32s %" SCNd64 " %" SCNd64 " %" SCNd64 " %n", digest, &stamp.size,
               &stamp.mtime, &stamp.ctime, &at) != 4 ||
        at == 0 || !digest_parse(digest, &made))
        return;
    struct known *k = place_for(in, line + at);
    if (!k)
        return;
    k->stamp = stamp;
    k->digest = made;
    k->settled = true;
}

static void load(struct inputs *in) {
    char path[PATH_MAX], *text = NULL, *save = NULL;
    struct hf_error e;
    if (store_text(store_path(in->store, path, sizeof path, "files"), &text, &e) != HF_OK)
        return;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        take_line(in, line);
    free(text);
}

/* A path that means the same wherever a run is started. */
static bool full_path(const char *path, char ret[PATH_MAX]) {
    return realpath(path, ret);
}

static char *print_new(struct inputs *in, size_t *ret_size) {
    char *text = NULL, line[PATH_MAX + 160];
    FILE *f = open_memstream(&text, ret_size);
    if (!f)
        return NULL;
    (void)fputc('\n', f); /* ends a line that was cut */
    for (int i = 0; i < in->count; i++) {
        struct known *k = &in->known[i];
        char digest[DIGEST_TEXT], sum[DIGEST_TEXT];
        if (!k->fresh || !k->settled || strchr(k->path, '\n')) /* it must fit into a line */
            continue;
        k->fresh = false;
        digest_text(k->digest, digest);
        int n = snprintf(line, sizeof line, "%s %" PRId64 " %" PRId64 " %" PRId64 " %s", digest,
                         k->stamp.size, k->stamp.mtime, k->stamp.ctime, k->path);
        if (n < 0 || (size_t)n >= sizeof line)
            continue;
        digest_text(digest_bytes(line, (size_t)n), sum);
        (void)fprintf(f, "%s %s\n", line, sum);
    }
    if (fclose(f) == 0)
        return text;
    free(text);
    return NULL;
}

void inputs_save(struct inputs *in) {
    char path[PATH_MAX];
    size_t size = 0;
    char *text = in->store ? print_new(in, &size) : NULL;
    int fd = text && size > 1 ? open(store_path(in->store, path, sizeof path, "files"),
                                     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)
                              : -1;
    /* What cannot be written down is worked out again. */
    if (fd >= 0 && write(fd, text, size) < 0)
        errno = 0;
    if (fd >= 0)
        (void)close(fd);
    free(text);
}

void inputs_compact(struct inputs *in) {
    char path[PATH_MAX];
    struct hf_error ignored;
    size_t size = 0;
    for (int i = 0; i < in->count; i++)
        in->known[i].fresh = same_stamp(in->known[i].stamp, stamp_now(in->known[i].path));
    char *text = print_new(in, &size);
    if (text)
        (void)file_write(store_path(in->store, path, sizeof path, "files"), text, size, &ignored);
    free(text);
}

/* ---- asking ---- */

struct inputs *inputs_new(struct store *s) {
    struct inputs *in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    in->store = s;
    if (s)
        load(in);
    return in;
}

void inputs_free(struct inputs *in) {
    if (!in)
        return;
    for (int i = 0; i < in->count; i++)
        free(in->known[i].path);
    free(in->known);
    free(in);
}

static enum hf_status digest_anew(struct known *k, struct stamp before, struct hf_error *e) {
    struct timespec now;
    enum hf_status st = digest_file(k->path, &k->digest, NULL, e);
    if (st != HF_OK)
        return st;
    if (!same_stamp(before, stamp_now(k->path)))
        return hf_fail(e, HF_IO, "%s: it changed while it was read", k->path);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    int64_t ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    k->stamp = before;
    k->settled = ns - before.mtime > SETTLED_NS && ns - before.ctime > SETTLED_NS;
    k->fresh = true;
    return HF_OK;
}

enum hf_status inputs_digest(struct inputs *in, const char *path, char ret[DIGEST_TEXT],
                             struct hf_error *e) {
    char full[PATH_MAX];
    struct stamp now = stamp_now(path);
    if (now.size < 0 || !full_path(path, full)) {
        (void)snprintf(ret, DIGEST_TEXT, "missing");
        return HF_OK;
    }
    struct known *k = place_for(in, full);
    if (!k)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the digests of files");
    bool known = (k->settled || k->fresh) && same_stamp(k->stamp, now);
    enum hf_status st = known ? HF_OK : digest_anew(k, now, e);
    if (st == HF_OK)
        digest_text(k->digest, ret);
    return st;
}

const char *inputs_changed(const struct inputs *in, const struct terms *t) {
    for (int i = 0; i < t->count; i++) {
        const struct term *one = &t->term[i];
        char full[PATH_MAX];
        bool there = false;
        if (one->kind != TERM_FILE)
            continue;
        bool exists = full_path(one->note, full);
        int at = exists ? place_of(in, full, &there) : 0;
        bool same = exists ? there && same_stamp(in->known[at].stamp, stamp_now(full))
                           : strcmp(one->value, "missing") == 0;
        if (!same)
            return one->note;
    }
    return NULL;
}
