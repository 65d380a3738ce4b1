/* run.c - `hepaflow run`: checks a graph and runs it. */
#include "cli/cli.h"

#include <limits.h>
#include <stdlib.h>

#include "cli/round.h"
#include "engine.h"

static int run_once(struct run_request *r) {
    /* Both are keys of the graph, so the plan is checked and shown with them. */
    char device_set[DEVICE_SET], seed_set[64];
    if (r->device)
        set_device(&r->sets, r->device, device_set);
    if (r->seed >= 0) {
        (void)snprintf(seed_set, sizeof seed_set, "seed=%lld", (long long)r->seed);
        r->sets.item[r->sets.count++] = seed_set;
    }
    struct hf_engine *engine = NULL;
    struct hf_plan *plan = NULL;
    int status = graph_open(r->graph, &r->sets, &engine, &plan);
    if (status != EXIT_DONE)
        return status;
    char *folder = NULL;
    if (!r->out && asprintf(&folder, "out/%s", plan->name) < 0) {
        folder = NULL;
        fputs("hepaflow run: out of memory\n", stderr);
        status = EXIT_FAILED;
    } else {
        char place[PATH_MAX];
        const struct hf_run_options options = {
            .out_dir = r->out ? r->out : folder,
            .workers = (int32_t)r->workers,
            .seed = -1,
            .store = r->no_store ? NULL : store_wanted(r->store, place, sizeof place),
            .fresh = r->fresh,
            .trace = r->trace,
            .on_terms = r->round > 0 ? round_begins : NULL,
            .terms_arg = &r->round};
        status = graph_run(engine, plan, &options, r->json);
    }
    free(folder);
    hf_plan_free(plan);
    hf_engine_close(engine);
    return status;
}

int command_run(int argc, char **argv) {
    struct run_request r = {.seed = -1};
    const struct arg args[] = {{"--set", ARG_SETS, &r.sets},
                               {"--out", ARG_TEXT, &r.out},
                               {"--device", ARG_TEXT, &r.device},
                               {"--workers", ARG_WHOLE, &r.workers},
                               {"--seed", ARG_WHOLE, &r.seed},
                               {"--json", ARG_FLAG, &r.json},
                               {"--trace", ARG_TEXT, &r.trace},
                               {"--store", ARG_TEXT, &r.store},
                               {"--fresh", ARG_FLAG, &r.fresh},
                               {"--no-store", ARG_FLAG, &r.no_store},
                               {"--watch", ARG_FLAG, &r.watch},
                               {"--round", ARG_OWN, &r.round},
                               {NULL, ARG_FLAG, NULL}};
    if (!args_read("run", args, argc, argv, &r.graph, "GRAPH", 1))
        return EXIT_USAGE;
    if (r.workers > 1024) {
        fputs("hepaflow run: --workers takes at most 1024\n", stderr);
        return EXIT_USAGE;
    }
    if (r.store && r.no_store) {
        fputs("hepaflow run: one of --store and --no-store\n", stderr);
        return EXIT_USAGE;
    }
    if (r.fresh && r.watch) {
        fputs("hepaflow run: one of --fresh and --watch: a round redoes what has changed\n",
              stderr);
        return EXIT_USAGE;
    }
    return r.watch ? run_watch(&r) : run_once(&r);
}
