/**
 * scores.c - the list of scores, what is counted over all cases, and how it is written: cases.csv,
 * cases.json and lesions.csv, the result for scores.json, and a table for the report.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../text/text.h"
#include "evaluate.h"

enum hf_status scores_add(struct scores *list, const struct hf_sample *of, struct score **ret,
                          struct hf_error *e) {
    if (list->count == list->capacity) {
        int32_t more = list->capacity ? 2 * list->capacity : 16;
        struct score *item = realloc(list->item, (size_t)more * sizeof *item);
        if (!item)
            return hf_fail(e, HF_NO_MEMORY, "no memory for the scores of %d cases", (int)more);
        list->item = item;
        list->capacity = more;
    }
    struct score s = {.case_id = strdup(of->id),
                      .patient = strdup(of->patient),
                      .surfaces = metrics_no_surfaces(),
                      .burden_truth = NAN,
                      .burden_predicted = NAN};
    if (!s.case_id || !s.patient) {
        free(s.case_id);
        free(s.patient);
        return hf_fail(e, HF_NO_MEMORY, "no memory for the score of '%s'", of->id);
    }
    list->item[list->count] = s;
    *ret = &list->item[list->count++];
    return HF_OK;
}

void scores_free(struct scores *list) {
    for (int32_t i = 0; i < list->count; i++) {
        free(list->item[i].case_id);
        free(list->item[i].patient);
        free(list->item[i].lesion);
    }
    free(list->item);
    list->item = NULL;
    list->count = list->capacity = 0;
}

/* ---- over all cases ---- */

/* The measures of two masks, and their means: of all tumors of a case, or of a pair of lesions. */
enum {
    DICE,
    VOE,
    RVD,
    RVD_LITS,
    ASSD,
    HD95,
    JACCARD,
    RMSD,
    MSD,
    NSD,
    LESION_MEASURES, /* those of lesions end here */
    ASSD_LITS = LESION_MEASURES,
    RMSD_LITS,
    MSD_LITS,
    BURDEN_TRUTH,
    BURDEN_PREDICTED,
    MEASURES
};

static const char *const measure_name[MEASURES] = {
    "dice", "voe", "rvd",       "rvd_lits",  "assd",     "hd95",         "jaccard",         "rmsd",
    "msd",  "nsd", "assd_lits", "rmsd_lits", "msd_lits", "burden_truth", "burden_predicted"};

static void measures_of_masks(struct metrics_overlap o, const struct metrics_surfaces *s,
                              double ret[LESION_MEASURES]) {
    ret[DICE] = metrics_dice(o);
    ret[VOE] = metrics_voe(o);
    ret[RVD] = metrics_rvd(o);
    ret[RVD_LITS] = metrics_rvd_lits(o);
    ret[ASSD] = s->assd;
    ret[HD95] = s->hd95;
    ret[JACCARD] = metrics_jaccard(o);
    ret[RMSD] = s->rmsd;
    ret[MSD] = s->msd;
    ret[NSD] = s->nsd;
}

static void measures_of(const struct score *s, int surfaces, double ret[MEASURES]) {
    static const int measured[3] = {ASSD, RMSD, MSD};
    measures_of_masks(s->overlap, &s->surfaces, ret);
    int empty = s->overlap.truth == 0 || s->overlap.predicted == 0;
    for (int k = 0; k < 3; k++)
        ret[ASSD_LITS + k] = surfaces && empty ? METRICS_LARGE : ret[measured[k]];
    ret[BURDEN_TRUTH] = s->burden_truth;
    ret[BURDEN_PREDICTED] = s->burden_predicted;
}

/* A mean over what is defined. */
struct mean {
    double sum;
    int32_t count;
};

static void mean_add(struct mean *m, double v) {
    if (isfinite(v)) {
        m->sum += v;
        m->count++;
    }
}

static double mean_of(const struct mean *m) {
    return m->count ? m->sum / m->count : NAN;
}

struct summary {
    double mean[MEASURES];
    double lesion[LESION_MEASURES]; /* means over the matched pairs of lesions of all cases */
    int32_t pairs;
    double dice_global;
    double burden_rmse, burden_max, burden_max_lits;
    struct metrics_lesions lesions;
    double truth, predicted; /* ml */
};

static void add_lesions(struct metrics_lesions *sum, const struct metrics_lesions *l) {
    sum->truth += l->truth;
    /* One case whose predicted lesions were not counted leaves the sum unknown. */
    sum->predicted = l->predicted < 0 || sum->predicted < 0 ? -1 : sum->predicted + l->predicted;
    for (int k = 0; k < METRICS_TAUS; k++) {
        sum->found[k] += l->found[k];
        sum->right[k] += l->right[k];
        sum->lits[k] += l->lits[k];
    }
}

static void summarise_burden(const struct scores *list, struct summary *sum) {
    struct mean squares = {0, 0};
    sum->burden_max = sum->burden_max_lits = NAN;
    for (int32_t i = 0; i < list->count; i++) {
        double error = list->item[i].burden_truth - list->item[i].burden_predicted;
        mean_add(&squares, error * error);
        if (isfinite(error)) {
            sum->burden_max = fmax(sum->burden_max, fabs(error));
            sum->burden_max_lits = fmax(sum->burden_max_lits, error);
        }
    }
    sum->burden_rmse = sqrt(mean_of(&squares));
}

static struct summary summarise(const struct scores *list, int surfaces) {
    struct summary sum = {.truth = 0};
    struct metrics_overlap all = {0, 0, 0};
    struct mean mean[MEASURES] = {{0, 0}}, lesion[LESION_MEASURES] = {{0, 0}};
    for (int32_t i = 0; i < list->count; i++) {
        const struct score *s = &list->item[i];
        double m[MEASURES];
        measures_of(s, surfaces, m);
        for (int k = 0; k < MEASURES; k++)
            mean_add(&mean[k], m[k]);
        for (int32_t j = 0; j < s->lesion_count; j++) {
            measures_of_masks(s->lesion[j].overlap, &s->lesion[j].surfaces, m);
            for (int k = 0; k < LESION_MEASURES; k++)
                mean_add(&lesion[k], m[k]);
        }
        sum.pairs += s->lesion_count;
        all.truth += s->overlap.truth;
        all.predicted += s->overlap.predicted;
        all.both += s->overlap.both;
        sum.truth += (double)s->overlap.truth * s->voxel;
        sum.predicted += (double)s->overlap.predicted * s->voxel;
        add_lesions(&sum.lesions, &s->lesions);
    }
    for (int k = 0; k < MEASURES; k++)
        sum.mean[k] = mean_of(&mean[k]);
    for (int k = 0; k < LESION_MEASURES; k++)
        sum.lesion[k] = mean_of(&lesion[k]);
    sum.dice_global = metrics_dice(all);
    summarise_burden(list, &sum);
    return sum;
}

static double share(int32_t part, int32_t of) {
    return of > 0 ? (double)part / of : NAN;
}

enum {
    RATES = 8
};

/** Recall and precision of the lesions; those by pairs only where predicted lesions were counted.
 */
static void lesion_rates(const struct metrics_lesions *l, double ret[RATES]) {
    int known = l->predicted >= 0;
    ret[0] = share(l->found[METRICS_TOUCH], l->truth);
    ret[1] = share(l->right[METRICS_TOUCH], l->predicted);
    ret[2] = known ? share(l->found[METRICS_HALF], l->truth) : NAN;
    ret[3] = share(l->right[METRICS_HALF], l->predicted);
    for (int k = 0; k < METRICS_TAUS; k++) {
        ret[4 + 2 * k] = known ? share(l->lits[k], l->truth) : NAN;
        ret[5 + 2 * k] = share(l->lits[k], l->predicted);
    }
}

static const char *const rate_name[RATES] = {"lesion_recall",
                                             "lesion_precision",
                                             "lesion_recall_iou50",
                                             "lesion_precision_iou50",
                                             "lesion_recall_lits",
                                             "lesion_precision_lits",
                                             "lesion_recall_lits_iou50",
                                             "lesion_precision_lits_iou50"};

/* ---- writing ---- */

static void json_member(struct text *t, const char *name, double v) {
    text_add(t, ", \"%s\": ", name);
    text_number(t, v, "null");
}

static void write_result(struct text *t, const struct evaluate_options *o,
                         const struct scores *list, const struct summary *sum) {
    double rate[RATES];
    lesion_rates(&sum->lesions, rate);
    text_add(t, "{");
    if (o->as) {
        text_add(t, "\"name\": \"");
        text_json(t, o->as);
        text_add(t, "\", ");
    }
    /* The first of these are what is seen first of them in reports. */
    text_add(t, "\"dice\": ");
    text_number(t, sum->mean[DICE], "null");
    json_member(t, "dice_global", sum->dice_global);
    for (int k = 0; k < 2; k++)
        json_member(t, rate_name[k], rate[k]);
    text_add(t, ", \"cases\": %d", (int)list->count);
    for (int k = 2; k < RATES; k++)
        json_member(t, rate_name[k], rate[k]);
    for (int k = VOE; k < MEASURES; k++)
        json_member(t, measure_name[k], sum->mean[k]);
    json_member(t, "lesion_pairs", sum->pairs);
    for (int k = 0; k < LESION_MEASURES; k++) {
        char name[64];
        (void)snprintf(name, sizeof name, "lesion_%s", measure_name[k]);
        json_member(t, name, sum->lesion[k]);
    }
    json_member(t, "burden_rmse", sum->burden_rmse);
    json_member(t, "burden_max", sum->burden_max);
    json_member(t, "burden_max_lits", sum->burden_max_lits);
    json_member(t, "volume_truth_ml", sum->truth);
    json_member(t, "volume_predicted_ml", sum->predicted);
    text_add(t, ", \"field\": \"");
    text_json(t, o->field);
    text_add(t, "\", \"truth\": \"");
    text_json(t, o->truth);
    text_add(t, "\"");
    json_member(t, "threshold", list->threshold);
    text_add(t, ", \"threshold_unit\": \"%s\", \"side\": \"%s\", \"tuned_on_truth\": %s}",
             list->unit, list->below ? "below" : "above", list->tuned_on_truth ? "true" : "false");
}

static void write_csv(struct text *t, const struct scores *list, int surfaces) {
    text_add(t, "case,patient");
    for (int k = 0; k < MEASURES; k++)
        text_add(t, ",%s", measure_name[k]);
    text_add(t, ",volume_truth_ml,volume_predicted_ml,lesions,lesions_found,predicted_lesions,"
                "predicted_lesions_right,lesions_found_iou50,predicted_lesions_right_iou50,"
                "lesions_lits,lesions_lits_iou50\n");
    for (int32_t i = 0; i < list->count; i++) {
        const struct score *s = &list->item[i];
        double m[MEASURES];
        measures_of(s, surfaces, m);
        text_csv(t, s->case_id);
        text_add(t, ",");
        text_csv(t, s->patient);
        for (int k = 0; k < MEASURES; k++) {
            text_add(t, ",");
            text_number(t, m[k], "");
        }
        text_add(t, ",%.6g,%.6g,%d,%d,", (double)s->overlap.truth * s->voxel,
                 (double)s->overlap.predicted * s->voxel, (int)s->lesions.truth,
                 (int)s->lesions.found[METRICS_TOUCH]);
        if (s->lesions.predicted < 0)
            text_add(t, ",,,,,\n");
        else
            text_add(t, "%d,%d,%d,%d,%d,%d\n", (int)s->lesions.predicted,
                     (int)s->lesions.right[METRICS_TOUCH], (int)s->lesions.found[METRICS_HALF],
                     (int)s->lesions.right[METRICS_HALF], (int)s->lesions.lits[METRICS_TOUCH],
                     (int)s->lesions.lits[METRICS_HALF]);
    }
}

/** A line for each pair of lesions that were matched at 0.5. */
static void write_lesions(struct text *t, const struct scores *list) {
    text_add(t, "case,lesions,predicted_lesions,volume_truth_ml,volume_predicted_ml");
    for (int k = 0; k < LESION_MEASURES; k++)
        text_add(t, ",%s", measure_name[k]);
    text_add(t, "\n");
    for (int32_t i = 0; i < list->count; i++)
        for (int32_t j = 0; j < list->item[i].lesion_count; j++) {
            const struct lesion_score *l = &list->item[i].lesion[j];
            double m[LESION_MEASURES], voxel = list->item[i].voxel;
            measures_of_masks(l->overlap, &l->surfaces, m);
            text_csv(t, list->item[i].case_id);
            text_add(t, ",%d,%d,%.6g,%.6g", (int)l->truth, (int)l->predicted,
                     (double)l->overlap.truth * voxel, (double)l->overlap.predicted * voxel);
            for (int k = 0; k < LESION_MEASURES; k++) {
                text_add(t, ",");
                text_number(t, m[k], "");
            }
            text_add(t, "\n");
        }
}

static void write_cases_json(struct text *t, const struct scores *list, int surfaces) {
    text_add(t, "[");
    for (int32_t i = 0; i < list->count; i++) {
        const struct score *s = &list->item[i];
        double m[MEASURES];
        measures_of(s, surfaces, m);
        text_add(t, "%s\n  {\"case\": \"", i ? "," : "");
        text_json(t, s->case_id);
        text_add(t, "\", \"patient\": \"");
        text_json(t, s->patient);
        text_add(t, "\"");
        for (int k = 0; k < MEASURES; k++)
            json_member(t, measure_name[k], m[k]);
        json_member(t, "volume_truth_ml", (double)s->overlap.truth * s->voxel);
        json_member(t, "volume_predicted_ml", (double)s->overlap.predicted * s->voxel);
        json_member(t, "lesions", s->lesions.truth);
        json_member(t, "lesions_found", s->lesions.found[METRICS_TOUCH]);
        int known = s->lesions.predicted >= 0;
        json_member(t, "predicted_lesions", known ? s->lesions.predicted : NAN);
        json_member(t, "predicted_lesions_right", known ? s->lesions.right[METRICS_TOUCH] : NAN);
        json_member(t, "lesions_found_iou50", known ? s->lesions.found[METRICS_HALF] : NAN);
        json_member(t, "predicted_lesions_right_iou50",
                    known ? s->lesions.right[METRICS_HALF] : NAN);
        json_member(t, "lesions_lits", known ? s->lesions.lits[METRICS_TOUCH] : NAN);
        json_member(t, "lesions_lits_iou50", known ? s->lesions.lits[METRICS_HALF] : NAN);
        text_add(t, "}");
    }
    text_add(t, "\n]\n");
}

/** The columns of the report's table, with the digits that are shown. */
static const struct {
    const char *name;
    int digits;
} columns[] = {{"Dice", 3},    {"truth, ml", 1}, {"predicted, ml", 1}, {"VOE", 3},
               {"RVD", 3},     {"ASSD, mm", 2},  {"HD95, mm", 2},      {"NSD", 3},
               {"lesions", 0}, {"found", 0},     {"predicted", 0},     {"right", 0}};
#define COLUMNS (sizeof columns / sizeof *columns)

static void table_row(struct text *t, const char *name, const double m[MEASURES], double truth,
                      double predicted, const struct metrics_lesions *l) {
    int known = l->predicted >= 0;
    const double cell[COLUMNS] = {m[DICE],
                                  truth,
                                  predicted,
                                  m[VOE],
                                  m[RVD],
                                  m[ASSD],
                                  m[HD95],
                                  m[NSD],
                                  l->truth,
                                  l->found[METRICS_TOUCH],
                                  known ? l->predicted : NAN,
                                  known ? l->right[METRICS_TOUCH] : NAN};
    text_add(t, "[\"");
    text_json(t, name);
    text_add(t, "\"");
    for (size_t k = 0; k < COLUMNS; k++) {
        text_add(t, ",");
        text_number(t, cell[k], "null");
    }
    text_add(t, "]");
}

static void write_table(struct text *t, const struct evaluate_options *o, const struct scores *list,
                        const struct summary *sum) {
    text_add(t, "{\"kind\":\"table\",\"note\":\"");
    text_json(t, o->field);
    text_add(t, " %s %.4g%s%s against ", list->below ? "below" : "from", list->threshold,
             list->unit[0] ? " " : "", list->unit);
    text_json(t, o->truth);
    text_add(t, ", %d cases; global Dice %.3f.%s\",\"columns\":[{\"name\":\"case\"}",
             (int)list->count, sum->dice_global,
             list->tuned_on_truth
                 ? " The threshold was tuned on this very truth: an upper bound, not a method."
                 : "");
    for (size_t k = 0; k < COLUMNS; k++)
        text_add(t, ",{\"name\":\"%s\",\"digits\":%d}", columns[k].name, columns[k].digits);
    text_add(t, "],\"rows\":[");
    for (int32_t i = 0; i < list->count; i++) {
        const struct score *s = &list->item[i];
        double m[MEASURES];
        measures_of(s, o->surfaces, m);
        text_add(t, "%s\n", i ? "," : "");
        table_row(t, s->case_id, m, (double)s->overlap.truth * s->voxel,
                  (double)s->overlap.predicted * s->voxel, &s->lesions);
    }
    text_add(t, "],\n\"foot\":");
    table_row(t, "mean or sum", sum->mean, sum->truth, sum->predicted, &sum->lesions);
    text_add(t, "}");
}

static enum hf_status write_file(const struct hf_stage *s, const char *folder, const char *name,
                                 const struct text *t, struct hf_error *e) {
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= sizeof path)
        return hf_fail(e, HF_INVALID, "the path %s is too long", folder);
    return s->host->write_file(path, t->bytes, t->size, e);
}

enum hf_status scores_write(const struct hf_stage *s, const struct scores *list,
                            struct hf_error *e) {
    const struct evaluate_options *o = s->options;
    int surfaces = o->surfaces && !list->tuned_on_truth;
    struct summary sum = summarise(list, surfaces);
    struct text result = {0}, csv = {0}, json = {0}, lesions = {0}, table = {0};
    char folder[4096], title[128];
    write_result(&result, o, list, &sum);
    write_csv(&csv, list, surfaces);
    write_cases_json(&json, list, surfaces);
    write_lesions(&lesions, list);
    write_table(&table, o, list, &sum);
    (void)snprintf(title, sizeof title, "Scores: %s", o->as ? o->as : s->name);
    enum hf_status st = HF_OK;
    if (result.failed || csv.failed || json.failed || lesions.failed || table.failed)
        st = hf_fail(e, HF_NO_MEMORY, "no memory to write the scores");
    if (st == HF_OK)
        st = s->host->folder(s, s->name, folder, sizeof folder, e);
    if (st == HF_OK)
        st = write_file(s, folder, "cases.csv", &csv, e);
    if (st == HF_OK)
        st = write_file(s, folder, "cases.json", &json, e);
    if (st == HF_OK)
        st = write_file(s, folder, "lesions.csv", &lesions, e);
    if (st == HF_OK)
        st = s->host->result(s, result.bytes, e);
    if (st == HF_OK)
        st = s->host->report(s, title, table.bytes, e);
    free(result.bytes);
    free(csv.bytes);
    free(json.bytes);
    free(lesions.bytes);
    free(table.bytes);
    return st;
}
