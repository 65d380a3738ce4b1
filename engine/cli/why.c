/* why.c - `hepaflow why`: what a run would make again, and what has changed since the last one. */
#include "cli/cli.h"

#include <limits.h>

int command_why(int argc, char **argv) {
    const char *words[2] = {NULL, NULL}, *device = NULL, *store = NULL;
    struct sets sets = {0};
    const struct arg args[] = {{"--set", ARG_SETS, &sets},
                               {"--device", ARG_TEXT, &device},
                               {"--store", ARG_TEXT, &store},
                               {NULL, ARG_FLAG, NULL}};
    char device_set[DEVICE_SET], place[PATH_MAX];
    if (!args_read("why", args, argc, argv, words, "GRAPH", 2))
        return EXIT_USAGE;
    if (!words[1]) {
        fputs("hepaflow why: STAGE is missing; see 'hepaflow help why'\n", stderr);
        return EXIT_USAGE;
    }
    store = store_wanted(store, place, sizeof place);
    if (!store) {
        fputs("hepaflow why: there is no store: HEPAFLOW_STORE is empty\n", stderr);
        return EXIT_USAGE;
    }
    if (device)
        set_device(&sets, device, device_set);
    struct hf_engine *engine = NULL;
    struct hf_plan *plan = NULL;
    int status = graph_open(words[0], &sets, &engine, &plan);
    if (status != EXIT_DONE)
        return status;
    struct hf_error e = {0};
    char *text = NULL;
    enum hf_status st = hf_plan_why(plan, store, words[1], &text, &e);
    if (st == HF_OK)
        fputs(text, stdout);
    else
        fprintf(stderr, "hepaflow why: %s\n", e.text);
    hf_free(text);
    hf_plan_free(plan);
    hf_engine_close(engine);
    return st == HF_OK ? EXIT_DONE : st == HF_NOT_FOUND ? EXIT_USAGE : EXIT_FAILED;
}
