/**
 * ellipsoid_options.c - the options of the method `ellipsoid`, checked, and as its op takes them.
 */
#include "ellipsoid_options.h"

static const char *const ellipsoid_types[GROWN_TYPES] = {"tiny", "small", "medium", "large", "mix"};

enum hf_status ellipsoid_check(const struct ellipsoid_options *o, struct hf_error *e) {
    const struct named_range ranges[] = {{"tiny_count", &o->count[0]},
                                         {"small_count", &o->count[1]},
                                         {"medium_count", &o->count[2]},
                                         {"large_count", &o->count[3]},
                                         {"tiny_radius", &o->radius[0]},
                                         {"small_radius", &o->radius[1]},
                                         {"medium_radius", &o->radius[2]},
                                         {"large_radius", &o->radius[3]},
                                         {"tiny_shift", &o->shift[0]},
                                         {"small_shift", &o->shift[1]},
                                         {"medium_shift", &o->shift[2]},
                                         {"large_shift", &o->shift[3]},
                                         {"extent", &o->extent},
                                         {"cloud_low", &o->cloud_low},
                                         {"cloud_span", &o->cloud_span},
                                         {"cloud_mean", &o->cloud_mean},
                                         {"hypodense_peak", &o->hypodense_peak},
                                         {"hyperdense_peak", &o->hyperdense_peak},
                                         {"rim_width", &o->rim_width},
                                         {"rim_contrast", &o->rim_contrast}};
    double sum = 0;
    for (int32_t i = 0; i < o->types.count; i++) {
        if (!o->types.name[i])
            return hf_fail(e, HF_INVALID, "option 'types' needs names, as in {tiny: 1, large: 2}");
        sum += o->types.value[i];
    }
    if (!(sum > 0))
        return hf_fail(e, HF_INVALID, "option 'types' needs a share above 0");
    for (int k = 0; k < GROWN_SIZES; k++)
        if (!(o->mix_counts.value[2 * k] <= o->mix_counts.value[2 * k + 1]))
            return hf_fail(e, HF_INVALID,
                           "option 'mix_counts' holds a range for each of %s, %s, %s and %s: the "
                           "%s's first number must not exceed the second",
                           ellipsoid_types[0], ellipsoid_types[1], ellipsoid_types[2],
                           ellipsoid_types[3], ellipsoid_types[k]);
    return ranges_check(ranges, sizeof ranges / sizeof *ranges, e);
}

static struct range range_at(const struct hf_reals *r, int k) {
    struct range range = {(float)r->value[2 * k], (float)r->value[2 * k + 1]};
    return range;
}

void ellipsoid_fill(const struct ellipsoid_options *o, double spacing_d,
                    struct ellipsoid_params *p) {
    double sum = 0;
    p->dims = (int32_t)o->dims;
    p->hide = o->hide == HIDE_OF_SLICE || (o->hide == HIDE_AUTO && o->dims == 2) ? HIDE_SLICE
                                                                                 : HIDE_VOLUME;
    p->soft = o->mask;
    p->spacing_d = (float)spacing_d;
    for (int32_t i = 0; i < o->types.count; i++)
        sum += o->types.value[i];
    for (int32_t i = 0; i < o->types.count; i++)
        for (int k = 0; k < GROWN_TYPES; k++)
            if (strcmp(o->types.name[i], ellipsoid_types[k]) == 0)
                p->type[k] += (float)(o->types.value[i] / sum);
    for (int k = 0; k < GROWN_SIZES; k++) {
        p->count[k] = range_of(&o->count[k]);
        p->mix[k] = range_at(&o->mix_counts, k);
        p->radius[k] = range_of(&o->radius[k]);
        p->shift[k] = range_of(&o->shift[k]);
    }
    p->extent = range_of(&o->extent);
    p->inset = (float)o->inset;
    p->coarse_grains = o->coarse_grain.count;
    for (int32_t i = 0; i < p->coarse_grains; i++)
        p->coarse_grain[i] = (float)o->coarse_grain.value[i];
    p->fine_grains = o->fine_grain.count;
    for (int32_t i = 0; i < p->fine_grains; i++)
        p->fine_grain[i] = (float)o->fine_grain.value[i];
    p->cloud_low = range_of(&o->cloud_low);
    p->cloud_span = range_of(&o->cloud_span);
    p->cloud_mean = range_of(&o->cloud_mean);
    p->hypodense_peak = range_of(&o->hypodense_peak);
    p->hyperdense_peak = range_of(&o->hyperdense_peak);
    p->rim = (float)o->rim;
    p->rim_width = range_of(&o->rim_width);
    p->rim_contrast = range_of(&o->rim_contrast);
}
