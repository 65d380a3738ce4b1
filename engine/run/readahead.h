/*
 * readahead.h - files read into memory before a stage asks for them.
 *
 * The loop's thread asks (readahead_want) and libuv's own threads read; any worker takes
 * (readahead_take). What is asked for and not yet taken is bounded in bytes. A file that cannot be
 * read ahead is left to the taker, who reads it again and so gets the message.
 */
#ifndef HEPAFLOW_RUN_READAHEAD_H
#define HEPAFLOW_RUN_READAHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hepaflow/base.h>

struct uv_loop_s;
struct readahead;

enum hf_status readahead_new(struct uv_loop_s *loop, int64_t bytes, struct readahead **ret,
                             struct hf_error *e);
/* After the loop has finished its requests and every worker is gone. */
void readahead_free(struct readahead *ra);

/* On the loop's thread: starts to read `path` for `owner`, unless it is already there or nothing
 * more fits. Returns false if nothing more fits now. */
bool readahead_want(struct readahead *ra, const void *owner, const char *path);
/* Drops what was read for `owner` and never taken. */
void readahead_forget(struct readahead *ra, const void *owner);

/* Takes the bytes of `path` if they were asked for; waits for a read in progress. The bytes are
 * the caller's, for free(). */
bool readahead_take(struct readahead *ra, const char *path, void **ret, size_t *ret_size);
/* Bytes taken from here so far (tests). */
int64_t readahead_taken(struct readahead *ra);

#endif
