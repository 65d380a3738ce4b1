/*
 * curve.c - see curve.h.
 */
#include "curve.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "../text/text.h"

enum hf_status curve_add(struct curve *c, struct curve_point p, struct hf_error *e) {
    if (c->count == c->capacity) {
        int64_t capacity = c->capacity ? 2 * c->capacity : 256;
        struct curve_point *more = realloc(c->point, (size_t)capacity * sizeof *more);
        if (!more)
            return hf_fail(e, HF_NO_MEMORY, "no memory for the loss curve");
        c->point = more;
        c->capacity = capacity;
    }
    c->point[c->count++] = p;
    return HF_OK;
}

void curve_clear(struct curve *c) {
    free(c->point);
    *c = (struct curve){0};
}

char *curve_csv(const struct curve *c) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    fprintf(f, "step,loss,rate,validation\n");
    for (int64_t i = 0; i < c->count; i++) {
        const struct curve_point *p = &c->point[i];
        fprintf(f, "%lld,%.7g,%.7g,", (long long)p->step, p->loss, p->rate);
        if (isnan(p->validation))
            fprintf(f, "\n");
        else
            fprintf(f, "%.7g\n", p->validation);
    }
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* Steps averaged to one point: enough points to fill a wide picture, no more. */
static int64_t window_of(const struct curve *c) {
    return c->count / 400 + 1;
}

static void add_point(struct text *t, const char *comma, double step, double loss) {
    text_add(t, "%s[%.10g,", comma, step);
    text_number(t, loss, "null");
    text_add(t, "]");
}

static void add_training(struct text *t, const struct curve *c) {
    int64_t window = window_of(c);
    text_add(t, "{\"name\":\"training\",\"points\":[");
    for (int64_t i = 0; i < c->count; i += window) {
        double loss = 0;
        int64_t n = 0;
        for (; n < window && i + n < c->count; n++)
            loss += c->point[i + n].loss;
        add_point(t, i ? "," : "", (double)c->point[i + n / 2].step, loss / (double)n);
    }
    text_add(t, "]}");
}

static void add_validation(struct text *t, const struct curve *c) {
    bool any = false;
    for (int64_t i = 0; i < c->count; i++) {
        if (isnan(c->point[i].validation))
            continue;
        if (!any)
            text_add(t, ",{\"name\":\"validation\",\"marks\":true,\"points\":[");
        add_point(t, any ? "," : "", (double)c->point[i].step, c->point[i].validation);
        any = true;
    }
    text_add(t, "%s", any ? "]}" : "");
}

char *curve_json(const struct curve *c, int64_t kept) {
    struct text t = {0};
    text_add(&t, "{\"kind\":\"curves\",\"x\":\"step\",\"y\":\"loss\",\"series\":[");
    add_training(&t, c);
    add_validation(&t, c);
    text_add(&t, "],\"lines\":[{\"x\":%lld,\"name\":\"kept\"}]", (long long)kept);
    if (window_of(c) > 1)
        text_add(&t, ",\"note\":\"Each point of the training is the mean of %lld steps.\"",
                 (long long)window_of(c));
    text_add(&t, "}");
    if (t.failed) {
        free(t.bytes);
        return NULL;
    }
    return t.bytes;
}
