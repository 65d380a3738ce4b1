/**
 * multigrid.c - see multigrid.h.
 */
#include "multigrid.h"

#include <math.h>
#include <string.h>

/* Steps between piecewise constant levels fall short by about half. */
#define OVERCORRECTION  1.7
#define COARSEST_NODES  12
#define COARSEST_SWEEPS 12
#define LEVEL_SHARE     1.6 /* nodes of all levels over those of level 0, at most */

/* ---- memory ---- */

static size_t level_bytes(int64_t nodes) {
    return 8 * piece_bytes((size_t)nodes * sizeof(int32_t)) +
           3 * piece_bytes((size_t)nodes * sizeof(float)) +
           3 * piece_bytes((size_t)nodes * sizeof(double));
}

size_t grid_bytes(int64_t nodes, int64_t voxels) {
    return piece_bytes((size_t)(LEVEL_SHARE * (double)level_bytes(nodes))) +
           4 * piece_bytes((size_t)nodes * sizeof(double)) +
           piece_bytes((size_t)voxels * sizeof(int32_t));
}

static void take_level(struct grid_problem *g, struct grid_level *l, int32_t nodes) {
    size_t n = (size_t)nodes;
    l->nodes = nodes;
    l->at = piece(&g->room, n * sizeof(int32_t));
    l->parent = piece(&g->room, n * sizeof(int32_t));
    for (int a = 0; a < 3; a++) {
        l->next[a] = piece(&g->room, n * sizeof(int32_t));
        l->previous[a] = piece(&g->room, n * sizeof(int32_t));
        l->weight[a] = piece(&g->room, n * sizeof(float));
    }
    l->diagonal = piece(&g->room, n * sizeof(double));
    l->right = piece(&g->room, n * sizeof(double));
    l->value = piece(&g->room, n * sizeof(double));
}

void grid_begin(struct grid_problem *g, void *memory, int32_t nodes, const int32_t size[3]) {
    size_t vector = (size_t)nodes * sizeof(double);
    size_t voxels = (size_t)size[0] * (size_t)size[1] * (size_t)size[2];
    *g = (struct grid_problem){.levels = 1, .room = {memory, 0}};
    g->room_bytes = grid_bytes(nodes, (int64_t)voxels);
    g->map = piece(&g->room, voxels * sizeof(int32_t));
    g->x = piece(&g->room, vector);
    g->right = piece(&g->room, vector);
    g->search = piece(&g->room, vector);
    g->image = piece(&g->room, vector);
    memcpy(g->level[0].size, size, sizeof g->level[0].size);
    take_level(g, &g->level[0], nodes);
}

/* ---- coarser levels ---- */

/* Numbers the boxes of `fine` that have a node, in scan order, into fine->parent; how many. */
static int32_t number_boxes(struct grid_problem *g, struct grid_level *fine, const int by[3],
                            const int32_t size[3]) {
    int32_t count = 0;
    int64_t boxes = (int64_t)size[0] * size[1] * size[2];
    for (int64_t i = 0; i < boxes; i++)
        g->map[i] = -1;
    for (int32_t i = 0; i < fine->nodes; i++) {
        int32_t at = fine->at[i], w = at % fine->size[2], h = at / fine->size[2] % fine->size[1];
        int32_t d = at / fine->size[2] / fine->size[1];
        int32_t box = ((d / by[0]) * size[1] + h / by[1]) * size[2] + w / by[2];
        if (g->map[box] < 0)
            g->map[box] = count++;
        fine->parent[i] = g->map[box];
    }
    return count;
}

/* The coarse level: edges within a box vanish, those between two boxes add up. */
static void add_up(const struct grid_level *fine, const int by[3], struct grid_level *coarse) {
    memset(coarse->diagonal, 0, (size_t)coarse->nodes * sizeof(double));
    for (int a = 0; a < 3; a++) {
        memset(coarse->weight[a], 0, (size_t)coarse->nodes * sizeof(float));
        memset(coarse->next[a], 0xFF, (size_t)coarse->nodes * sizeof(int32_t));
        memset(coarse->previous[a], 0xFF, (size_t)coarse->nodes * sizeof(int32_t));
    }
    for (int32_t i = 0; i < fine->nodes; i++) {
        int32_t up = fine->parent[i], at = fine->at[i];
        int32_t w = at % fine->size[2], h = at / fine->size[2] % fine->size[1];
        int32_t d = at / fine->size[2] / fine->size[1];
        coarse->at[up] = ((d / by[0]) * coarse->size[1] + h / by[1]) * coarse->size[2] + w / by[2];
        coarse->diagonal[up] += fine->diagonal[i];
        for (int a = 0; a < 3; a++) {
            int32_t j = fine->next[a][i];
            if (j < 0)
                continue;
            int32_t other = fine->parent[j];
            if (other == up) {
                coarse->diagonal[up] -= 2 * (double)fine->weight[a][i];
                continue;
            }
            coarse->next[a][up] = other;
            coarse->previous[a][other] = up;
            coarse->weight[a][up] += fine->weight[a][i];
        }
    }
}

void grid_coarsen(struct grid_problem *g, const float spacing[3]) {
    float mm[3] = {spacing[0], spacing[1], spacing[2]};
    while (g->levels < GRID_LEVELS) {
        struct grid_level *fine = &g->level[g->levels - 1], *coarse = fine + 1;
        int by[3];
        float least = INFINITY;
        for (int a = 0; a < 3; a++)
            least = fine->size[a] > 1 && mm[a] < least ? mm[a] : least;
        for (int a = 0; a < 3; a++) {
            /* Voxels that lie far apart along an axis hardly pull at one another. */
            by[a] = fine->size[a] > 1 && mm[a] < 1.6f * least ? 2 : 1;
            coarse->size[a] = (fine->size[a] + by[a] - 1) / by[a];
            mm[a] *= (float)by[a];
        }
        if (fine->nodes <= COARSEST_NODES)
            return;
        int32_t nodes = number_boxes(g, fine, by, coarse->size);
        if (nodes > (int64_t)fine->nodes * 3 / 4 ||
            level_bytes(nodes) > g->room_bytes - g->room.used)
            return;
        take_level(g, coarse, nodes);
        add_up(fine, by, coarse);
        g->levels++;
    }
}

/* ---- one level ---- */

/* What the neighbours' values pull at a node with. */
static inline double pull(const struct grid_level *l, const double *value, int32_t i) {
    double sum = 0;
    for (int a = 0; a < 3; a++) {
        int32_t up = l->next[a][i], down = l->previous[a][i];
        if (up >= 0)
            sum += (double)l->weight[a][i] * value[up];
        if (down >= 0)
            sum += (double)l->weight[a][down] * value[down];
    }
    return sum;
}

static void sweep_up(const struct grid_level *l) {
    for (int32_t i = 0; i < l->nodes; i++)
        l->value[i] = (l->right[i] + pull(l, l->value, i)) / l->diagonal[i];
}

static void sweep_down(const struct grid_level *l) {
    for (int32_t i = l->nodes - 1; i >= 0; i--)
        l->value[i] = (l->right[i] + pull(l, l->value, i)) / l->diagonal[i];
}

/* A V-cycle from value 0; symmetric, as conjugate gradients ask for. */
static void cycle(struct grid_problem *g, int32_t at) {
    struct grid_level *l = &g->level[at], *coarse = l + 1;
    memset(l->value, 0, (size_t)l->nodes * sizeof(double));
    if (at + 1 == g->levels) {
        for (int k = 0; k < COARSEST_SWEEPS; k++) {
            sweep_up(l);
            sweep_down(l);
        }
        return;
    }
    sweep_up(l);
    memset(coarse->right, 0, (size_t)coarse->nodes * sizeof(double));
    for (int32_t i = 0; i < l->nodes; i++)
        coarse->right[l->parent[i]] +=
            l->right[i] + pull(l, l->value, i) - l->diagonal[i] * l->value[i];
    cycle(g, at + 1);
    for (int32_t i = 0; i < l->nodes; i++)
        l->value[i] += OVERCORRECTION * coarse->value[l->parent[i]];
    sweep_down(l);
}

/* ---- the solution ---- */

static double dot(const double *a, const double *b, int32_t n) {
    double sum = 0;
    for (int32_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static double largest(const double *a, int32_t n) {
    double most = 0;
    for (int32_t i = 0; i < n; i++)
        most = fabs(a[i]) <= most ? most : fabs(a[i]);
    return most;
}

int grid_solve(struct grid_problem *g, double tolerance, int32_t most_rounds) {
    struct grid_level *l = &g->level[0];
    int32_t n = l->nodes;
    double *residual = l->right, *z = l->value, energy = 0;
    for (int32_t i = 0; i < n; i++)
        residual[i] = g->right[i] + pull(l, g->x, i) - l->diagonal[i] * g->x[i];
    memset(g->search, 0, (size_t)n * sizeof(double));
    for (g->rounds = 0; g->rounds < most_rounds; g->rounds++) {
        cycle(g, 0);
        double now = dot(residual, z, n), again = energy > 0 ? now / energy : 0;
        g->change = largest(z, n);
        if (!isfinite(now))
            return 0;
        if (g->change <= tolerance)
            return 1;
        energy = now;
        for (int32_t i = 0; i < n; i++)
            g->search[i] = z[i] + again * g->search[i];
        for (int32_t i = 0; i < n; i++)
            g->image[i] = l->diagonal[i] * g->search[i] - pull(l, g->search, i);
        double step = now / dot(g->search, g->image, n);
        for (int32_t i = 0; i < n; i++) {
            g->x[i] += step * g->search[i];
            residual[i] -= step * g->image[i];
        }
    }
    return 0;
}
