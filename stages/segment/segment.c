/**
 * segment.c - the stage `segment`: a trained segmenter's probability that a voxel belongs to
 * a tumor.
 */
#include "../infer/apply.h"

APPLY_PLUGIN("segment", "predicted", "Runs a trained segmenter over a volume.", );
