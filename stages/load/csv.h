/**
 * csv.h - lines of comma-separated entries, each with its place in the file, for messages. Quotes,
 * CRLF and a byte order mark are fine.
 */
#ifndef HF_LOAD_CSV_H
#define HF_LOAD_CSV_H

#include <hepaflow/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HF_CSV_COLUMNS 64

/** One entry of a record: text in the file's buffer, and where it stands. */
struct hf_csv_entry {
    const char *text;
    int32_t column; /* from 1 */
};

/** A file that is being read; its text and path are borrowed until close. */
struct hf_csv {
    const char *path;
    const char *at, *end;
    const char *line_start;
    int32_t line;
    char *buffer; /* the entries of the present record */
    struct hf_csv_entry entry[HF_CSV_COLUMNS];
    int32_t entries, width; /* of the present record, of the header */
    struct hf_error *error;
};

/** `what` is what the file should hold, for messages: "a manifest of cases". */
enum hf_status hf_csv_open(const char *text, size_t size, const char *path, const char *what,
                           struct hf_csv *ret, struct hf_error *e);
void hf_csv_close(struct hf_csv *csv);

/** An error at the present line. */
HF_PRINTF(3, 4)
enum hf_status hf_csv_fail(const struct hf_csv *csv, int32_t column, const char *fmt, ...);

/**
 * Reads the header line; ret_place[i] becomes the entry that column `names[i]` is, or -1. `example`
 * is a good header line, shown where one of the columns with a 1 in `required` is not there.
 */
enum hf_status hf_csv_header(struct hf_csv *csv, const char *const *names, const char *required,
                             int32_t count, const char *example, int32_t *ret_place);

/** Reads the next line that is not blank; *ret_more is 0 at the end of the file. */
enum hf_status hf_csv_next(struct hf_csv *csv, int *ret_more);

/** Segments in an entry that is not empty, `2;4;5` or `none`: sets ret[0], and ret[k] of each. */
enum hf_status hf_csv_segments(const struct hf_csv *csv, const struct hf_csv_entry *entry,
                               uint8_t ret[9]);

#ifdef __cplusplus
}
#endif
#endif
