/**
 * nearest.c - see nearest.h.
 */
#include "nearest.h"

#include <string.h>

/* ---- what there is ---- */

/* Steps to what is known, through the hole, into `inside`. `queue` has room for all pixels, and
 * each comes into it once: none that has been there looks unvisited, however far it lies. */
static void find_depths(struct level *l, int32_t *queue) {
    int32_t n = l->to.h * l->to.w, end = 0;
    for (int32_t i = 0; i < n; i++) {
        l->inside[i] = l->to.pixel[i] == PIXEL_HOLE ? NOT_REACHED : 0;
        if (l->to.pixel[i] == PIXEL_KNOWN)
            queue[end++] = i;
    }
    for (int32_t at = 0; at < end; at++) {
        static const int32_t beside[4][2] = {{0, 1}, {0, -1}, {1, 0}, {-1, 0}};
        int32_t i = queue[at], y = i / l->to.w, x = i % l->to.w;
        for (int k = 0; k < 4; k++) {
            int32_t y2 = y + beside[k][0], x2 = x + beside[k][1], j = y2 * l->to.w + x2;
            if (y2 < 0 || x2 < 0 || y2 >= l->to.h || x2 >= l->to.w || l->inside[j] != NOT_REACHED)
                continue;
            l->inside[j] = (uint16_t)(l->inside[i] + (l->inside[i] < FARTHEST));
            queue[end++] = j;
        }
    }
}

/* Tissue in the patch around a pixel of `to`; negative where none of it is hole. */
static int32_t count_tissue(const struct level *l, int32_t y, int32_t x) {
    int32_t tissue = 0, hole = 0, r = l->p->radius;
    for (int32_t y2 = y - r; y2 <= y + r; y2++)
        for (int32_t x2 = x - r; x2 <= x + r; x2++) {
            if (y2 < 0 || x2 < 0 || y2 >= l->to.h || x2 >= l->to.w)
                continue;
            tissue += l->to.pixel[y2 * l->to.w + x2] != PIXEL_OUTSIDE;
            hole += l->to.pixel[y2 * l->to.w + x2] == PIXEL_HOLE;
        }
    return hole > 0 ? tissue : -tissue;
}

void level_survey(struct level *l) {
    l->spots = l->centres = 0;
    find_depths(l, l->centre);
    for (int32_t i = 0; i < l->from.h * l->from.w; i++) {
        l->source[i] = (uint8_t)is_source(&l->from, l->p->radius, i / l->from.w, i % l->from.w);
        if (l->source[i])
            l->spot[l->spots++] = i;
    }
    for (int32_t i = 0; i < l->to.h * l->to.w; i++) {
        int32_t tissue =
            l->to.pixel[i] == PIXEL_OUTSIDE ? 0 : count_tissue(l, i / l->to.w, i % l->to.w);
        l->is_centre[i] = tissue > 0;
        if (tissue <= 0)
            continue;
        l->pixels[i] = (uint8_t)tissue;
        l->centre[l->centres++] = i;
    }
}

/* ---- the search ---- */

/* Four uniform numbers for a pixel: `round` 0 begins, others search. */
static void draw(const struct level *l, int32_t round, int32_t sweep, int32_t step, int32_t pixel,
                 float ret[4]) {
    uint32_t plane =
        (uint32_t)l->number << 24 | (uint32_t)round << 16 | (uint32_t)sweep << 8 | (uint32_t)step;
    shapes_noise(&l->p->rng, plane, (uint32_t)pixel, ret);
}

void nearest_begin(struct level *l, const struct level *coarser) {
    for (int32_t k = 0; k < l->centres; k++) {
        int32_t i = l->centre[k], y = i / l->to.w, x = i % l->to.w;
        float f[4];
        l->distance[i] = 0;
        if (coarser) {
            int32_t c = y / 2 * coarser->to.w + x / 2;
            int32_t found = coarser->is_centre[c] ? coarser->nearest[c] : -1;
            int32_t v = found / coarser->from.w * 2 + y % 2,
                    u = found % coarser->from.w * 2 + x % 2;
            if (found >= 0 && v < l->from.h && u < l->from.w && l->source[v * l->from.w + u]) {
                l->nearest[i] = v * l->from.w + u;
                continue;
            }
        }
        draw(l, 0, 0, 0, i, f);
        l->nearest[i] = l->spot[(int32_t)(f[0] * (float)l->spots)];
    }
}

/* Takes a source if it is nearer. */
static void try_source(struct level *l, int32_t i, int32_t v, int32_t u) {
    if (v < 0 || u < 0 || v >= l->from.h || u >= l->from.w || !l->source[v * l->from.w + u] ||
        v * l->from.w + u == l->nearest[i])
        return;
    float d = patch_distance(&l->to, i / l->to.w, i % l->to.w, &l->from, v, u, l->p->radius,
                             l->pixels[i], l->distance[i]);
    if (d < l->distance[i]) {
        l->distance[i] = d;
        l->nearest[i] = v * l->from.w + u;
    }
}

/* What the neighbours before it in the sweep found, moved along. */
static void hand_on(struct level *l, int32_t i, int32_t back) {
    int32_t y = i / l->to.w, x = i % l->to.w;
    if (x - back >= 0 && x - back < l->to.w && l->is_centre[i - back]) {
        int32_t near = l->nearest[i - back];
        try_source(l, i, near / l->from.w, near % l->from.w + back);
    }
    if (y - back >= 0 && y - back < l->to.h && l->is_centre[i - back * l->to.w]) {
        int32_t near = l->nearest[i - back * l->to.w];
        try_source(l, i, near / l->from.w + back, near % l->from.w);
    }
}

static void look_around(struct level *l, int32_t i, int32_t round, int32_t sweep) {
    int32_t reach = l->from.h > l->from.w ? l->from.h : l->from.w;
    float f[4];
    for (int32_t step = 0; reach >= 1; step++, reach /= 2) {
        int32_t near = l->nearest[i], two = step % 2 * 2;
        if (two == 0)
            draw(l, round, sweep, step / 2, i, f);
        float span = (float)(2 * reach + 1);
        try_source(l, i, near / l->from.w + (int32_t)(f[two] * span) - reach,
                   near % l->from.w + (int32_t)(f[two + 1] * span) - reach);
    }
}

void nearest_search(struct level *l, int32_t round) {
    for (int32_t k = 0; k < l->centres; k++) {
        int32_t i = l->centre[k], near = l->nearest[i];
        l->distance[i] =
            patch_distance(&l->to, i / l->to.w, i % l->to.w, &l->from, near / l->from.w,
                           near % l->from.w, l->p->radius, l->pixels[i], INFINITY);
    }
    for (int32_t sweep = 0; sweep < l->p->sweeps; sweep++)
        for (int32_t k = 0; k < l->centres; k++) {
            int32_t i = l->centre[sweep % 2 ? l->centres - 1 - k : k];
            hand_on(l, i, sweep % 2 ? -1 : 1);
            look_around(l, i, round, sweep);
        }
}

/* ---- the vote ---- */

void nearest_vote(struct level *l) {
    int32_t r = l->p->radius;
    double spread = 0;
    for (int32_t k = 0; k < l->centres; k++)
        spread += (double)l->distance[l->centre[k]];
    spread = l->centres > 0 ? spread / l->centres : 0;
    for (int32_t k = 0; k < l->centres; k++) {
        int32_t i = l->centre[k], y = i / l->to.w, x = i % l->to.w;
        float sum = 0, weights = 0;
        if (l->to.pixel[i] != PIXEL_HOLE)
            continue;
        for (int32_t dy = -r; dy <= r; dy++)
            for (int32_t dx = -r; dx <= r; dx++) {
                int32_t c = i + dy * l->to.w + dx;
                if (y + dy < 0 || y + dy >= l->to.h || x + dx < 0 || x + dx >= l->to.w ||
                    !l->is_centre[c])
                    continue;
                float weight = vote_weight(l->distance[c], (float)spread, l->inside[c]);
                sum += weight * l->from.value[l->nearest[c] - dy * l->from.w - dx];
                weights += weight;
            }
        /* Where all of them are far worse than most: the pixel's own patch alone. */
        l->to_value[i] = weights > 0 ? sum / weights : l->from.value[l->nearest[i]];
    }
}
