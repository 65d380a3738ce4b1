/* child.c - starts runs of graphs in processes of their own (see child.h). */
#include "cli/child.h"

#include <signal.h>
#include <stdint.h>

int child_prepare(uv_loop_t *loop, uv_signal_t stop[2], uv_signal_cb on_signal, void *data,
                  char *ret_program, size_t size) {
    int code = uv_exepath(ret_program, &size);
    for (int i = 0; i < 2 && code == 0; i++) {
        code = uv_signal_init(loop, &stop[i]);
        stop[i].data = data;
        if (code == 0)
            code = uv_signal_start(&stop[i], on_signal, i == 0 ? SIGINT : SIGTERM);
    }
    return code;
}

int child_start(uv_loop_t *loop, uv_process_t *process, const char *const *word,
                uv_stdio_container_t *stream, int streams, uv_exit_cb on_exit) {
    const uv_process_options_t options = {.exit_cb = on_exit,
                                          .file = word[0],
                                          .args = (char **)(uintptr_t)word,
                                          .stdio = stream,
                                          .stdio_count = streams};
    stream[0].flags = UV_IGNORE;
    return uv_spawn(loop, process, &options);
}
