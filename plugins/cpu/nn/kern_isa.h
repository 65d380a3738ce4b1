/**
 * kern_isa.h - names of the functions that one instruction set's objects define.
 *
 * The build compiles each kern_*.c with -DKN_ISA=scalar, avx2 and avx512.
 */
#ifndef HEPAFLOW_CPU_KERN_ISA_H
#define HEPAFLOW_CPU_KERN_ISA_H

#include "kern.h"

#ifndef KN_ISA
#define KN_ISA scalar
#endif
#define KN_PASTE2(a, b) a##_##b
#define KN_PASTE(a, b)  KN_PASTE2(a, b)
#define KN(name)        KN_PASTE(name, KN_ISA)

void KN(kn_norm_forward)(const struct kn_norm *a);
void KN(kn_norm_backward)(const struct kn_norm *a);
void KN(kn_act_forward)(const struct kn_point *a);
void KN(kn_act_backward)(const struct kn_point *a);
void KN(kn_gate_forward)(const struct kn_point *a);
void KN(kn_gate_backward)(const struct kn_point *a);
void KN(kn_copy)(const struct kn_point *a);
void KN(kn_add)(const struct kn_point *a);
void KN(kn_pool_forward)(const struct kn_space *a);
void KN(kn_pool_backward)(const struct kn_space *a);
void KN(kn_up_forward)(const struct kn_space *a);
void KN(kn_up_backward)(const struct kn_space *a);
void KN(kn_taps_to_voxels)(const struct kn_space *a);
void KN(kn_voxels_to_taps)(const struct kn_space *a);
void KN(kn_reflect_forward)(const struct kn_space *a);
void KN(kn_reflect_backward)(const struct kn_space *a);
void KN(kn_mask)(const struct kn_point *a);
void KN(kn_window)(const struct kn_space *a);
void KN(kn_scale)(const struct kn_point *a);
void KN(kn_scale_backward)(const struct kn_point *a);
void KN(kn_scale_bias)(const struct kn_point *a);
void KN(kn_to_last)(const struct kn_layout *a);
void KN(kn_to_first)(const struct kn_layout *a);
void KN(kn_loss)(const struct kn_loss *a);
void KN(kn_shrink)(const struct kn_shrink *a);
void KN(kn_update)(const struct kn_update *a);

extern const struct kn_table KN(kn_table);

#endif
