/**
 * gunzip.c - gzip members through libdeflate, one after the other.
 */
#include "gunzip.h"

#include <libdeflate.h>
#include <string.h>

/**
 * Inflates member after member. Stops when `out` is full (*ret_full = 1) or at the first bytes
 * that are no member.
 */
static enum hf_status inflate_members(const void *bytes, size_t size, const char *name, void *out,
                                      size_t room, size_t *ret_used, size_t *ret_left,
                                      int *ret_full, struct hf_error *e) {
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    if (!d)
        return hf_fail(e, HF_NO_MEMORY, "%s: no memory to decompress it", name);
    const uint8_t *in = (const uint8_t *)bytes;
    uint8_t *to = (uint8_t *)out;
    size_t left = size, used = 0;
    enum hf_status st = HF_OK;
    *ret_full = 0;
    while (st == HF_OK && hf_is_gzip(in, left)) {
        size_t took = 0, gave = 0;
        enum libdeflate_result r =
            libdeflate_gzip_decompress_ex(d, in, left, to + used, room - used, &took, &gave);
        if (r == LIBDEFLATE_SUCCESS) {
            in += took;
            left -= took;
            used += gave;
        } else if (r == LIBDEFLATE_INSUFFICIENT_SPACE) {
            *ret_full = 1;
            break;
        } else {
            st = hf_fail(e, HF_INVALID,
                         "%s: its gzip stream is damaged or cut short (wrong data or CRC); copy or "
                         "download it again",
                         name);
        }
    }
    libdeflate_free_decompressor(d);
    *ret_used = used;
    *ret_left = left;
    return st;
}

enum hf_status hf_gunzip_begin(const void *bytes, size_t size, const char *name, void *out,
                               size_t room, size_t *ret_used, int *ret_whole, struct hf_error *e) {
    size_t used = 0, left = 0;
    int full = 0;
    /* libdeflate writes what it has before it reports that the room is not enough; zeros stand
     * for anything it has not. */
    memset(out, 0, room);
    enum hf_status st = inflate_members(bytes, size, name, out, room, &used, &left, &full, e);
    if (st != HF_OK)
        return st;
    *ret_used = full ? room : used;
    *ret_whole = !full;
    return HF_OK;
}

enum hf_status hf_gunzip(const void *bytes, size_t size, const char *name, void *out, size_t room,
                         size_t *ret_used, size_t *ret_left, struct hf_error *e) {
    size_t used = 0, left = 0;
    int full = 0;
    enum hf_status st = inflate_members(bytes, size, name, out, room, &used, &left, &full, e);
    if (st != HF_OK)
        return st;
    if (full)
        return hf_fail(
            e, HF_INVALID,
            "%s: its gzip stream holds more than its header calls for (%zu bytes), or is "
            "damaged",
            name, room);
    *ret_used = used;
    *ret_left = left;
    return HF_OK;
}
