/*
 * tidy.c - the store as a whole: what it holds, whether that is whole, and less of it.
 */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ABANDONED (24 * 60 * 60) /* seconds after which nobody else works on it */

/* ---- finding them ---- */

static int64_t bytes_in(const char *folder) {
    int64_t bytes = 0;
    DIR *d = opendir(folder);
    for (const struct dirent *at; d && (at = readdir(d));) {
        char path[PATH_MAX];
        struct stat info;
        if (snprintf(path, sizeof path, "%s/%s", folder, at->d_name) < (int)sizeof path &&
            stat(path, &info) == 0 && S_ISREG(info.st_mode))
            bytes += info.st_size;
    }
    if (d)
        (void)closedir(d);
    return bytes;
}

static int64_t used_at(const char *folder) {
    char path[PATH_MAX];
    struct stat info;
    return snprintf(path, sizeof path, "%s/entry", folder) < (int)sizeof path &&
                   stat(path, &info) == 0
               ? (int64_t)info.st_mtime
               : 0;
}

static bool push(struct store_list *list, const char *folder, struct digest key, bool samples) {
    struct store_item *more = realloc(list->item, ((size_t)list->count + 1) * sizeof *more);
    if (!more)
        return false;
    list->item = more;
    struct store_item *one = &more[list->count++];
    *one = (struct store_item){.key = key, .samples = samples, .bytes = bytes_in(folder)};
    one->used = used_at(folder);
    list->bytes += one->bytes;
    return true;
}

static int by_use(const void *va, const void *vb) {
    const struct store_item *a = va, *b = vb;
    if (a->used != b->used)
        return a->used < b->used ? -1 : 1;
    return memcmp(&a->key, &b->key, sizeof a->key);
}

enum hf_status store_list(const struct store *s, struct store_list *ret, struct hf_error *e) {
    char above[PATH_MAX], folder[PATH_MAX];
    bool good = true;
    *ret = (struct store_list){0};
    for (int k = 0; k < 512 && good; k++) {
        const char *kind = k < 256 ? "results" : "samples";
        DIR *d = opendir(store_path(s, above, sizeof above, "%s/%02x", kind, (unsigned)k % 256));
        for (const struct dirent *at; d && good && (at = readdir(d));) {
            struct digest key;
            if (digest_parse(at->d_name, &key))
                good = push(ret,
                            store_path(s, folder, sizeof folder, "%s/%02x/%s", kind,
                                       (unsigned)k % 256, at->d_name),
                            key, k >= 256);
        }
        if (d)
            (void)closedir(d);
    }
    if (!good) {
        store_list_clear(ret);
        return hf_fail(e, HF_NO_MEMORY, "no memory to list the store");
    }
    if (ret->count > 0)
        qsort(ret->item, (size_t)ret->count, sizeof *ret->item, by_use);
    return HF_OK;
}

void store_list_clear(struct store_list *list) {
    free(list->item);
    *list = (struct store_list){0};
}

static void drop(struct store *s, const struct store_item *item) {
    if (item->samples)
        samples_drop(s, item->key);
    else
        entry_drop(s, item->key);
}

/* ---- what was left behind ---- */

/* Whether nobody works on it any more. Its name begins with the process's number and where that
 * counts (see store_where); of a process elsewhere only the time can tell. */
static bool is_left(const char *path, const char *name, const char *where) {
    char *end = NULL;
    struct stat info;
    long pid = strtol(name, &end, 10);
    if (end == name || *end != '-' || pid <= 0)
        return false;
    if (strncmp(end + 1, where, strlen(where)) == 0)
        return pid == (long)getpid() || (kill((pid_t)pid, 0) != 0 && errno == ESRCH);
    return stat(path, &info) == 0 && time(NULL) - info.st_mtime > ABANDONED;
}

int store_sweep(struct store *s) {
    char folder[PATH_MAX], path[PATH_MAX], where[DIGEST_TEXT];
    int removed = 0;
    store_where(where);
    DIR *d = opendir(store_path(s, folder, sizeof folder, "aside"));
    for (const struct dirent *at; d && (at = readdir(d));) {
        if (is_left(store_path(s, path, sizeof path, "aside/%s", at->d_name), at->d_name, where)) {
            store_drop(s, path);
            removed++;
        }
    }
    if (d)
        (void)closedir(d);
    return removed;
}

/* ---- less of it ---- */

/* Another program may have used it, or made it again, since it was listed. */
static bool used_since(const struct store *s, const struct store_item *item) {
    char folder[PATH_MAX], key[DIGEST_TEXT];
    digest_text(item->key, key);
    return used_at(store_path(s, folder, sizeof folder, "%s/%.2s/%s",
                              item->samples ? "samples" : "results", key, key)) > item->used;
}

enum hf_status store_prune(struct store *s, int64_t most, struct store_counts *ret,
                           struct hf_error *e) {
    struct store_list list;
    *ret = (struct store_counts){0};
    enum hf_status st = store_list(s, &list, e);
    if (st != HF_OK)
        return st;
    (void)store_sweep(s);
    int64_t left = list.bytes;
    for (int i = 0; i < list.count; i++) { /* the longest unused first */
        if (left > most && !used_since(s, &list.item[i])) {
            drop(s, &list.item[i]);
            left -= list.item[i].bytes;
            ret->dropped++;
            ret->dropped_bytes += list.item[i].bytes;
        } else {
            ret->kept++;
            ret->kept_bytes += list.item[i].bytes;
        }
    }
    store_list_clear(&list);
    struct inputs *in = inputs_new(s);
    if (in)
        inputs_compact(in);
    inputs_free(in);
    return HF_OK;
}

enum hf_status store_verify(struct store *s,
                            void (*damaged)(void *arg, struct digest key, const char *why),
                            void *arg, struct store_counts *ret, struct hf_error *e) {
    struct store_list list;
    *ret = (struct store_counts){0};
    enum hf_status st = store_list(s, &list, e);
    for (int i = 0; st == HF_OK && i < list.count; i++) {
        int parts = 0;
        st = list.item[i].samples ? samples_check(s, list.item[i].key, damaged, arg, &parts, e)
                                  : entry_check(s, list.item[i].key, e);
        if (st == HF_OK && parts > 0) {
            ret->cut++;
        } else if (st == HF_OK) {
            ret->kept++;
            ret->kept_bytes += list.item[i].bytes;
        } else if (st == HF_INVALID) {
            damaged(arg, list.item[i].key, e->text);
            drop(s, &list.item[i]);
            ret->dropped++;
            ret->dropped_bytes += list.item[i].bytes;
            st = HF_OK;
        } else if (st == HF_NOT_FOUND) { /* another program has removed it meanwhile */
            st = HF_OK;
        }
    }
    store_list_clear(&list);
    if (st == HF_OK)
        ret->left_behind = store_sweep(s);
    return st;
}
