/*
 * round.h - what one round of `run --watch` leaves for the next one and for the watch: the terms of
 * all stages (store/store.h), in a file without a name that each round has open.
 */
#ifndef HEPAFLOW_CLI_ROUND_H
#define HEPAFLOW_CLI_ROUND_H

#include "store/store.h"

/* What was left last; false: nothing whole is there. */
bool round_read(int fd, struct terms *ret, struct digest *ret_digest);
/* In a round, as on_terms of a run: says on stderr what has changed, and leaves its own terms;
 * `arg` is the file's `int64_t`. */
void round_begins(void *arg, const char *terms);

#endif
