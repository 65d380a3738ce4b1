/**
 * gunzip.h - gzip in memory, with CRC and length of every member checked, and with an upper bound
 * on what a file of a given size may ask for.
 */
#ifndef HF_NIFTI_GUNZIP_H
#define HF_NIFTI_GUNZIP_H

#include <hepaflow/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Deflate spends at least two bits on 258 bytes: nothing grows by more than this. */
#define HF_GUNZIP_RATIO 1032

static inline int hf_is_gzip(const void *bytes, size_t size) {
    const uint8_t *b = (const uint8_t *)bytes;
    return size >= 2 && b[0] == 0x1f && b[1] == 0x8b;
}

/**
 * The first bytes of the content, at most `room`; *ret_whole is 1 if that is all of it (and then
 * checked), else 0 (and then unchecked: good for a look at a header).
 */
enum hf_status hf_gunzip_begin(const void *bytes, size_t size, const char *name, void *out,
                               size_t room, size_t *ret_used, int *ret_whole, struct hf_error *e);

/**
 * All of the content, of which at most `room` bytes are expected, into `out`. *ret_left is the
 * number of bytes behind the last member.
 */
enum hf_status hf_gunzip(const void *bytes, size_t size, const char *name, void *out, size_t room,
                         size_t *ret_used, size_t *ret_left, struct hf_error *e);

#ifdef __cplusplus
}
#endif
#endif
