/**
 * filename.h - names of files of what samples are called. Samples of different names get different
 * files, and the name leaves room for more: file systems take 255 bytes, and `load` names of 120.
 */
#ifndef HF_STAGES_FILENAME_H
#define HF_STAGES_FILENAME_H

#include <string.h>

#include <hepaflow/base.h>
#include <hepaflow/rng.h>

#define FILENAME_BYTES 121
#define FILENAME_HASH  13 /* a dash and 12 digits */

/** Whether a byte stays: in links ASCII letters, digits and "-_." alone, else all but what parts
 *  folders and controls terminals. */
static inline int filename_keeps(char c, int link) {
    if (!link)
        return c != '/' && c != '\\' && (unsigned char)c >= 32 && c != 127;
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

/** The name itself where it can stand as it is. Else what cannot becomes '_', what is too long is
 *  cut between two characters, and a hash of the whole follows. */
static inline void filename_of(const char *name, int link, char ret[FILENAME_BYTES]) {
    size_t size = strlen(name);
    int same = size < FILENAME_BYTES;
    for (size_t i = 0; i < size && same; i++)
        same = filename_keeps(name[i], link);
    if (!same && size >= FILENAME_BYTES - FILENAME_HASH) {
        size = FILENAME_BYTES - FILENAME_HASH - 1;
        while (size > 0 && ((unsigned char)name[size] & 0xC0) == 0x80)
            size--;
    }
    for (size_t i = 0; i < size; i++)
        ret[i] = filename_keeps(name[i], link) ? name[i] : '_';
    ret[size] = '\0';
    if (!same)
        (void)snprintf(ret + size, FILENAME_HASH + 1, "-%012llx",
                       (unsigned long long)(hf_rng_hash(UINT64_C(0xCBF29CE484222325), name) >> 16));
}

#endif
