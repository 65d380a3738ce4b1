/* past_files.c - see past.h: the files of two folders of runs, byte by byte. */
#include "cli/past.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What tells of the run and its times, and no result. */
static bool is_record(const char *below) {
    static const char *const names[] = {"/run.json", "/resolved.yaml", "/report.json",
                                        "/report.html"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(below, names[i]) == 0)
            return true;
    return false;
}

static int is_entry(const struct dirent *d) {
    return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

struct pair {
    const char *a, *b;
    bool scores;
};

static bool same_file(const char *a, const char *b) {
    struct digest one, other;
    struct hf_error e;
    return digest_file(a, &one, NULL, &e) == HF_OK && digest_file(b, &other, NULL, &e) == HF_OK &&
           digest_same(one, other);
}

/* The files below `below` of one folder that the other has otherwise or not; `back`: only those
 * that it does not have. */
static int walk(const struct pair *p, const char *below, bool back) {
    const char *from = back ? p->b : p->a, *to = back ? p->a : p->b;
    char path[PATH_MAX], other[PATH_MAX], name[PATH_MAX];
    struct dirent **list = NULL;
    int found = 0;
    (void)snprintf(path, sizeof path, "%s%s", from, below);
    int n = scandir(path, &list, is_entry, alphasort);
    if (n < 0) {
        fprintf(stderr, "hepaflow: %s: %s\n", path, strerror(errno));
        return -1;
    }
    for (int i = 0; i < n; i++) {
        struct stat info, its;
        int more = 0;
        bool fits =
            snprintf(name, sizeof name, "%s/%s", below, list[i]->d_name) < (int)sizeof name &&
            snprintf(path, sizeof path, "%s%s", from, name) < (int)sizeof path &&
            snprintf(other, sizeof other, "%s%s", to, name) < (int)sizeof other;
        free(list[i]);
        if (!fits || (stat(path, &info) != 0 && lstat(path, &info) != 0) || is_record(name) ||
            (!p->scores && strcmp(name, "/scores.json") == 0))
            continue;
        if (S_ISDIR(info.st_mode)) {
            if (stat(other, &its) != 0 || S_ISDIR(its.st_mode))
                more = walk(p, name, back);
            else if (!back)
                more = printf("%s differs\n", name + 1) > 0;
        } else if (stat(other, &its) != 0) {
            more = printf("%s is only in %s\n", name + 1, from) > 0;
        } else if (!back && !same_file(path, other)) {
            more = printf("%s differs\n", name + 1) > 0;
        }
        found = more < 0 || found < 0 ? -1 : found + more;
    }
    free(list);
    return found;
}

int past_files(const char *a, const char *b, bool scores) {
    const struct pair p = {a, b, scores};
    int there = walk(&p, "", false), back = there < 0 ? -1 : walk(&p, "", true);
    return back < 0 ? -1 : there + back;
}
