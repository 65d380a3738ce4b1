/*
 * harness.h - stages tested alone: a host and the CPU device in this process, samples built from
 * arrays, one stage instance, and what it emitted.
 *
 *     struct harness *h = harness_open();
 *     harness_load(h, "stages/threshold/threshold");
 *     struct hf_sample *in = harness_sample(h, "case", 4, 8, 8, 1.0);
 *     harness_set_f32(h, in, "score", 1, values);
 *     struct hf_stage *s = harness_stage(h, harness_class(h, "threshold"), &options, "pseudo");
 *     harness_process(s, in, &err) == HF_OK; harness_out(s, 0) ...
 *     harness_stage_free(s); harness_free_sample(h, in); harness_close(h);
 *
 * Everything but what returns a status fails the running cmocka test by itself. A test may also
 * include the stage's .c file and hand over its class directly.
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <hepaflow/hepaflow.h>

struct harness;

struct harness *harness_open(void);
/* Fails the test if a tensor or a sample is still alive; removes the results folder. */
void harness_close(struct harness *h);

const struct hf_host *harness_host(struct harness *h);
struct hf_device *harness_cpu(struct harness *h);
/* The results folder of this test: empty, in the system's folder for such things. */
const char *harness_folder(struct harness *h);

/* Loads $HEPAFLOW_BUILD/<path>.so; its ops can be launched from then on. */
const struct hf_plugin *harness_load(struct harness *h, const char *path);
/* The same for a descriptor that is linked or included into the test. */
void harness_add(struct harness *h, const struct hf_plugin *plugin);
const struct hf_stage_class *harness_class(struct harness *h, const char *name);
const struct hf_network_class *harness_network(struct harness *h, const char *name);

/* A sample whose three grids are d x h x w with voxels of `spacing` mm; the case is the id up to
 * the first '/', the patient "patient-" and the case. Build on it with the setters. */
struct hf_sample *harness_sample(struct harness *h, const char *id, int64_t d, int64_t height,
                                 int64_t w, double spacing);
/* ON_GRID fields [channels, d, h, w]; the data are copied (NULL: zeros). */
void harness_set_f32(struct harness *h, struct hf_sample *s, const char *field, int64_t channels,
                     const float *data);
void harness_set_u8(struct harness *h, struct hf_sample *s, const char *field, int64_t channels,
                    const uint8_t *data);
void harness_set(struct harness *h, struct hf_sample *s, const char *field, enum hf_place place,
                 enum hf_dtype dtype, int32_t ndim, const int64_t *shape, const void *data);
void harness_free_sample(struct harness *h, const struct hf_sample *s);
/* The data of a field, waited for; fails if it is not there or of another dtype. */
const float *harness_f32(const struct hf_sample *s, const char *field);
const uint8_t *harness_u8(const struct hf_sample *s, const char *field);

/* An instance on the CPU, seed 66, epoch 0, before `start`: set model, epoch, ... as needed. */
struct hf_stage *harness_stage_new(struct harness *h, const struct hf_stage_class *cls,
                                   const void *options, const char *name);
enum hf_status harness_start(struct hf_stage *s, struct hf_error *e);
/* Both: the instance, started (which must succeed). */
struct hf_stage *harness_stage(struct harness *h, const struct hf_stage_class *cls,
                               const void *options, const char *name);
void harness_stage_free(struct hf_stage *s);

/* Each of these forgets what was emitted before. */
enum hf_status harness_process(struct hf_stage *s, const struct hf_sample *in, struct hf_error *e);
enum hf_status harness_open_item(struct hf_stage *s, int64_t item, struct hf_error *e);
enum hf_status harness_end_of_epoch(struct hf_stage *s, struct hf_error *e);
int32_t harness_outs(const struct hf_stage *s);
const struct hf_sample *harness_out(const struct hf_stage *s, int32_t i);

/* Runs a sink over `n` samples, the same in every epoch. */
enum hf_status harness_run(struct hf_stage *s, const struct hf_sample *const *samples, int32_t n,
                           struct hf_error *e);

/* The last JSON result, the HTML of all reports, all log lines; "" if none. */
const char *harness_result(struct harness *h);
const char *harness_report(struct harness *h);
const char *harness_log(struct harness *h);
/* The published model (borrowed), or NULL. */
const struct hf_model *harness_model(struct harness *h);

#endif
