/*
 * store.h - the store: what runs have made, by the key of what made it.
 *
 * A key is the XXH3-128 of its terms: everything that a result depends on, as lines of text that
 * stand beside the result and can be compared (terms.c, keys.c). An entry is a folder that is made
 * aside and renamed, so it is there whole or not at all; every byte of it is under a checksum
 * (entry.c). Nothing is locked that a killed process would leave locked: two runs that make the
 * same entry make the same bytes, and the second drops its own. docs/store.md tells the layout.
 *
 * Threads: a `struct store` may be used by several; `struct inputs`, `struct keys` by one.
 */
#ifndef HEPAFLOW_STORE_H
#define HEPAFLOW_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine.h"
#include "run/ledger.h"

/* ---- digests (digest.c) ---- */

#define DIGEST_TEXT 33 /* 32 hexadecimal digits and a NUL */

struct digest {
    uint64_t high, low;
};

struct digest digest_bytes(const void *bytes, size_t size);
bool digest_same(struct digest a, struct digest b);
void digest_text(struct digest d, char ret[DIGEST_TEXT]);
bool digest_parse(const char *text, struct digest *ret);
/* Of a whole file; *ret_size may be NULL. */
enum hf_status digest_file(const char *path, struct digest *ret, int64_t *ret_size,
                           struct hf_error *e);
/* Copies a file aside and renames it, if it has that size and digest; HF_INVALID if it has not, or
 * cannot be read. */
enum hf_status digest_copy(const char *from, const char *to, int64_t size, struct digest digest,
                           struct hf_error *e);

/* ---- terms (terms.c) ---- */

enum term_kind {
    TERM_SET,    /* something that the graph or the machine says */
    TERM_PLUGIN, /* the digest of a module; note: its name */
    TERM_FILE    /* the digest of a file; note: its path */
};

/* The note is for people and no part of the key. Names of a stage's terms begin with its name and
 * a dot. */
struct term {
    enum term_kind kind;
    bool lent;                 /* the texts are those of other terms */
    int64_t item;              /* of a source, whose file it is; -1: of none, or not known */
    char *name, *value, *note; /* in one block, which begins with the name */
};

struct terms {
    int count, capacity;
    struct term *term;
    bool failed; /* there was no memory for one of them */
};

/* The new term, until the next one is added; NULL: no memory, which `failed` tells as well. */
struct term *terms_add(struct terms *t, enum term_kind kind, const char *name, const char *value,
                       const char *note);
/* Adds terms that stay those of `more`, which must outlive these. */
void terms_join(struct terms *t, const struct terms *more);
void terms_clear(struct terms *t);
const struct term *terms_find(const struct terms *t, const char *name);
/* The key that they amount to; false: no memory. */
bool terms_key(const struct terms *t, struct digest *ret);
/* A line for each; malloc'd, NULL: no memory. */
char *terms_text(const struct terms *t);
bool terms_parse(const char *text, struct terms *ret);
/* The first term of `now` that `before`, which may have terms of more stages, has otherwise or not
 * at all: "pseudo.value 0.5 -> 0.4". False: there is none. */
bool terms_difference(const struct terms *before, const struct terms *now, char *text, size_t size);
/* Tells all differences, until `tell` is false; `now` has the terms of all stages that there are.
 * The same text may come more than once, as of a plugin that works for two stages. */
void terms_differences(const struct terms *before, const struct terms *now,
                       bool (*tell)(void *arg, const char *text), void *arg);

/* ---- the store (store.c) ---- */

struct store {
    char *folder;
    pthread_mutex_t lock; /* of `asides` */
    int asides;
};

/* Opens the store in `folder`, which is made if it is not there. */
enum hf_status store_open(const char *folder, struct store **ret, struct hf_error *e);
void store_close(struct store *s);
/* The user's own: $HEPAFLOW_STORE, or hepaflow/store in the user's cache. */
enum hf_status store_place(char *ret, size_t size, struct hf_error *e);
/* A path in the store; "" if it would be too long. */
const char *store_path(const struct store *s, char *buffer, size_t size, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The text of a file of the store, malloc'd; HF_INVALID: it is too long for one. */
enum hf_status store_text(const char *path, char **ret, struct hf_error *e);
/* Names the system since its start, and the container, in which process numbers are unique. */
void store_where(char ret[DIGEST_TEXT]);
/* A path under `aside` that nobody else has. */
const char *store_aside(struct store *s, char *buffer, size_t size);
/* Takes a file or folder out of sight at once, then apart. */
void store_drop(struct store *s, const char *path);
/* Marks an entry as just used. */
void store_touch(const char *path);

/* What the last run of a graph was made of: all its terms. */
void store_remember(struct store *s, const char *graph, const struct terms *all);
/* Whether a graph of that name has been run with the store of that folder, which need not be there.
 */
bool store_knows(const char *folder, const char *graph);
bool store_recall(struct store *s, const char *graph, struct terms *ret);

/* ---- input files (inputs.c) ---- */

/* Digests of files, remembered in the store by path, size and time of change. */
struct inputs;

/* `s` NULL: remembers nothing beyond itself. */
struct inputs *inputs_new(struct store *s);
void inputs_free(struct inputs *in);
/* The digest of the file as text, or "missing". */
enum hf_status inputs_digest(struct inputs *in, const char *path, char ret[DIGEST_TEXT],
                             struct hf_error *e);
/* The first of the files of these terms that is no longer what its digest was made of, or NULL. */
const char *inputs_changed(const struct inputs *in, const struct terms *t);
/* Forgets the files that are gone, and writes the rest anew. */
void inputs_compact(struct inputs *in);
/* Writes down what is new. */
void inputs_save(struct inputs *in);

/* ---- keys of a plan (keys.c) ---- */

/* What a run brings to the keys. */
struct key_scope {
    struct hf_engine *engine;
    const struct hf_plan *plan;
    uint64_t seed;
    const char *cpu, *device;       /* what the devices say of themselves */
    const char *cpu_name, *on_name; /* their classes; the same: there is only one */
    enum hf_device_kind cpu_ops, on_ops;
    struct inputs *inputs;
};

struct keys {
    int stages;
    struct terms run;    /* that all keys have */
    struct terms *stage; /* of each stage alone */
    struct digest *key;  /* of each stage, with all that it takes */
};

/* Works out the terms of every stage, but for the items of sources, which the caller adds. */
enum hf_status keys_new(const struct key_scope *scope, struct keys **ret, struct hf_error *e);
/* After all terms are there. */
enum hf_status keys_finish(const struct hf_plan *plan, struct keys *k, struct hf_error *e);
void keys_free(struct keys *k);
/* The terms of a stage with all that it takes, its models' included, in an order that does not
 * depend on that of the file; lent by the keys. */
enum hf_status keys_terms(const struct hf_plan *plan, const struct keys *k, int stage,
                          struct terms *ret, struct hf_error *e);
/* Marks the stages that have a part in `stage`, itself included; `models`: also by a model. */
void keys_cone(const struct hf_plan *plan, int stage, bool models, bool *marked);

/* ---- entries (entry.c) ---- */

struct entry_file {
    char *path; /* in the results folder; NULL: it is the model alone */
    int64_t size;
    struct digest digest;
    bool model; /* it holds the model that the stage yields */
};

/* What a stage said: title NULL: the JSON of its result, else a section of the report. */
struct entry_said {
    char *stage, *title, *text;
};

/* The result of a stage at the end of a graph. */
struct entry {
    char *stage, *graph;
    double seconds; /* that it took */
    int files;
    struct entry_file *file; /* in the order in which they were written */
    int said_count;
    struct entry_said *said;
    struct ledger ledger; /* of the stages that it takes samples from; of no job */
};

void entry_clear(struct entry *en);
bool entry_add_said(struct entry *en, const char *stage, const char *title, const char *text);
bool entry_add_file(struct entry *en, const char *path, int64_t size, struct digest digest);
/* Keeps the files of `folder` that the entry names; `model` (NULL: none) is kept beside them.
 * `replace`: also where there is one already. */
enum hf_status entry_save(struct store *s, struct digest key, const struct entry *en,
                          const struct terms *terms, const char *folder, const void *model,
                          size_t model_size, bool replace, struct hf_error *e);
/* Whether there is anything under that key, be it damaged. */
bool entry_known(const struct store *s, struct digest key);
bool entry_there(const struct store *s, struct digest key);
/* Reads what the entry says; HF_NOT_FOUND: there is none; HF_INVALID: it is damaged. */
enum hf_status entry_load(struct store *s, struct digest key, struct entry *ret,
                          struct hf_error *e);
/* Puts its files into `folder`, unless they all are there; HF_INVALID as above. */
enum hf_status entry_restore(struct store *s, struct digest key, const struct entry *en,
                             const char *folder, struct hf_error *e);
/* The bytes of its model, checked; HF_NOT_FOUND: it has none. */
enum hf_status entry_model(struct store *s, struct digest key, const struct entry *en, void **ret,
                           size_t *ret_size, struct hf_error *e);
/* Looks at every byte; errors as of entry_load. */
enum hf_status entry_check(struct store *s, struct digest key, struct hf_error *e);
void entry_touch(struct store *s, struct digest key);
void entry_drop(struct store *s, struct digest key);

/* ---- samples (samples.c) ---- */

/* Makes the folder for what a stage of that key makes, or marks it as just used. */
enum hf_status samples_open(struct store *s, struct digest key, const char *stage,
                            const char *graph, struct hf_error *e);
/* Where what it made of an item of its source lies. */
const char *samples_path(const struct store *s, char *buffer, size_t size, struct digest key,
                         int64_t item);
/* Which stage and graph they are of; `size` of both texts. False: damaged, or gone. */
bool samples_of(const struct store *s, struct digest key, char *stage, char *graph, size_t size);
/* Looks at every byte; drops the items that are damaged, and says so of each. HF_INVALID: what they
 * are of cannot be told; HF_NOT_FOUND: gone. */
enum hf_status samples_check(struct store *s, struct digest key,
                             void (*damaged)(void *arg, struct digest key, const char *why),
                             void *arg, int *ret_damaged, struct hf_error *e);
void samples_drop(struct store *s, struct digest key);

/* ---- the store as a whole (tidy.c) ---- */

struct store_item {
    struct digest key;
    bool samples;        /* of a stage; else a result */
    int64_t bytes, used; /* when it was last used: seconds since 1970 */
};

struct store_list {
    int count;
    struct store_item *item; /* the longest unused first */
    int64_t bytes;
};

struct store_counts {
    int kept, dropped, left_behind;
    int cut; /* entries of samples that lost the damaged items alone */
    int64_t kept_bytes, dropped_bytes;
};

enum hf_status store_list(const struct store *s, struct store_list *ret, struct hf_error *e);
void store_list_clear(struct store_list *list);
/* Drops what has been unused for longest, down to `most` bytes. */
enum hf_status store_prune(struct store *s, int64_t most, struct store_counts *ret,
                           struct hf_error *e);
/* Reads all of it, and drops what is damaged. */
enum hf_status store_verify(struct store *s,
                            void (*damaged)(void *arg, struct digest key, const char *why),
                            void *arg, struct store_counts *ret, struct hf_error *e);
/* Removes what programs that are no more have left aside; how much. */
int store_sweep(struct store *s);

#endif
