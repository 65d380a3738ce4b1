/**
 * base.h - status codes and the error buffer.
 *
 * Every hepaflow function that can fail returns an `enum hf_status` and takes a `struct hf_error *`
 * as its last argument. On failure the callee writes one complete, user-ready message into it:
 * where, what was found, what was expected, what to do. No function of the library or of a plugin
 * prints or exits. Outputs (`ret_` arguments) are set only on success.
 *
 * Texts are UTF-8 and NUL-terminated. What a status means to the engine: NO_MEMORY, CANCELED and
 * ABI end a run whatever `on_error` says; END is no failure, and only streams answer it; of the
 * others the message counts.
 */
#ifndef HEPAFLOW_BASE_H
#define HEPAFLOW_BASE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Version of the interface between the engine and its plugins. A plugin of another one is refused.
 */
#define HF_ABI_VERSION 4u

#define HF_STATUS_MAP(X)                                                                           \
    X(OK, "done")                                                                                  \
    X(END, "end of stream")                                                                        \
    X(INVALID, "invalid input")                                                                    \
    X(NOT_FOUND, "not found")                                                                      \
    X(UNSUPPORTED, "not supported")                                                                \
    X(IO, "input or output failed")                                                                \
    X(NO_MEMORY, "out of memory")                                                                  \
    X(CANCELED, "canceled")                                                                        \
    X(ABI, "another plugin interface")

enum hf_status {
#define X(name, text) HF_##name,
    HF_STATUS_MAP(X)
#undef X
};

/** The message of a failure. Owned by the caller; a longer one is cut. What stands in it after a
 *  success means nothing. */
struct hf_error {
    enum hf_status status;
    char text[2048];
};

#if defined(__GNUC__)
#define HF_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define HF_PRINTF(fmt, args)
#endif

/** Writes a message into `err` (which may be NULL) and returns `status`. No argument may point into
 *  `err` itself: hf_fail_in puts something before what is there. */
HF_PRINTF(3, 4)
static inline enum hf_status hf_fail(struct hf_error *err, enum hf_status status, const char *fmt,
                                     ...) {
    if (err) {
        va_list args;
        va_start(args, fmt);
        err->status = status;
        (void)vsnprintf(err->text, sizeof err->text, fmt, args);
        va_end(args);
    }
    return status;
}

/** Puts "prefix: " in front of the message that a callee left in `err`; returns its status. With a
 *  NULL `err`, which no callback of a plugin gets, that is lost: then return the callee's own. */
HF_PRINTF(2, 3)
static inline enum hf_status hf_fail_in(struct hf_error *err, const char *fmt, ...) {
    if (!err)
        return HF_INVALID;
    char prefix[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(prefix, sizeof prefix, fmt, args);
    va_end(args);
    struct hf_error inner = *err;
    (void)snprintf(err->text, sizeof err->text, "%s: %.1500s", prefix, inner.text);
    return err->status;
}

#ifdef __cplusplus
}
#endif
#endif
