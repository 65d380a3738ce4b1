/**
 * turns.h - how many turns the parts of a slice are filled in: what `parts` writes and `inpaint`
 * reads.
 */
#ifndef HF_STAGES_PARTS_TURNS_H
#define HF_STAGES_PARTS_TURNS_H

/** Parts that touch have different turns. On a plane four are enough; to find four is hard, and
 * with eight the first that is free hardly ever is missing. */
#define PARTS_TURNS 8

#endif
