/*
 * round.c - what a round of `run --watch` leaves for the next (see round.h). The file is the digest
 * of the terms, and the terms: one that is just being written, or was cut, is not taken for whole.
 */
#include "cli/round.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_TOLD 4 /* changes that a line names */

bool round_read(int fd, struct terms *ret, struct digest *ret_digest) {
    const size_t head = sizeof *ret_digest;
    struct stat info;
    *ret = (struct terms){0};
    if (fstat(fd, &info) != 0 || info.st_size <= (off_t)head)
        return false;
    size_t size = (size_t)info.st_size;
    char *text = malloc(size + 1);
    bool good = text && pread(fd, text, size, 0) == (ssize_t)size;
    if (good) {
        text[size] = 0;
        memcpy(ret_digest, text, head);
        good = digest_same(*ret_digest, digest_bytes(text + head, size - head)) &&
               terms_parse(text + head, ret);
    }
    free(text);
    return good;
}

static bool leave(int fd, const char *terms) {
    size_t size = strlen(terms);
    struct digest digest = digest_bytes(terms, size);
    return ftruncate(fd, 0) == 0 &&
           pwrite(fd, &digest, sizeof digest, 0) == (ssize_t)sizeof digest &&
           pwrite(fd, terms, size, sizeof digest) == (ssize_t)size;
}

struct told {
    char *text[MAX_TOLD];
    int count;
    bool more;
};

static bool take(void *arg, const char *text) {
    struct told *t = arg;
    for (int i = 0; i < t->count; i++)
        if (strcmp(t->text[i], text) == 0)
            return true;
    t->more = t->count == MAX_TOLD;
    if (!t->more && (t->text[t->count] = strdup(text)))
        t->count++;
    return !t->more;
}

static void say(const struct terms *before, const struct terms *now) {
    struct told t = {0};
    terms_differences(before, now, take, &t);
    fputs("since the last round: ", stderr);
    for (int i = 0; i < t.count; i++) {
        fprintf(stderr, "%s%s", i > 0 ? ", " : "", t.text[i]);
        free(t.text[i]);
    }
    fputs(t.more        ? ", and more\n"
          : t.count > 0 ? "\n"
                        : "nothing that a result depends on\n",
          stderr);
}

void round_begins(void *arg, const char *terms) {
    int fd = (int)*(const int64_t *)arg;
    struct terms before, now;
    struct digest digest;
    if (round_read(fd, &before, &digest) && terms_parse(terms, &now)) {
        say(&before, &now);
        terms_clear(&now);
    }
    terms_clear(&before);
    if (!leave(fd, terms))
        fputs("hepaflow run: warning: the watch will not see changes of input files\n", stderr);
}
