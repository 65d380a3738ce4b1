/**
 * kern_table.c - the table of one instruction set.
 */
#include "kern_isa.h"

#define STRING2(a) #a
#define STRING(a)  STRING2(a)

const struct kn_table KN(kn_table) = {
    .name = STRING(KN_ISA),
    .norm_forward = KN(kn_norm_forward),
    .norm_backward = KN(kn_norm_backward),
    .act_forward = KN(kn_act_forward),
    .act_backward = KN(kn_act_backward),
    .gate_forward = KN(kn_gate_forward),
    .gate_backward = KN(kn_gate_backward),
    .copy = KN(kn_copy),
    .add = KN(kn_add),
    .pool_forward = KN(kn_pool_forward),
    .pool_backward = KN(kn_pool_backward),
    .up_forward = KN(kn_up_forward),
    .up_backward = KN(kn_up_backward),
    .taps_to_voxels = KN(kn_taps_to_voxels),
    .voxels_to_taps = KN(kn_voxels_to_taps),
    .reflect_forward = KN(kn_reflect_forward),
    .reflect_backward = KN(kn_reflect_backward),
    .mask = KN(kn_mask),
    .window = KN(kn_window),
    .scale = KN(kn_scale),
    .scale_backward = KN(kn_scale_backward),
    .scale_bias = KN(kn_scale_bias),
    .to_last = KN(kn_to_last),
    .to_first = KN(kn_to_first),
    .loss = KN(kn_loss),
    .shrink = KN(kn_shrink),
    .update = KN(kn_update),
};
