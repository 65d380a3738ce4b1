/**
 * spot.c - the stage `spot`: a trained network's probability that a voxel belongs to a
 * tumor, from the image and its inpainted counterpart.
 */
#include "../infer/apply.h"

APPLY_PLUGIN("spot", "score",
             "Finds what differs between the image and its inpainted counterpart as a tumor would.",
             INFER_ADAPT_TABLE(offsetof(struct apply_options, adapt)), );
