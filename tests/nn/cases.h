/*
 * cases.h - the recorded cases of reference/: networks with what PyTorch computed in float64.
 *
 *     reference_open(&file);
 *     while (reference_next(&file, &r)) { ...; reference_clear(&r); }
 *     reference_close(&file);
 *
 * A fault of the files fails the running test.
 */
#ifndef TESTS_NN_CASES_H
#define TESTS_NN_CASES_H

#include <stdio.h>

#include "../../engine/nn/net.h"

#define REFERENCE_STEPS 3

struct reference {
    char name[64];
    struct hf_net net;
    struct hf_exec_spec spec;
    int weighted;
    float rate;
    int64_t params, out[5];
    int losses;
    float *input, *target, *weight; /* weight: NULL if not weighted */
    float *before, *output;         /* parameters, and what the network makes with them */
    float *loss, *gradient, *after; /* of every step; of the first; parameters after all */
    float *average;                 /* of the parameters, after all; NULL without one */
};

struct reference_file {
    FILE *text, *data;
};

void reference_open(struct reference_file *f);
void reference_close(struct reference_file *f);
/* The next case; 0 at the end. */
int reference_next(struct reference_file *f, struct reference *r);
void reference_clear(struct reference *r);

#endif
