/*
 * store.c - the folder of the store, and what the last run of each graph was made of.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "run/run.h"

#define TITLE     "hepaflow store 1\n"
#define TEXT_MOST ((off_t)1 << 30) /* bytes of a file that is read at once */

static const char *const folders[] = {"results", "samples", "last", "aside"};

/* ---- places ---- */

const char *store_path(const struct store *s, char *buffer, size_t size, const char *format, ...) {
    va_list args;
    int n = snprintf(buffer, size, "%s/", s->folder);
    va_start(args, format);
    int more =
        n >= 0 && (size_t)n < size ? vsnprintf(buffer + n, size - (size_t)n, format, args) : -1;
    va_end(args);
    if (more < 0 || (size_t)(n + more) >= size)
        buffer[0] = 0;
    return buffer;
}

void store_where(char ret[DIGEST_TEXT]) {
    char text[512] = "";
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    size_t n = f ? fread(text, 1, 64, f) : 0;
    if (f)
        (void)fclose(f);
    ssize_t more = readlink("/proc/self/ns/pid", text + n, sizeof text - n);
    n += more > 0 ? (size_t)more : 0;
    digest_text(digest_bytes(text, n), ret);
}

const char *store_aside(struct store *s, char *buffer, size_t size) {
    struct timespec now;
    pthread_mutex_lock(&s->lock);
    int which = s->asides++;
    pthread_mutex_unlock(&s->lock);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    char where[DIGEST_TEXT];
    store_where(where);
    return store_path(s, buffer, size, "aside/%ld-%s-%llx-%d", (long)getpid(), where,
                      (unsigned long long)now.tv_sec * 1000000000 + (unsigned long long)now.tv_nsec,
                      which);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw) {
    (void)info;
    (void)kind;
    (void)ftw;
    (void)remove(path);
    return 0;
}

void store_drop(struct store *s, const char *path) {
    char aside[PATH_MAX];
    if (rename(path, store_aside(s, aside, sizeof aside)) == 0)
        (void)nftw(aside, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void store_touch(const char *path) {
    (void)utimensat(AT_FDCWD, path, NULL, 0);
}

enum hf_status store_place(char *ret, size_t size, struct hf_error *e) {
    const char *own = getenv("HEPAFLOW_STORE"), *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int n = -1;
    if (own && *own)
        n = snprintf(ret, size, "%s", own);
    else if (cache && *cache == '/')
        n = snprintf(ret, size, "%s/hepaflow/store", cache);
    else if (home && *home == '/')
        n = snprintf(ret, size, "%s/.cache/hepaflow/store", home);
    if (n >= 0 && (size_t)n < size)
        return HF_OK;
    return hf_fail(e, HF_INVALID, "there is no place for the store: set HOME or HEPAFLOW_STORE");
}

enum hf_status store_text(const char *path, char **ret, struct hf_error *e) {
    struct stat info;
    void *bytes = NULL;
    size_t size = 0;
    if (stat(path, &info) == 0 && info.st_size > TEXT_MOST)
        return hf_fail(e, HF_INVALID, "%s: it is too long", path);
    enum hf_status st = file_read(path, &bytes, &size, e);
    if (st != HF_OK)
        return st;
    char *text = realloc(bytes, size + 1);
    if (!text) {
        free(bytes);
        return hf_fail(e, HF_NO_MEMORY, "%s: no memory to read it", path);
    }
    text[size] = 0;
    *ret = text;
    return HF_OK;
}

/* ---- opening ---- */

/* Makes the file that says what the folder is, or reads it. */
static enum hf_status check_title(const struct store *s, struct hf_error *e) {
    char path[PATH_MAX];
    char *text = NULL;
    struct hf_error none;
    enum hf_status st = store_text(store_path(s, path, sizeof path, "version"), &text, &none);
    if (st == HF_NOT_FOUND)
        return file_write(path, TITLE, strlen(TITLE), e);
    if (st != HF_OK) {
        *e = none;
        return st;
    }
    bool good = strcmp(text, TITLE) == 0;
    free(text);
    if (good)
        return HF_OK;
    return hf_fail(e, HF_INVALID,
                   "%s: is a store of another version of hepaflow; name another folder, or remove "
                   "it",
                   s->folder);
}

enum hf_status store_open(const char *folder, struct store **ret, struct hf_error *e) {
    struct store *s = calloc(1, sizeof *s);
    char path[PATH_MAX];
    if (s)
        s->folder = strdup(folder);
    if (!s || !s->folder) {
        free(s);
        return hf_fail(e, HF_NO_MEMORY, "no memory for the store");
    }
    pthread_mutex_init(&s->lock, NULL);
    enum hf_status st = strlen(folder) < PATH_MAX - 256
                            ? HF_OK
                            : hf_fail(e, HF_INVALID, "%.100s...: the path is too long", folder);
    for (size_t i = 0; st == HF_OK && i < sizeof folders / sizeof *folders; i++)
        st = folder_make(store_path(s, path, sizeof path, "%s", folders[i]), e);
    if (st == HF_OK)
        st = check_title(s, e);
    if (st == HF_OK)
        *ret = s;
    else
        store_close(s);
    return st;
}

void store_close(struct store *s) {
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    free(s->folder);
    free(s);
}

/* ---- the last run of a graph ---- */

static const char *last_path(const struct store *s, char *buffer, size_t size, const char *graph) {
    char text[DIGEST_TEXT];
    digest_text(digest_bytes(graph, strlen(graph)), text);
    return store_path(s, buffer, size, "last/%s", text);
}

bool store_knows(const char *folder, const char *graph) {
    const struct store s = {.folder = (char *)(uintptr_t)folder};
    char path[PATH_MAX];
    return access(last_path(&s, path, sizeof path, graph), R_OK) == 0;
}

void store_remember(struct store *s, const char *graph, const struct terms *all) {
    char path[PATH_MAX];
    struct hf_error ignored; /* nothing but an answer of `why` depends on it */
    char *text = terms_text(all);
    if (text)
        (void)file_write(last_path(s, path, sizeof path, graph), text, strlen(text), &ignored);
    free(text);
}

bool store_recall(struct store *s, const char *graph, struct terms *ret) {
    char path[PATH_MAX];
    struct hf_error ignored;
    char *text = NULL;
    if (store_text(last_path(s, path, sizeof path, graph), &text, &ignored) != HF_OK)
        return false;
    bool good = terms_parse(text, ret);
    free(text);
    return good;
}
