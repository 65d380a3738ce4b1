/**
 * window.h - the field `window`: the HU that became 0 and 1 in prepare's image.
 */
#ifndef HF_STAGES_WINDOW_H
#define HF_STAGES_WINDOW_H

#include <hepaflow/plugin.h>

/** On the host, rising. */
static inline enum hf_status window_read(const struct hf_stage *s, const struct hf_sample *in,
                                         float ret_hu[2], struct hf_error *e) {
    struct hf_tensor *window = NULL;
    enum hf_status st = hf_tensor_read(s, hf_sample_get(in, "window"), &window, e);
    if (st != HF_OK)
        return st;
    const float *hu = HF_DATA(float, window);
    if (hf_tensor_count(window) != 2 || !(hu[1] > hu[0]))
        st = hf_fail(e, HF_INVALID, "'window' must hold two rising HU values");
    for (int i = 0; i < 2 && st == HF_OK; i++)
        ret_hu[i] = hu[i];
    s->host->tensor_unref(window);
    return st;
}

#endif
