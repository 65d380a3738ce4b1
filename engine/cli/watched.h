/*
 * watched.h - the files that a graph and its results are made of, and whether they have changed.
 * Folders are watched rather than files, since editors and linkers put a new file in the place of
 * the old one.
 */
#ifndef HEPAFLOW_CLI_WATCHED_H
#define HEPAFLOW_CLI_WATCHED_H

#include <uv.h>

#include "cli/cli.h"

struct watched;

/* `on_event`: something may have changed, time to look. NULL: no memory. */
struct watched *watched_new(uv_loop_t *loop, const struct run_request *request, const char *program,
                            void (*on_event)(void *arg), void *arg);
/* When all handles of the loop are closed. */
void watched_free(struct watched *w);
/* A round begins, which leaves what it reads in `fd` (round.h). */
void watched_round(struct watched *w, int fd);
/* Looks at all files; how many have changed, and the paths of the first `most` of those. */
int watched_look(struct watched *w, const char **ret_path, int most);
/* How many files there are. */
int watched_count(const struct watched *w);

#endif
