/*
 * mock.h - what the mock device was asked to do, in the order of the asking. The symbol
 * `mock_trace` of its module.
 */
#ifndef TESTS_MOCK_H
#define TESTS_MOCK_H

#include <stdatomic.h>

#include <hepaflow/plugin.h>

#define MOCK_TRACE 65536

enum mock_what {
    MOCK_LAUNCH,
    MOCK_NETWORK,
    MOCK_COPY_IN, /* to the device */
    MOCK_COPY_OUT,
    MOCK_RECORD,
    MOCK_WAIT, /* of a queue */
    MOCK_SYNC  /* of the host */
};

struct mock_entry {
    enum mock_what what;
    const struct hf_queue *queue;
    int event; /* serial number; 0: none */
    const char *op;
    size_t bytes;
};

struct mock_trace {
    atomic_int count, events;
    struct mock_entry entry[MOCK_TRACE];
};

#endif
