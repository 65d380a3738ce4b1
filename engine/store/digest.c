/*
 * digest.c - XXH3-128 of bytes and files, and copies of files that are checked by it.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "run/run.h"

#define CHUNK ((size_t)1 << 20)

static struct digest digest_of(XXH128_hash_t h) {
    return (struct digest){h.high64, h.low64};
}

struct digest digest_bytes(const void *bytes, size_t size) {
    return digest_of(XXH3_128bits(bytes, size));
}

bool digest_same(struct digest a, struct digest b) {
    return a.high == b.high && a.low == b.low;
}

void digest_text(struct digest d, char ret[DIGEST_TEXT]) {
    (void)snprintf(ret, DIGEST_TEXT, "%016llx%016llx", (unsigned long long)d.high,
                   (unsigned long long)d.low);
}

bool digest_parse(const char *text, struct digest *ret) {
    char half[17];
    if (strlen(text) != DIGEST_TEXT - 1 || strspn(text, "0123456789abcdef") != DIGEST_TEXT - 1)
        return false;
    (void)snprintf(half, sizeof half, "%.16s", text);
    ret->high = strtoull(half, NULL, 16);
    ret->low = strtoull(text + 16, NULL, 16);
    return true;
}

/* Reads a file to its end, or until it has more than `most` bytes, with a copy to `out` (-1: none).
 * *ret_readable: an error, if there is one, is not that of the file that is read. */
static enum hf_status pass(const char *path, int64_t most, int out, const char *to,
                           struct digest *ret, int64_t *ret_size, bool *ret_readable,
                           struct hf_error *e) {
    enum hf_status st = HF_OK;
    int64_t size = 0;
    ssize_t n = 1;
    int in = open(path, O_RDONLY | O_CLOEXEC);
    *ret_readable = in >= 0;
    if (in < 0)
        return file_failed(e, path, "cannot be opened");
    XXH3_state_t *state = XXH3_createState();
    char *chunk = malloc(CHUNK);
    if (!state || !chunk)
        st = hf_fail(e, HF_NO_MEMORY, "%s: no memory to read it", path);
    else
        (void)XXH3_128bits_reset(state);
    while (st == HF_OK && n > 0 && size <= most) {
        n = read(in, chunk, CHUNK);
        if (n < 0 && errno == EINTR) {
            n = 1;
            continue;
        }
        if (n < 0) {
            st = file_failed(e, path, "cannot be read");
            *ret_readable = false;
        } else if (n > 0) {
            (void)XXH3_128bits_update(state, chunk, (size_t)n);
            size += n;
            if (out >= 0)
                st = file_put(out, to, chunk, (size_t)n, e);
        }
    }
    if (st == HF_OK) {
        *ret = digest_of(XXH3_128bits_digest(state));
        *ret_size = size;
    }
    free(chunk);
    (void)XXH3_freeState(state);
    (void)close(in);
    return st;
}

enum hf_status digest_file(const char *path, struct digest *ret, int64_t *ret_size,
                           struct hf_error *e) {
    int64_t size = 0;
    bool readable;
    enum hf_status st = pass(path, INT64_MAX, -1, NULL, ret, &size, &readable, e);
    if (st == HF_OK && ret_size)
        *ret_size = size;
    return st;
}

enum hf_status digest_copy(const char *from, const char *to, int64_t size, struct digest digest,
                           struct hf_error *e) {
    char aside[PATH_MAX];
    struct digest found;
    int64_t copied = 0;
    bool readable;
    int n = snprintf(aside, sizeof aside, "%s.%ld-%lx.part", to, (long)getpid(),
                     (unsigned long)pthread_self());
    if (n < 0 || (size_t)n >= sizeof aside)
        return hf_fail(e, HF_IO, "%.200s...: the path is too long", to);
    int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        (void)file_failed(e, to, "cannot be written");
        return e->status = HF_IO;
    }
    enum hf_status st = pass(from, size, fd, to, &found, &copied, &readable, e);
    if (!readable)
        st = e->status = HF_INVALID;
    if (st == HF_OK && (copied != size || !digest_same(found, digest)))
        st = hf_fail(e, HF_INVALID, "%s: its checksum is wrong", from);
    if (st == HF_OK && fsync(fd) != 0)
        st = file_failed(e, to, "cannot be written");
    if (close(fd) != 0 && st == HF_OK)
        st = file_failed(e, to, "cannot be written");
    if (st == HF_OK && rename(aside, to) != 0)
        st = file_failed(e, to, "cannot be written");
    if (st != HF_OK)
        (void)unlink(aside);
    return st;
}
