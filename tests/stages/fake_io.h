/*
 * fake_io.h - the graph's side of `declare`: what is on the edge, and what a stage said.
 */
#ifndef TESTS_FAKE_IO_H
#define TESTS_FAKE_IO_H

#include <hepaflow/hepaflow.h>

struct fake_io {
    struct hf_io io;
    const char *on_edge; /* fields, each between spaces: " image liver " */
    char reads[1024];    /* as ` name`, optional ones as ` ?name` */
    char writes[1024];   /* as ` name:dtype*channels` */
};

static inline void fake_read(struct hf_io *io, const char *field, enum hf_dtype dtype,
                             enum hf_place place, uint32_t flags) {
    struct fake_io *f = io->engine;
    (void)dtype;
    (void)place;
    size_t at = strlen(f->reads);
    (void)snprintf(f->reads + at, sizeof f->reads - at, " %s%s",
                   flags & HF_READ_OPTIONAL ? "?" : "", field);
}

static inline void fake_write(struct hf_io *io, const char *field, enum hf_dtype dtype,
                              enum hf_place place, int64_t channels, const char *from) {
    struct fake_io *f = io->engine;
    (void)place;
    (void)from;
    size_t at = strlen(f->writes);
    (void)snprintf(f->writes + at, sizeof f->writes - at, " %s:%s*%lld", field,
                   hf_dtype_name(dtype), (long long)channels);
}

static inline int fake_has(struct hf_io *io, const char *field, int64_t *ret_channels) {
    const struct fake_io *f = io->engine;
    char word[HF_FIELD_NAME + 2];
    (void)snprintf(word, sizeof word, " %s ", field);
    if (ret_channels)
        *ret_channels = 1;
    return f->on_edge && strstr(f->on_edge, word) != NULL;
}

static inline void fake_io_open(struct fake_io *f, const char *on_edge) {
    *f = (struct fake_io){.on_edge = on_edge};
    f->io.read = fake_read;
    f->io.write = fake_write;
    f->io.has = fake_has;
    f->io.engine = f;
}

#endif
