/**
 * io_stub.h - what a stage declares, as lines of text: "read image", "write segments < couinaud".
 */
#ifndef TESTS_IO_STUB_H
#define TESTS_IO_STUB_H

#include <stdio.h>
#include <string.h>

#include <hepaflow/hepaflow.h>

struct io_stub {
    struct hf_io io;
    const char *edge; /* names on the incoming edge, each between spaces: " image liver " */
    char text[4096];
};

static void stub_read(struct hf_io *io, const char *field, enum hf_dtype dtype, enum hf_place place,
                      uint32_t flags) {
    struct io_stub *s = io->engine;
    size_t n = strlen(s->text);
    (void)dtype;
    (void)snprintf(s->text + n, sizeof s->text - n, "%s %s@%d\n",
                   flags & HF_READ_OPTIONAL ? "may read" : "read", field, (int)place);
}

static void stub_write(struct hf_io *io, const char *field, enum hf_dtype dtype,
                       enum hf_place place, int64_t channels, const char *from) {
    struct io_stub *s = io->engine;
    size_t n = strlen(s->text);
    (void)dtype;
    (void)channels;
    (void)snprintf(s->text + n, sizeof s->text - n, "write %s@%d < %s\n", field, (int)place,
                   from ? from : "all");
}

static void stub_drop(struct hf_io *io, const char *field) {
    (void)io;
    (void)field;
}

static void stub_regrid(struct hf_io *io, int64_t d, int64_t h, int64_t w, const char *option) {
    struct io_stub *s = io->engine;
    (void)option;
    size_t n = strlen(s->text);
    (void)snprintf(s->text + n, sizeof s->text - n, "regrid %lld %lld %lld\n", (long long)d,
                   (long long)h, (long long)w);
}

static enum hf_status stub_fits(struct hf_io *io, const int64_t size[3], const char *option,
                                struct hf_error *e) {
    (void)io, (void)size, (void)option, (void)e;
    return HF_OK;
}

static void stub_blank(struct hf_io *io, const char *field, double value) {
    struct io_stub *s = io->engine;
    size_t n = strlen(s->text);
    (void)snprintf(s->text + n, sizeof s->text - n, "blank %s %g\n", field, value);
}

static int stub_blanked(struct hf_io *io, const char *field, double *ret) {
    (void)io, (void)field, (void)ret;
    return 0;
}

static int stub_has(struct hf_io *io, const char *field, int64_t *ret_channels) {
    const struct io_stub *s = io->engine;
    char word[64];
    (void)snprintf(word, sizeof word, " %s ", field);
    if (ret_channels)
        *ret_channels = 1;
    return strstr(s->edge, word) != NULL;
}

/** Declares with a class, options and the model of `model:`; the text stays in `s`. */
static inline enum hf_status
io_stub_declare_model(struct io_stub *s, const struct hf_stage_class *cls, const void *options,
                      const char *edge, const struct hf_model_info *model, struct hf_error *e) {
    *s = (struct io_stub){.io = {.read = stub_read,
                                 .write = stub_write,
                                 .drop = stub_drop,
                                 .regrid = stub_regrid,
                                 .has = stub_has,
                                 .model = model,
                                 .grid = {-1, -1, -1},
                                 .fits = stub_fits,
                                 .blank = stub_blank,
                                 .blanked = stub_blanked},
                          .edge = edge};
    s->io.engine = s;
    return cls->declare(options, &s->io, e);
}

static inline enum hf_status io_stub_declare(struct io_stub *s, const struct hf_stage_class *cls,
                                             const void *options, const char *edge,
                                             struct hf_error *e) {
    return io_stub_declare_model(s, cls, options, edge, NULL, e);
}

#endif
