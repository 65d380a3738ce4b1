/*
 * samples.c - samples in the store: samples/KK/KEY holds what a stage of that key made, a file for
 * each item of its source, and `entry`, which names the stage. A file ends with the digest of all
 * that stands before (what that is, run/cache.c says), so each is there whole or not at all.
 */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "run/run.h"

#define TITLE "hepaflow samples 1\n"

static const char *place(const struct store *s, char *buffer, size_t size, struct digest key,
                         const char *file) {
    char text[DIGEST_TEXT];
    digest_text(key, text);
    return store_path(s, buffer, size, "samples/%.2s/%s%s%s", text, text, *file ? "/" : "", file);
}

const char *samples_path(const struct store *s, char *buffer, size_t size, struct digest key,
                         int64_t item) {
    char name[32];
    (void)snprintf(name, sizeof name, "%lld", (long long)item);
    return place(s, buffer, size, key, name);
}

enum hf_status samples_open(struct store *s, struct digest key, const char *stage,
                            const char *graph, struct hf_error *e) {
    char path[PATH_MAX], text[512];
    enum hf_status st = folder_make(place(s, path, sizeof path, key, ""), e);
    if (st != HF_OK)
        return st;
    if (access(place(s, path, sizeof path, key, "entry"), R_OK) == 0) {
        store_touch(path);
        return HF_OK;
    }
    int n = snprintf(text, sizeof text, TITLE "%.200s\n%.200s\n", stage, graph);
    return file_write(path, text, (size_t)n, e);
}

bool samples_of(const struct store *s, struct digest key, char *stage, char *graph, size_t size) {
    char path[PATH_MAX];
    struct hf_error ignored;
    char *text = NULL, *first, *second = NULL;
    if (store_text(place(s, path, sizeof path, key, "entry"), &text, &ignored) != HF_OK)
        return false;
    bool good = strncmp(text, TITLE, strlen(TITLE)) == 0;
    first = good ? text + strlen(TITLE) : text;
    good = good && (second = strchr(first, '\n'));
    if (good) {
        *second++ = 0;
        second[strcspn(second, "\n")] = 0;
        (void)snprintf(stage, size, "%s", first);
        (void)snprintf(graph, size, "%s", second);
    }
    free(text);
    return good;
}

/* Whether the file ends with the digest of what stands before. */
static enum hf_status check_file(const char *path, struct hf_error *e) {
    char block[65536];
    unsigned char last[sizeof(XXH128_canonical_t)];
    struct stat info;
    XXH128_canonical_t found;
    FILE *f = fopen(path, "rbe");
    if (!f)
        return errno == ENOENT ? hf_fail(e, HF_NOT_FOUND, "%s: is gone", path)
                               : hf_fail(e, HF_IO, "%s: %s", path, strerror(errno));
    XXH3_state_t *state = XXH3_createState();
    if (!state) {
        (void)fclose(f);
        return hf_fail(e, HF_NO_MEMORY, "no memory to read '%s'", path);
    }
    int64_t left = fstat(fileno(f), &info) == 0 ? (int64_t)info.st_size - (int64_t)sizeof last : -1;
    bool good = left >= 0;
    (void)XXH3_128bits_reset(state);
    while (good && left > 0) {
        size_t n = left < (int64_t)sizeof block ? (size_t)left : sizeof block;
        good = fread(block, 1, n, f) == n;
        if (good)
            (void)XXH3_128bits_update(state, block, n);
        left -= (int64_t)n;
    }
    good = good && fread(last, 1, sizeof last, f) == sizeof last;
    if (good) {
        XXH128_canonicalFromHash(&found, XXH3_128bits_digest(state));
        good = memcmp(found.digest, last, sizeof last) == 0;
    }
    enum hf_status st = good        ? HF_OK
                        : ferror(f) ? file_failed(e, path, "cannot be read")
                                    : hf_fail(e, HF_INVALID, "%s: its checksum is wrong", path);
    (void)XXH3_freeState(state);
    (void)fclose(f);
    return st;
}

static bool is_item(const char *name) {
    char *end = NULL;
    (void)strtoll(name, &end, 10);
    return end != name && !*end;
}

enum hf_status samples_check(struct store *s, struct digest key,
                             void (*damaged)(void *arg, struct digest key, const char *why),
                             void *arg, int *ret_damaged, struct hf_error *e) {
    char folder[PATH_MAX], path[PATH_MAX], stage[256], graph[256];
    enum hf_status st = HF_OK;
    *ret_damaged = 0;
    DIR *d = opendir(place(s, folder, sizeof folder, key, ""));
    if (!d)
        return errno == ENOENT ? hf_fail(e, HF_NOT_FOUND, "%s: is gone", folder)
                               : file_failed(e, folder, "cannot be read");
    if (!samples_of(s, key, stage, graph, sizeof stage))
        st = hf_fail(e, HF_INVALID, "%s/entry: is none of samples", folder);
    for (const struct dirent *at; st == HF_OK && (at = readdir(d));) {
        if (is_item(at->d_name))
            st = check_file(place(s, path, sizeof path, key, at->d_name), e);
        if (st == HF_INVALID) {
            damaged(arg, key, e->text);
            (void)unlink(path);
            (*ret_damaged)++;
            st = HF_OK;
        }
        st = st == HF_NOT_FOUND ? HF_OK : st; /* another program has removed it meanwhile */
    }
    (void)closedir(d);
    return st;
}

void samples_drop(struct store *s, struct digest key) {
    char path[PATH_MAX];
    store_drop(s, place(s, path, sizeof path, key, ""));
}
