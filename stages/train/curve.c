/*
 * curve.c - see curve.h.
 */
#include "curve.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* The plot's area inside the picture. */
enum {
    WIDTH = 640,
    HEIGHT = 220,
    LEFT = 56,
    RIGHT = 12,
    TOP = 12,
    BOTTOM = 32
};

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

struct axes {
    double low, high; /* of the loss */
    int64_t steps;
};

static double plot_x(const struct axes *a, double step) {
    return LEFT + (WIDTH - LEFT - RIGHT) * step / (double)(a->steps > 1 ? a->steps : 1);
}

static double plot_y(const struct axes *a, double loss) {
    return TOP + (HEIGHT - TOP - BOTTOM) * (a->high - loss) / (a->high - a->low);
}

/* Steps averaged to one point of the curve: enough points to fill the picture, no more. */
static int64_t window_of(const struct curve *c) {
    return c->count / 160 + 1;
}

static double mean_loss(const struct curve *c, int64_t from, int64_t n, int64_t *ret_n) {
    double sum = 0;
    int64_t i = from;
    for (; i < c->count && i < from + n; i++)
        sum += c->point[i].loss;
    *ret_n = i - from;
    return sum / (double)*ret_n;
}

static struct axes find_axes(const struct curve *c) {
    struct axes a = {INFINITY, -INFINITY, c->point[c->count - 1].step};
    int64_t window = window_of(c), n;
    for (int64_t i = 0; i < c->count; i += window) {
        double loss = mean_loss(c, i, window, &n);
        a.low = fmin(a.low, loss);
        a.high = fmax(a.high, loss);
    }
    for (int64_t i = 0; i < c->count; i++) {
        if (!isnan(c->point[i].validation)) {
            a.low = fmin(a.low, c->point[i].validation);
            a.high = fmax(a.high, c->point[i].validation);
        }
    }
    /* So much that the numbers beside the axis differ, also where the loss hardly does. */
    double level = fmax(fabs(a.low), fabs(a.high));
    double room = fmax(0.05 * (a.high - a.low), 0.005 * level) + 1e-9;
    a.low -= room;
    a.high += room;
    return a;
}

/* Whole steps between the numbers below the curve: 1, 2 or 5 with zeros, at most six numbers. */
static int64_t tick_distance(int64_t steps) {
    int64_t ten = 1;
    while (steps / ten >= 50)
        ten *= 10;
    return steps / ten <= 5    ? ten
           : steps / ten <= 10 ? 2 * ten
           : steps / ten < 30  ? 5 * ten
                               : 10 * ten;
}

static void print_axes(FILE *f, const struct axes *a) {
    fprintf(f,
            "<svg viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" "
            "font-family=\"sans-serif\" font-size=\"11\" fill=\"#555\">",
            WIDTH, HEIGHT, WIDTH, HEIGHT);
    for (int i = 0; i <= 4; i++) {
        double loss = a->low + (a->high - a->low) * i / 4, y = plot_y(a, loss);
        fprintf(f,
                "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#ddd\"/>"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>",
                LEFT, y, WIDTH - RIGHT, y, LEFT - 6, y + 4, loss);
    }
    int64_t apart = tick_distance(a->steps);
    for (int64_t step = 0; step <= a->steps; step += apart)
        fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%lld</text>",
                plot_x(a, (double)step), HEIGHT - 14, (long long)step);
    fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">steps</text>", WIDTH - RIGHT,
            HEIGHT - 2);
}

char *curve_svg(const struct curve *c) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = c->count ? open_memstream(&text, &size) : NULL;
    if (!f)
        return NULL;
    struct axes a = find_axes(c);
    print_axes(f, &a);
    fprintf(f, "<polyline fill=\"none\" stroke=\"#1f6fb4\" stroke-width=\"1.5\" points=\"");
    int64_t window = window_of(c), n;
    for (int64_t i = 0; i < c->count; i += window) {
        double loss = mean_loss(c, i, window, &n);
        fprintf(f, "%.1f,%.1f ", plot_x(&a, (double)c->point[i + n / 2].step), plot_y(&a, loss));
    }
    fprintf(f, "\"/>");
    if (c->count == 1) /* no line to see */
        fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2\" fill=\"#1f6fb4\"/>",
                plot_x(&a, (double)c->point[0].step), plot_y(&a, c->point[0].loss));
    bool validated = false;
    for (int64_t i = 0; i < c->count; i++) {
        validated = validated || !isnan(c->point[i].validation);
        if (!isnan(c->point[i].validation))
            fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"#d2691e\"/>",
                    plot_x(&a, (double)c->point[i].step), plot_y(&a, c->point[i].validation));
    }
    fprintf(f, "</svg><p><span style=\"color:#1f6fb4\">&#9473; training loss</span>%s</p>",
            validated ? " <span style=\"color:#d2691e\">&#9679; validation loss</span>" : "");
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
