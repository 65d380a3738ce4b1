/*
 * reuse.h - results that need not be made again: the run's side of the store (store/store.h).
 *
 * A result is that of one stage at the end of the graph: what it wrote into the results folder and
 * said, and the model that it yields. Before the jobs begin reuse_find puts what the store has into
 * its place, and the run goes on with the plan of the rest. What a stage writes and says while it
 * works is noted with it (struct made), and kept once it has done well.
 */
#ifndef HEPAFLOW_RUN_REUSE_H
#define HEPAFLOW_RUN_REUSE_H

#include "engine.h"
#include "store/store.h"

struct cJSON;
struct run;
struct sink;
struct instance;
struct message;

/* What a stage at the end of the graph has made so far; under the run's notes_lock. */
struct made {
    struct entry entry;
    const struct hf_model *model; /* that its file `model_file` holds; only to compare */
    int model_file;
    bool closed; /* its stage has done its work */
    bool lost;   /* something is missing here: it cannot be kept */
};

/* The instance that this thread is at, NULL: none; for made_file. */
void made_enter(struct instance *in);
/* What it does now, samples in the store would not bring again. */
void made_spoke(void);
/* A file was written; `model`: that it holds, or NULL. */
void made_file(const char *path, const void *bytes, size_t size, const struct hf_model *model);
/* Under notes_lock: a result (title NULL) or a section of the report. */
void made_said(const struct instance *in, const char *title, const char *text);

struct reuse;

/* Opens the store, if the run has one, and works out the terms of all stages. */
enum hf_status reuse_begin(struct run *run, struct reuse **ret, struct hf_error *e);
/* Adds what a source reads; `in` has been started with reuse_watch on. */
enum hf_status reuse_source(struct reuse *r, struct instance *in, int64_t items,
                            struct hf_error *e);
/* Takes down which files are read from now on, for the source that starts, or (-1) no longer. */
void reuse_watch(struct reuse *r, int stage);
/* After all sources have been added: works out the keys. */
enum hf_status reuse_keys(struct reuse *r, struct hf_error *e);
/* Whether there is a store: else only the terms are worked out, for the record of the run. */
bool reuse_keeps(const struct reuse *r);
/* The modules that work for the run, digests by name, and the files that it reads, as JSON; NULL:
 * no memory. */
struct cJSON *reuse_plugins(const struct reuse *r);
struct cJSON *reuse_inputs(const struct reuse *r);
/* After that: whether the store has the stage's result, what it depends on, and what the last run
 * of the graph was made of. */
bool reuse_has(const struct reuse *r, int stage);
enum hf_status reuse_terms(const struct reuse *r, int stage, struct terms *ret, struct hf_error *e);
bool reuse_last(const struct reuse *r, struct terms *ret);
/* Does all that, and puts in its place what the store has; the run's plan is then that of the rest.
 */
enum hf_status reuse_find(struct run *run, struct hf_error *e);
/* On the sink's thread, which has done its work: keeps its result. */
void reuse_keep(struct sink *k);
/* The store, NULL: none; and the key of a stage, once the keys are worked out. */
struct store *reuse_store(const struct reuse *r);
struct digest reuse_digest(const struct reuse *r, int stage);
/* Whether what a stage has just made of an item is what its key says: nothing that it was made of
 * has changed since. For any thread. */
bool reuse_is_certain(struct run *run, int stage, int64_t item);
/* What comes of this stage in this run may be otherwise in another one: is not kept. */
void reuse_doubt(struct run *run, int stage);
void reuse_free(struct reuse *r);

/* How the result of a stage at the end of the graph came about. */
enum hf_job_state reuse_state(const struct reuse *r, int stage);
/* Of a job; it counts as run if anything of it is. */
enum hf_job_state reuse_job_state(const struct run *run, int job);
/* Its key as text; "": not known. */
void reuse_key(const struct reuse *r, int stage, char ret[DIGEST_TEXT]);

#endif
