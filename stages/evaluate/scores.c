/**
 * scores.c - the list of scores, what is counted over all cases, and how it is written: cases.csv
 * and cases.json, the result for scores.json, and a table for the report.
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
    struct score s = {.case_id = strdup(of->id), .patient = strdup(of->patient)};
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
    }
    free(list->item);
    list->item = NULL;
    list->count = list->capacity = 0;
}

/* ---- over all cases ---- */

/* The measures of a case, and their means. */
enum {
    DICE,
    VOE,
    RVD,
    RVD_LITS,
    ASSD,
    HD95,
    MEASURES
};

static const char *const measure_name[MEASURES] = {"dice",     "voe",  "rvd",
                                                   "rvd_lits", "assd", "hd95"};

static void measures_of(const struct score *s, double ret[MEASURES]) {
    ret[DICE] = metrics_dice(s->overlap);
    ret[VOE] = metrics_voe(s->overlap);
    ret[RVD] = metrics_rvd(s->overlap);
    ret[RVD_LITS] = metrics_rvd_lits(s->overlap);
    ret[ASSD] = s->surfaces.assd;
    ret[HD95] = s->surfaces.hd95;
}

struct summary {
    double mean[MEASURES]; /* over the cases where it is defined */
    double dice_global;
    struct metrics_lesions lesions;
    double truth, predicted; /* ml */
};

static struct summary summarise(const struct scores *list) {
    struct summary sum = {.truth = 0};
    struct metrics_overlap all = {0, 0, 0};
    int32_t defined[MEASURES] = {0};
    for (int32_t i = 0; i < list->count; i++) {
        const struct score *s = &list->item[i];
        double m[MEASURES];
        measures_of(s, m);
        for (int k = 0; k < MEASURES; k++)
            if (isfinite(m[k])) {
                sum.mean[k] += m[k];
                defined[k]++;
            }
        all.truth += s->overlap.truth;
        all.predicted += s->overlap.predicted;
        all.both += s->overlap.both;
        sum.truth += (double)s->overlap.truth * s->voxel;
        sum.predicted += (double)s->overlap.predicted * s->voxel;
        sum.lesions.truth += s->lesions.truth;
        /* One case whose predicted lesions were not counted leaves the sum unknown. */
        if (s->lesions.predicted < 0 || sum.lesions.predicted < 0)
            sum.lesions.predicted = -1;
        else
            sum.lesions.predicted += s->lesions.predicted;
        for (int k = 0; k < METRICS_TAUS; k++) {
            sum.lesions.found[k] += s->lesions.found[k];
            sum.lesions.right[k] += s->lesions.right[k];
        }
    }
    for (int k = 0; k < MEASURES; k++)
        sum.mean[k] = defined[k] ? sum.mean[k] / defined[k] : NAN;
    sum.dice_global = metrics_dice(all);
    return sum;
}

static double share(int32_t part, int32_t of) {
    return of > 0 ? (double)part / of : NAN;
}

/** Recall and precision of the lesions; those by IoU only where predicted lesions were counted. */
static void lesion_rates(const struct metrics_lesions *l, double ret[4]) {
    ret[0] = share(l->found[METRICS_TOUCH], l->truth);
    ret[1] = share(l->right[METRICS_TOUCH], l->predicted);
    ret[2] = l->predicted < 0 ? NAN : share(l->found[METRICS_HALF], l->truth);
    ret[3] = share(l->right[METRICS_HALF], l->predicted);
}

static const char *const rate_name[4] = {"lesion_recall", "lesion_precision", "lesion_recall_iou50",
                                         "lesion_precision_iou50"};

/* ---- writing ---- */

static void json_member(struct text *t, const char *name, double v) {
    text_add(t, ", \"%s\": ", name);
    text_number(t, v, "null");
}

static void write_result(struct text *t, const struct evaluate_options *o,
                         const struct scores *list, const struct summary *sum) {
    double rate[4];
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
    for (int k = 2; k < 4; k++)
        json_member(t, rate_name[k], rate[k]);
    for (int k = VOE; k < MEASURES; k++)
        json_member(t, measure_name[k], sum->mean[k]);
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

static void write_csv(struct text *t, const struct scores *list) {
    text_add(t, "case,patient");
    for (int k = 0; k < MEASURES; k++)
        text_add(t, ",%s", measure_name[k]);
    text_add(t, ",volume_truth_ml,volume_predicted_ml,lesions,lesions_found,predicted_lesions,"
                "predicted_lesions_right,lesions_found_iou50,predicted_lesions_right_iou50\n");
    for (int32_t i = 0; i < list->count; i++) {
        const struct score *s = &list->item[i];
        double m[MEASURES];
        measures_of(s, m);
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
            text_add(t, ",,,\n");
        else
            text_add(t, "%d,%d,%d,%d\n", (int)s->lesions.predicted,
                     (int)s->lesions.right[METRICS_TOUCH], (int)s->lesions.found[METRICS_HALF],
                     (int)s->lesions.right[METRICS_HALF]);
    }
}

static void write_cases_json(struct text *t, const struct scores *list) {
    text_add(t, "[");
    for (int32_t i = 0; i < list->count; i++) {
        const struct score *s = &list->item[i];
        double m[MEASURES];
        measures_of(s, m);
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
        text_add(t, "}");
    }
    text_add(t, "\n]\n");
}

/** A cell: the value with so many digits, or a dash. */
static void cell(struct text *t, double v, int digits) {
    if (isfinite(v))
        text_add(t, "<td>%.*f</td>", digits, v);
    else
        text_add(t, "<td>-</td>");
}

static void table_row(struct text *t, const double m[MEASURES], double truth, double predicted,
                      const struct metrics_lesions *l) {
    cell(t, m[DICE], 3);
    cell(t, truth, 1);
    cell(t, predicted, 1);
    cell(t, m[VOE], 3);
    cell(t, m[RVD], 3);
    cell(t, m[ASSD], 2);
    cell(t, m[HD95], 2);
    text_add(t, "<td>%d / %d</td>", (int)l->found[METRICS_TOUCH], (int)l->truth);
    if (l->predicted < 0)
        text_add(t, "<td>-</td></tr>\n");
    else
        text_add(t, "<td>%d / %d</td></tr>\n", (int)l->right[METRICS_TOUCH], (int)l->predicted);
}

static void write_table(struct text *t, const struct evaluate_options *o, const struct scores *list,
                        const struct summary *sum) {
    text_add(t, "<p><b>");
    text_html(t, o->field);
    text_add(t, "</b> %s %.4g%s%s against <b>", list->below ? "below" : "from", list->threshold,
             list->unit[0] ? " " : "", list->unit);
    text_html(t, o->truth);
    text_add(t, "</b>, %d cases; global Dice %.3f.%s</p>\n", (int)list->count, sum->dice_global,
             list->tuned_on_truth
                 ? " The threshold was tuned on this very truth: an upper bound, not a method."
                 : "");
    text_add(t, "<div class=\"wide\"><table><thead><tr><th>case</th><th>Dice</th><th>truth ml</th>"
                "<th>predicted ml</th><th>VOE</th><th>RVD</th><th>ASSD mm</th><th>HD95 mm</th>"
                "<th>lesions found</th><th>predicted right</th></tr></thead>\n<tbody>\n");
    for (int32_t i = 0; i < list->count; i++) {
        const struct score *s = &list->item[i];
        double m[MEASURES];
        measures_of(s, m);
        text_add(t, "<tr><td>");
        text_html(t, s->case_id);
        text_add(t, "</td>");
        table_row(t, m, (double)s->overlap.truth * s->voxel,
                  (double)s->overlap.predicted * s->voxel, &s->lesions);
    }
    text_add(t, "</tbody>\n<tfoot><tr><th>mean or sum</th>");
    table_row(t, sum->mean, sum->truth, sum->predicted, &sum->lesions);
    text_add(t, "</tfoot></table></div>\n");
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
    struct summary sum = summarise(list);
    struct text result = {0}, csv = {0}, json = {0}, table = {0};
    char folder[4096], title[128];
    write_result(&result, o, list, &sum);
    write_csv(&csv, list);
    write_cases_json(&json, list);
    write_table(&table, o, list, &sum);
    (void)snprintf(title, sizeof title, "Scores: %s", o->as ? o->as : s->name);
    enum hf_status st = HF_OK;
    if (result.failed || csv.failed || json.failed || table.failed)
        st = hf_fail(e, HF_NO_MEMORY, "no memory to write the scores");
    if (st == HF_OK)
        st = s->host->folder(s, s->name, folder, sizeof folder, e);
    if (st == HF_OK)
        st = write_file(s, folder, "cases.csv", &csv, e);
    if (st == HF_OK)
        st = write_file(s, folder, "cases.json", &json, e);
    if (st == HF_OK)
        st = s->host->result(s, result.bytes, e);
    if (st == HF_OK)
        st = s->host->report(s, title, table.bytes, e);
    free(result.bytes);
    free(csv.bytes);
    free(json.bytes);
    free(table.bytes);
    return st;
}
