/* child.h - runs of graphs in processes of their own, which `run --watch` and `sweep` start. */
#ifndef HEPAFLOW_CLI_CHILD_H
#define HEPAFLOW_CLI_CHILD_H

#include <uv.h>

/* Hears SIGINT and SIGTERM and finds this program's own file; 0, or libuv's error. */
int child_prepare(uv_loop_t *loop, uv_signal_t stop[2], uv_signal_cb on_signal, void *data,
                  char *ret_program, size_t size);
/*
 * Starts `word[0]`, with nothing on stdin and `stream`, ended by NULL words; 0, or libuv's error.
 * The handle of a process that could not be started must be closed as well.
 */
int child_start(uv_loop_t *loop, uv_process_t *process, const char *const *word,
                uv_stdio_container_t *stream, int streams, uv_exit_cb on_exit);

#endif
