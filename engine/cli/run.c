/* run.c - `hepaflow run`: checks a graph and runs it. */
#include "cli/cli.h"

#include <limits.h>
#include <stdlib.h>

#include "engine.h"

int command_run(int argc, char **argv) {
    const char *path = NULL, *out = NULL, *device = NULL, *trace = NULL, *store = NULL;
    int64_t workers = 0, seed = -1;
    bool json = false, fresh = false, no_store = false;
    struct sets sets = {0};
    const struct arg args[] = {{"--set", ARG_SETS, &sets},      {"--out", ARG_TEXT, &out},
                               {"--device", ARG_TEXT, &device}, {"--workers", ARG_WHOLE, &workers},
                               {"--seed", ARG_WHOLE, &seed},    {"--json", ARG_FLAG, &json},
                               {"--trace", ARG_TEXT, &trace},   {"--store", ARG_TEXT, &store},
                               {"--fresh", ARG_FLAG, &fresh},   {"--no-store", ARG_FLAG, &no_store},
                               {NULL, ARG_FLAG, NULL}};
    if (!args_read("run", args, argc, argv, &path, "GRAPH", 1))
        return EXIT_USAGE;
    if (workers > 1024) {
        fputs("hepaflow run: --workers takes at most 1024\n", stderr);
        return EXIT_USAGE;
    }
    if (store && no_store) {
        fputs("hepaflow run: one of --store and --no-store\n", stderr);
        return EXIT_USAGE;
    }
    /* Both are keys of the graph, so the plan is checked and shown with them. */
    char device_set[DEVICE_SET], seed_set[64];
    if (device)
        set_device(&sets, device, device_set);
    if (seed >= 0) {
        (void)snprintf(seed_set, sizeof seed_set, "seed=%lld", (long long)seed);
        sets.item[sets.count++] = seed_set;
    }
    struct hf_engine *engine = NULL;
    struct hf_plan *plan = NULL;
    int status = graph_open(path, &sets, &engine, &plan);
    if (status != EXIT_DONE)
        return status;
    char *folder = NULL;
    if (!out && asprintf(&folder, "out/%s", plan->name) < 0) {
        folder = NULL;
        fputs("hepaflow run: out of memory\n", stderr);
        status = EXIT_FAILED;
    } else {
        char place[PATH_MAX];
        const struct hf_run_options options = {
            .out_dir = out ? out : folder,
            .workers = (int32_t)workers,
            .seed = -1,
            .store = no_store ? NULL : store_wanted(store, place, sizeof place),
            .fresh = fresh,
            .trace = trace};
        status = graph_run(engine, plan, &options, json);
    }
    free(folder);
    hf_plan_free(plan);
    hf_engine_close(engine);
    return status;
}
