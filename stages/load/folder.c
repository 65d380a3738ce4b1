/**
 * folder.c - finds the cases of a folder.
 */
#include "folder_parts.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int hf_is_folder(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

int hf_is_file(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

enum hf_status hf_folder_no_memory(const char *path, struct hf_error *e) {
    return hf_fail(e, HF_NO_MEMORY, "%s: no memory for its cases", path);
}

int hf_natural_order(const char *a, const char *b) {
    const char *x = a, *y = b;
    while (*x && *y) {
        if (isdigit((unsigned char)*x) && isdigit((unsigned char)*y)) {
            x += strspn(x, "0");
            y += strspn(y, "0");
            size_t n = strspn(x, "0123456789"), m = strspn(y, "0123456789");
            int order = n != m ? (n < m ? -1 : 1) : strncmp(x, y, n);
            if (order)
                return order;
            x += n;
            y += m;
            continue;
        }
        if (*x != *y)
            return (unsigned char)*x < (unsigned char)*y ? -1 : 1;
        x++;
        y++;
    }
    if (*x || *y)
        return *x ? 1 : -1;
    return strcmp(a, b); /* 01 and 1 */
}

static int by_name(const void *a, const void *b) {
    return hf_natural_order(((const struct hf_case *)a)->name, ((const struct hf_case *)b)->name);
}

size_t hf_folder_stem(const char *name) {
    static const char *const endings[] = {".nii.gz", ".nii"};
    size_t n = strlen(name);
    for (int i = 0; i < 2; i++) {
        size_t m = strlen(endings[i]);
        if (n > m && strcmp(name + n - m, endings[i]) == 0)
            return n - m;
    }
    return 0;
}

struct hf_case *hf_folder_case(struct hf_cases *c, const char *name, size_t n) {
    for (int32_t i = 0; i < c->count; i++)
        if (strlen(c->item[i].name) == n && memcmp(c->item[i].name, name, n) == 0)
            return &c->item[i];
    struct hf_case *item = realloc(c->item, ((size_t)c->count + 1) * sizeof *item);
    if (!item)
        return NULL;
    c->item = item;
    item += c->count++;
    memset(item, 0, sizeof *item);
    item->given = -1;
    item->name = strndup(name, n);
    item->patient = strndup(name, n);
    return item->name && item->patient ? item : NULL;
}

enum hf_status hf_folder_set(struct hf_case *c, enum hf_case_file f, const char *path,
                             struct hf_error *e) {
    if (c->path[f])
        return hf_fail(e, HF_INVALID, "%s: the %s of case '%s' is there twice: %s, too", path,
                       hf_case_file_name(f), c->name, c->path[f]);
    c->path[f] = strdup(path);
    return c->path[f] ? HF_OK : hf_folder_no_memory(path, e);
}

void hf_folder_finish(struct hf_cases *c) {
    if (c->count > 0)
        qsort(c->item, (size_t)c->count, sizeof *c->item, by_name);
    for (int32_t i = 0; i < c->count; i++)
        for (int f = 0; f < HF_CASE_FILES; f++)
            c->has[f] |= c->item[i].path[f] != NULL;
}

/* ---- LiTS ---- */

/** The number in volume-N.nii or segmentation-N.nii: its digits' place; NULL: neither. */
static const char *lits_number(const char *name, int *ret_is_label) {
    static const char *const starts[] = {"volume-", "segmentation-"};
    size_t end = hf_folder_stem(name);
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(starts[i]);
        if (end > n && strncmp(name, starts[i], n) == 0 &&
            strspn(name + n, "0123456789") == end - n) {
            *ret_is_label = i;
            return name + n;
        }
    }
    return NULL;
}

enum hf_status hf_folder_each(const char *path,
                              enum hf_status (*call)(const char *path, const char *name,
                                                     void *context, struct hf_error *e),
                              void *context, struct hf_error *e) {
    DIR *dir = opendir(path);
    if (!dir)
        return hf_fail(e, HF_IO, "%s: cannot list it: %s", path, strerror(errno));
    enum hf_status st = HF_OK;
    const struct dirent *entry;
    while (st == HF_OK && (entry = readdir(dir))) {
        char full[HF_FOLDER_PATH];
        if (entry->d_name[0] == '.')
            continue;
        int n = snprintf(full, sizeof full, "%s/%s", path, entry->d_name);
        st = n > 0 && (size_t)n < sizeof full
                 ? call(full, entry->d_name, context, e)
                 : hf_fail(e, HF_INVALID, "%s/%s: the path is too long", path, entry->d_name);
    }
    (void)closedir(dir);
    return st;
}

static enum hf_status lits_file(const char *path, const char *name, void *context,
                                struct hf_error *e) {
    struct hf_cases *c = context;
    int is_label = 0;
    const char *number = lits_number(name, &is_label);
    if (!number)
        return HF_OK;
    char volume[HF_FOLDER_PATH];
    int n = snprintf(volume, sizeof volume, "volume-%.*s",
                     (int)(hf_folder_stem(name) - (size_t)(number - name)), number);
    struct hf_case *item = hf_folder_case(c, volume, (size_t)n);
    if (!item)
        return hf_folder_no_memory(path, e);
    if (!is_label)
        return hf_folder_set(item, HF_CASE_IMAGE, path, e);
    enum hf_status st = hf_folder_set(item, HF_CASE_LIVER, path, e);
    return st == HF_OK ? hf_folder_set(item, HF_CASE_TUMOR, path, e) : st;
}

static enum hf_status lits_entry(const char *path, const char *name, void *context,
                                 struct hf_error *e) {
    return hf_is_folder(path) ? hf_folder_each(path, lits_file, context, e)
                              : lits_file(path, name, context, e);
}

enum hf_status hf_folder_lits(const char *path, struct hf_cases *ret, struct hf_error *e) {
    struct hf_cases c;
    memset(&c, 0, sizeof c);
    enum hf_status st = hf_folder_each(path, lits_entry, &c, e);
    if (st == HF_OK)
        hf_folder_finish(&c);
    for (int32_t i = 0; i < c.count && st == HF_OK; i++)
        if (!c.item[i].path[HF_CASE_IMAGE])
            st = hf_fail(e, HF_NOT_FOUND, "%s: the labels of a scan that is not there: %s.nii.gz",
                         c.item[i].path[HF_CASE_LIVER], c.item[i].name);
    for (int f = HF_CASE_LIVER; f <= HF_CASE_TUMOR; f++) {
        struct hf_values *v = &c.values[f];
        v->given = f != HF_CASE_COUINAUD;
        v->largest = 2;
        v->to[1] = f == HF_CASE_LIVER;
        v->to[2] = 1;
    }
    (void)snprintf(c.labels, sizeof c.labels, "1 liver, 2 tumor");
    if (st == HF_OK)
        *ret = c;
    else
        hf_cases_free(&c);
    return st;
}

/* ---- what is it ---- */

static enum hf_status find_lits(const char *path, const char *name, void *context,
                                struct hf_error *e) {
    int is_label;
    (void)e;
    (void)path;
    *(int *)context |= lits_number(name, &is_label) != NULL;
    return HF_OK;
}

static enum hf_status find_lits_below(const char *path, const char *name, void *context,
                                      struct hf_error *e) {
    return hf_is_folder(path) ? hf_folder_each(path, find_lits, context, e)
                              : find_lits(path, name, context, e);
}

/** 1 if the folder has the file; writes its path. */
static int is_in(const char *folder, const char *name, char *ret, size_t size) {
    int n = snprintf(ret, size, "%s/%s", folder, name);
    return n > 0 && (size_t)n < size && hf_is_file(ret);
}

enum hf_folder_kind hf_folder_kind(const char *path, char *ret_file, size_t size) {
    struct hf_error ignored;
    int lits = 0;
    if (is_in(path, "cases.csv", ret_file, size))
        return HF_FOLDER_MANIFEST;
    if (is_in(path, "dataset.json", ret_file, size))
        return HF_FOLDER_JSON;
    (void)hf_folder_each(path, find_lits_below, &lits, &ignored);
    return lits ? HF_FOLDER_LITS : HF_FOLDER_NONE;
}

/* ---- further folders ---- */

/** Writes the path that a pattern gives for a case. */
static int fill_pattern(const char *pattern, const char *name, char *ret, size_t size) {
    size_t used = 0, end = strlen(name);
    while (end > 0 && !isdigit((unsigned char)name[end - 1]))
        end--;
    size_t begin = end;
    while (begin > 0 && isdigit((unsigned char)name[begin - 1]))
        begin--;
    for (const char *at = pattern; *at; at++) {
        const char *put = at;
        size_t n = 1;
        if (strncmp(at, "{case}", 6) == 0) {
            put = name;
            n = strlen(name);
            at += 5;
        } else if (strncmp(at, "{number}", 8) == 0) {
            put = name + begin;
            n = end - begin;
            at += 7;
        }
        if (used + n >= size)
            return 0;
        memcpy(ret + used, put, n);
        used += n;
    }
    ret[used] = '\0';
    return 1;
}

/** Finds the file: as it stands, or with one of the endings. */
static int find_file(char *path, size_t size) {
    static const char *const endings[] = {"", ".nii.gz", ".nii"};
    size_t n = strlen(path);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(path + n, size - n, "%s", endings[i]);
        if (hf_is_file(path))
            return 1;
    }
    return 0;
}

enum hf_status hf_folder_pattern(const char *pattern, enum hf_case_file f, struct hf_cases *c,
                                 struct hf_error *e) {
    char full[HF_FOLDER_PATH], path[HF_FOLDER_PATH], first[HF_FOLDER_PATH] = "";
    int named = strstr(pattern, "{case}") || strstr(pattern, "{number}");
    int32_t found = 0;
    if (!named && !hf_is_folder(pattern))
        return hf_fail(e, HF_NOT_FOUND,
                       "%s: not there, or no folder; expected a folder of files that are called as "
                       "the cases are, or a path with {case} or {number} in it",
                       pattern);
    (void)snprintf(full, sizeof full, "%s%s", pattern, named ? "" : "/{case}");
    for (int32_t i = 0; i < c->count; i++) {
        struct hf_case *item = &c->item[i];
        if (!fill_pattern(full, item->name, path, sizeof path - 8))
            return hf_fail(e, HF_INVALID, "%s: the path is too long", pattern);
        if (i == 0)
            (void)snprintf(first, sizeof first, "%s", path);
        free(item->path[f]);
        item->path[f] = NULL;
        item->column[f] = 0;
        if (!find_file(path, sizeof path))
            continue;
        item->path[f] = strdup(path);
        if (!item->path[f])
            return hf_folder_no_memory(pattern, e);
        found++;
    }
    c->has[f] = 1;
    /* What the dataset says of its own files does not hold for these. */
    memset(&c->values[f], 0, sizeof c->values[f]);
    if (found == 0)
        return hf_fail(e, HF_NOT_FOUND,
                       "%s: none of %d cases has such a file; the first would be %s", pattern,
                       (int)c->count, first);
    return HF_OK;
}
