/**
 * canvas.c - the grid that `prepare` moves a case onto.
 */
#include "canvas.h"

#include "../geometry/geometry.h"

/* Along one axis, in voxels of the image: the box with its margin, and one output voxel. */
struct axis {
    int64_t low, high;
    double step;
    int64_t size; /* of the output */
};

static int has_voxel(const uint8_t *row, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (row[i])
            return 1;
    return 0;
}

int canvas_find(const uint8_t *mask, const int64_t size[3], struct canvas_box *ret) {
    struct canvas_box b = {{size[0], size[1], size[2]}, {-1, -1, -1}};
    for (int64_t d = 0; d < size[0]; d++)
        for (int64_t h = 0; h < size[1]; h++) {
            const uint8_t *row = mask + (d * size[1] + h) * size[2];
            if (!has_voxel(row, size[2]))
                continue;
            int64_t first = 0, last = size[2] - 1;
            while (!row[first])
                first++;
            while (!row[last])
                last--;
            const int64_t low[3] = {d, h, first}, high[3] = {d, h, last};
            for (int a = 0; a < 3; a++) {
                b.low[a] = low[a] < b.low[a] ? low[a] : b.low[a];
                b.high[a] = high[a] > b.high[a] ? high[a] : b.high[a];
            }
        }
    if (b.high[0] < 0)
        return 0;
    *ret = b;
    return 1;
}

static double axis_extent(const struct axis *a) {
    return (double)(a->high - a->low + 1) / a->step;
}

static int64_t round_up(double extent, int64_t multiple) {
    int64_t n = (int64_t)ceil(extent - 1e-6);
    n = n < 1 ? 1 : n;
    return multiple > 1 ? (n + multiple - 1) / multiple * multiple : n;
}

/** Input index of the first output voxel: the canvas is centred on the box. */
static double axis_start(const struct axis *a) {
    double start = 0.5 * (double)(a->low + a->high) - 0.5 * (double)(a->size - 1) * a->step;
    return a->step == 1 ? floor(start + 0.5) : start;
}

void canvas_plan(const struct hf_grid *from, const struct canvas_box *box,
                 const struct canvas_request *request, struct hf_grid *ret,
                 double ret_matrix[3][4]) {
    struct axis axis[3];
    double native[3], start[3], step[3];
    int64_t size[3];
    geometry_spacing(from, native);
    for (int i = 0; i < 3; i++) {
        struct axis *a = &axis[i];
        int64_t margin = (int64_t)ceil(request->margin / native[i] - 1e-6);
        a->low = box->low[i] - margin > 0 ? box->low[i] - margin : 0;
        a->high = box->high[i] + margin < from->size[i] ? box->high[i] + margin : from->size[i] - 1;
        a->step = request->spacing[i] > 0 ? request->spacing[i] / native[i] : 1;
        if (fabs(a->step - 1) < 1e-4)
            a->step = 1;
    }
    double coarser = 1;
    for (int i = 1; i < 3; i++)
        if (request->size[i - 1] > 0)
            coarser = fmax(coarser, axis_extent(&axis[i]) / (double)request->size[i - 1]);
    for (int i = 0; i < 3; i++) {
        struct axis *a = &axis[i];
        a->step *= i > 0 ? coarser : 1;
        a->size = i > 0 && request->size[i - 1] > 0
                      ? request->size[i - 1]
                      : round_up(axis_extent(a), i > 0 ? request->multiple : 1);
    }
    for (int i = 0; i < 3; i++) {
        size[i] = axis[i].size;
        step[i] = axis[2 - i].step;
        start[i] = axis_start(&axis[2 - i]);
    }
    geometry_regrid(from, start, step, size, ret);
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 4; c++)
            ret_matrix[r][c] = c == 3 ? start[r] : r == c ? step[r] : 0;
}
