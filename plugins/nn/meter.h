/**
 * meter.h - counts the bytes that a device has handed out: now, and at most since it was asked to
 * begin anew. Any thread may count.
 */
#ifndef HEPAFLOW_METER_H
#define HEPAFLOW_METER_H

#include <stdatomic.h>
#include <stddef.h>

struct meter {
    atomic_size_t now, peak;
};

static inline void meter_add(struct meter *m, size_t bytes) {
    size_t now = atomic_fetch_add_explicit(&m->now, bytes, memory_order_relaxed) + bytes;
    size_t peak = atomic_load_explicit(&m->peak, memory_order_relaxed);
    while (peak < now && !atomic_compare_exchange_weak_explicit(
                             &m->peak, &peak, now, memory_order_relaxed, memory_order_relaxed))
        ;
}

static inline void meter_take(struct meter *m, size_t bytes) {
    (void)atomic_fetch_sub_explicit(&m->now, bytes, memory_order_relaxed);
}

static inline void meter_read(struct meter *m, int anew, size_t *ret_now, size_t *ret_peak) {
    *ret_peak = atomic_load_explicit(&m->peak, memory_order_relaxed);
    *ret_now = atomic_load_explicit(&m->now, memory_order_relaxed);
    if (anew)
        atomic_store_explicit(&m->peak, *ret_now, memory_order_relaxed);
}

#endif
