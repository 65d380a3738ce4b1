/**
 * evaluate.c - the stage `evaluate`: how well a prediction agrees with the truth.
 *
 * A probability or a mask is brought onto the truth's own grid (that of the CT as loaded, unless
 * another reference is named) and measured there, so that a coarse working grid is paid for in the
 * score. `best_of: thresholds` measures instead what the best single threshold on a field would
 * reach if one knew the truth: the bar that a learned method has to clear.
 */
#include <math.h>
#include <stdlib.h>

#include "../geometry/geometry.h"
#include "evaluate.h"

enum {
    BEST_OF_NONE,
    BEST_OF_THRESHOLDS
};

/** Values as HU, by the window that prepare has used. */
static enum hf_status to_hu(const struct hf_stage *s, const struct hf_sample *in, float *values,
                            int64_t n, struct hf_error *e) {
    struct hf_tensor *window = hf_sample_get(in, "window"), *t = NULL;
    if (!window || window->dtype != HF_F32 || hf_tensor_count(window) != 2)
        return hf_fail(e, HF_INVALID, "there is no window to count HU from; use `range_in: field`");
    enum hf_status st = hf_tensor_read(s, window, &t, e);
    if (st != HF_OK)
        return st;
    float low = HF_DATA(float, t)[0], high = HF_DATA(float, t)[1];
    for (int64_t i = 0; i < n; i++)
        values[i] = low + values[i] * (high - low);
    s->host->tensor_unref(t);
    return HF_OK;
}

/** Adds a case to the sweep; its own score follows when the threshold is known. */
static enum hf_status sweep_case(const struct hf_stage *s, const struct hf_sample *in,
                                 const struct view *v, struct sweep *sw, struct score *score,
                                 struct hf_error *e) {
    const struct evaluate_options *o = s->options;
    struct hf_tensor *labels = NULL;
    int32_t lesions = 0;
    int64_t n = hf_tensor_count(v->truth);
    float *values = malloc((size_t)n * sizeof *values);
    enum hf_status st = values ? HF_OK : hf_fail(e, HF_NO_MEMORY, "no memory for a sweep");
    for (int64_t i = 0; st == HF_OK && i < n; i++)
        values[i] = v->values->dtype == HF_F32 ? HF_DATA(float, v->values)[i]
                                               : (float)HF_DATA(uint8_t, v->values)[i];
    if (st == HF_OK && o->range_in == RANGE_HU)
        st = to_hu(s, in, values, n, e);
    if (st == HF_OK)
        st = view_components(s, v->truth, &labels, &lesions, e);
    if (st == HF_OK)
        st = sweep_add(sw, values, v->gate, HF_DATA(int32_t, labels), lesions, n, e);
    s->host->tensor_unref(labels);
    free(values);
    score->voxel = geometry_volume(&v->grid);
    return st;
}

/** Scores all cases at the best threshold. */
static void sweep_finish(const struct hf_stage *s, const struct sweep *sw, struct scores *list) {
    const struct evaluate_options *o = s->options;
    int32_t step = 0;
    sweep_best(sw, &step, &list->below);
    list->threshold = sweep_threshold(sw, step);
    list->tuned_on_truth = 1;
    list->unit = o->range_in == RANGE_HU ? "HU" : "";
    for (int32_t i = 0; i < list->count; i++) {
        struct score *score = &list->item[i];
        score->overlap = sweep_overlap(sw, i, step, list->below);
        score->lesions.truth = sw->item[i].lesions;
        score->lesions.found[METRICS_TOUCH] = sweep_found(sw, i, step, list->below);
        score->lesions.predicted = -1;
    }
}

static enum hf_status evaluate_case(const struct hf_stage *s, const struct hf_sample *in,
                                    struct scores *list, struct sweep *sw, struct hf_error *e) {
    const struct evaluate_options *o = s->options;
    struct view v;
    struct score *score = NULL;
    enum hf_status st = view_open(s, in, &v, e);
    if (st != HF_OK)
        return st;
    st = scores_add(list, in, &score, e);
    if (st == HF_OK)
        st = o->best_of == BEST_OF_THRESHOLDS ? sweep_case(s, in, &v, sw, score, e)
                                              : measure(s, &v, score, e);
    view_close(s, &v);
    return st;
}

static enum hf_status run(struct hf_stage *s, struct hf_stream *in, struct hf_error *e) {
    const struct evaluate_options *o = s->options;
    struct scores list = {.threshold = o->threshold, .unit = ""};
    struct sweep sw = {
        .low = o->range.value[0], .high = o->range.value[1], .steps = (int32_t)o->steps};
    const struct hf_sample *sample = NULL;
    int64_t seen = 0;
    enum hf_status st = s->host->next(in, &sample, e);
    for (; st == HF_OK; st = s->host->next(in, &sample, e)) {
        seen++;
        if (hf_sample_get(sample, o->truth)) {
            st = evaluate_case(s, sample, &list, &sw, e);
            if (st != HF_OK)
                break;
            s->host->progress(s, (double)list.count, 0, NAN);
        } else {
            char line[512];
            (void)snprintf(line, sizeof line, "case '%.200s' has no %.64s: it is not scored",
                           sample->case_id, o->truth);
            s->host->log(s, HF_LOG_WARNING, line);
        }
    }
    if (st == HF_END)
        st = HF_OK;
    if (st == HF_OK && list.count == 0) {
        /* Patients whose tumors nobody has drawn are worth a run all the same. */
        char line[512];
        (void)snprintf(line, sizeof line, "none of %lld samples has a %.64s: nothing is scored",
                       (long long)seen, o->truth);
        s->host->log(s, HF_LOG_WARNING, line);
        goto done;
    }
    if (st == HF_OK && o->best_of == BEST_OF_THRESHOLDS)
        sweep_finish(s, &sw, &list);
    if (st == HF_OK)
        st = scores_write(s, &list, e);
done:
    sweep_free(&sw);
    scores_free(&list);
    return st;
}

static enum hf_status declare(const void *options, struct hf_io *io, struct hf_error *e) {
    const struct evaluate_options *o = options;
    if (!(o->range.value[0] < o->range.value[1]))
        return hf_fail(e, HF_INVALID,
                       "option 'range' is [%g, %g]; its first value must be below "
                       "the second",
                       o->range.value[0], o->range.value[1]);
    if (o->best_of == BEST_OF_THRESHOLDS && o->min_volume > 0)
        return hf_fail(e, HF_INVALID,
                       "option 'min_volume' has no meaning with `best_of: thresholds`");
    int64_t channels = -1;
    if (io->has(io, o->field, &channels) && channels > 1)
        return hf_fail(e, HF_INVALID, "field '%s' has %lld channels; evaluate takes one", o->field,
                       (long long)channels);
    /* `truth` lies on the image's own grid, every other field on the sample's. */
    enum hf_place place = strcmp(o->truth, "truth") == 0 ? HF_ON_CANONICAL : HF_ON_GRID;
    io->read(io, o->field, HF_DTYPES, HF_ON_GRID, 0);
    io->read(io, o->truth, HF_U8, place, 0);
    /* The liver is for the tumor burden alone; without one that stays unknown. */
    if (o->liver && io->has(io, o->liver, NULL))
        io->read(io, o->liver, HF_U8, HF_ON_GRID, HF_READ_OPTIONAL);
    for (int32_t i = 0; i < o->gate.count; i++)
        io->read(io, o->gate.name[i], HF_U8, HF_ON_GRID, 0);
    if (o->best_of == BEST_OF_THRESHOLDS && o->range_in == RANGE_HU)
        io->read(io, "window", HF_F32, HF_ON_HOST, 0);
    return HF_OK;
}

#define AT(member) offsetof(struct evaluate_options, member)

static const struct hf_option option_table[] = {
    {.name = "field",
     .type = HF_OPTION_STRING,
     .offset = AT(field),
     .initial = "predicted",
     .flags = HF_OPTION_FIELD,
     .help = "The probability or mask to score."},
    {.name = "truth",
     .type = HF_OPTION_STRING,
     .offset = AT(truth),
     .initial = "truth",
     .flags = HF_OPTION_FIELD,
     .help = "The mask to score against; `truth` lies on the CT's own grid, others on the "
             "sample's."},
    {.name = "as",
     .type = HF_OPTION_STRING,
     .offset = AT(as),
     .initial = "~",
     .help = "The name of the scores in scores.json and in tables; none: the stage's own."},
    {.name = "threshold",
     .type = HF_OPTION_REAL,
     .offset = AT(threshold),
     .initial = "0.5",
     .min = -1e6,
     .max = 1e6,
     .help = "A probability from this on counts as predicted; masks need none."},
    {.name = "gate",
     .type = HF_OPTION_NAMES,
     .offset = AT(gate),
     .initial = "[]",
     .flags = HF_OPTION_FIELD,
     .help = "Masks outside of which nothing counts as predicted, such as liver or segments."},
    {.name = "min_volume",
     .type = HF_OPTION_REAL,
     .offset = AT(min_volume),
     .initial = "0 mm3",
     .unit = "mm3",
     .min = 0,
     .max = 1e7,
     .help = "Predicted components below this are left out (6 neighbours)."},
    {.name = "liver",
     .type = HF_OPTION_STRING,
     .offset = AT(liver),
     .initial = "liver",
     .help = "The liver mask that the tumor burden is counted by, where the sample has it."},
    {.name = "tolerance",
     .type = HF_OPTION_REAL,
     .offset = AT(tolerance),
     .initial = "2 mm",
     .unit = "mm",
     .min = 0,
     .max = 100,
     .help = "NSD counts what lies within this distance of the other surface."},
    {.name = "surfaces",
     .type = HF_OPTION_BOOL,
     .offset = AT(surfaces),
     .initial = "yes",
     .help = "Measure distances between surfaces as well: ASSD, RMSD, MSD, HD95, NSD."},
    {.name = "best_of",
     .type = HF_OPTION_ENUM,
     .offset = AT(best_of),
     .initial = "none",
     .choices = "none|thresholds",
     .help = "`thresholds`: score the one threshold, and side of it, with the best mean Dice, "
             "tuned on the truth itself."},
    {.name = "range",
     .type = HF_OPTION_REALS,
     .offset = AT(range),
     .initial = "[0, 1]",
     .min = -1e6,
     .max = 1e6,
     .items_min = 2,
     .items_max = 2,
     .help = "best_of: the first and the last threshold to try."},
    {.name = "range_in",
     .type = HF_OPTION_ENUM,
     .offset = AT(range_in),
     .initial = "field",
     .choices = "field|hu",
     .help = "best_of: thresholds in the field's own units, or in HU by the window of `prepare`."},
    {.name = "steps",
     .type = HF_OPTION_INT,
     .offset = AT(steps),
     .initial = "200",
     .min = 1,
     .max = 10000,
     .help = "best_of: how many steps lie between the first and the last threshold."},
    {.name = NULL}};

static const char *const ops_used[] = {"resample", "components", "distance", NULL};

static const struct hf_stage_class evaluate = {
    .name = "evaluate",
    .help = "Scores a prediction against the truth: overlap, surfaces, lesions, tumor burden.",
    .kind = HF_SINK,
    .options_size = sizeof(struct evaluate_options),
    .options = option_table,
    .ops = ops_used,
    .declare = declare,
    .run = run,
};

static const struct hf_stage_class *const stages[] = {&evaluate, NULL};

HF_EXPORT const struct hf_plugin hf_plugin = {
    .abi = HF_ABI_VERSION,
    .size = sizeof(struct hf_plugin),
    .name = "evaluate",
    .version = "0.1.0",
    .stages = stages,
};
