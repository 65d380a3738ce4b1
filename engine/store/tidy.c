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
#include <unistd.h>

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

static bool push(struct store_list *list, const char *folder, struct digest key) {
    char path[PATH_MAX];
    struct stat info;
    struct store_item *more = realloc(list->item, ((size_t)list->count + 1) * sizeof *more);
    if (!more)
        return false;
    list->item = more;
    struct store_item *one = &more[list->count++];
    *one = (struct store_item){.key = key, .bytes = bytes_in(folder)};
    if (snprintf(path, sizeof path, "%s/entry", folder) < (int)sizeof path &&
        stat(path, &info) == 0)
        one->used = (int64_t)info.st_mtime;
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
    for (int k = 0; k < 256 && good; k++) {
        DIR *d = opendir(store_path(s, above, sizeof above, "results/%02x", (unsigned)k));
        for (const struct dirent *at; d && good && (at = readdir(d));) {
            struct digest key;
            if (digest_parse(at->d_name, &key))
                good = push(ret,
                            store_path(s, folder, sizeof folder, "results/%02x/%s", (unsigned)k,
                                       at->d_name),
                            key);
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

/* ---- what was left behind ---- */

/* What a process that is no more had aside. Its name begins with the process's number. */
int store_sweep(struct store *s) {
    char folder[PATH_MAX], path[PATH_MAX];
    int removed = 0;
    DIR *d = opendir(store_path(s, folder, sizeof folder, "aside"));
    for (const struct dirent *at; d && (at = readdir(d));) {
        char *end = NULL;
        long pid = strtol(at->d_name, &end, 10);
        if (end == at->d_name || *end != '-' || pid <= 0)
            continue;
        if (pid == (long)getpid() || (kill((pid_t)pid, 0) != 0 && errno == ESRCH)) {
            store_drop(s, store_path(s, path, sizeof path, "aside/%s", at->d_name));
            removed++;
        }
    }
    if (d)
        (void)closedir(d);
    return removed;
}

/* ---- less of it ---- */

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
        if (left > most) {
            entry_drop(s, list.item[i].key);
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
        st = entry_check(s, list.item[i].key, e);
        if (st == HF_OK) {
            ret->kept++;
            ret->kept_bytes += list.item[i].bytes;
        } else if (st == HF_INVALID) {
            damaged(arg, list.item[i].key, e->text);
            entry_drop(s, list.item[i].key);
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
