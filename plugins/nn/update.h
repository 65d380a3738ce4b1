/**
 * update.h - the optimisers' arithmetic on one parameter, and which parameters are updated.
 *
 * Compiles for the host and under nvcc, as elem.h does.
 */
#ifndef HEPAFLOW_NN_UPDATE_H
#define HEPAFLOW_NN_UPDATE_H

#include <math.h>

#include <hepaflow/network.h>

#ifndef HF_DEVICE
#define HF_DEVICE
#endif

/** Parameters of a flat vector that are updated. */
struct up_range {
    int64_t first, count;
};

/** Steps done: since the optimiser's start, and since the average's. */
struct up_done {
    int64_t steps, averaged;
};

/** What a step multiplies with. */
struct up_factors {
    float clip;   /* gradients */
    float rate;   /* the update; of Adam, corrected for its mean's start */
    float root;   /* Adam: the root of the variance, corrected likewise */
    float decay;  /* parameters, added to the gradient */
    float shrink; /* parameters, taken off them */
    float blend;  /* parameters, into their average */
};

/** The factors of the last of the steps `done`, for a gradient of that norm (without a clip: any).
 */
HF_DEVICE static inline struct up_factors up_factors_of(const struct hf_optimizer *o, double norm,
                                                        const struct up_done *done, float rate) {
    double step = (double)done->steps;
    double early = 9.0 / (10.0 + (double)done->averaged); /* 1 - (1 + n) / (10 + n) */
    struct up_factors f = {1.0f, rate, 1.0f, o->weight_decay, 0.0f, 1.0f - o->average};
    if (early > (double)f.blend)
        f.blend = (float)early;
    double limit = (double)o->clip / (norm + 1e-6);
    if (o->clip > 0 && limit < 1.0)
        f.clip = (float)limit;
    if (o->kind == HF_OPT_SGD)
        return f;
    f.rate = (float)((double)rate / (1.0 - pow((double)o->beta1, step)));
    f.root = (float)(1.0 / sqrt(1.0 - pow((double)o->beta2, step)));
    if (o->kind == HF_OPT_ADAMW) {
        f.decay = 0.0f;
        f.shrink = rate * o->weight_decay;
    }
    return f;
}

/** Adam or AdamW: the new parameter; m and v are updated in place. */
HF_DEVICE static inline float up_adam(const struct hf_optimizer *o, const struct up_factors *f,
                                      float p, float grad, float *m, float *v) {
    float g = grad * f->clip + f->decay * p;
    *m = o->beta1 * *m + (1.0f - o->beta1) * g;
    *v = o->beta2 * *v + (1.0f - o->beta2) * g * g;
    return p - f->shrink * p - f->rate * *m / (sqrtf(*v) * f->root + o->epsilon);
}

HF_DEVICE static inline float up_sgd(const struct hf_optimizer *o, const struct up_factors *f,
                                     float p, float grad, float *m) {
    float g = grad * f->clip + f->decay * p;
    *m = o->momentum * *m + g;
    return p - f->rate * (o->nesterov ? g + o->momentum * *m : *m);
}

/** The average, which a parameter that stays does not change. */
HF_DEVICE static inline float up_average(const struct up_factors *f, float average, float p) {
    return average + f->blend * (p - average);
}

#endif
