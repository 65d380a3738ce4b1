/* plan.c - `hepaflow plan`: what a graph would do. */
#include "cli/cli.h"

#include <limits.h>

int command_plan(int argc, char **argv) {
    const char *path = NULL, *device = NULL;
    struct sets sets = {0};
    int64_t workers = 0;
    bool dot = false, json = false, resolved = false, scan = false;
    const struct arg args[] = {{"--set", ARG_SETS, &sets},          {"--device", ARG_TEXT, &device},
                               {"--dot", ARG_FLAG, &dot},           {"--json", ARG_FLAG, &json},
                               {"--resolved", ARG_FLAG, &resolved}, {"--scan", ARG_FLAG, &scan},
                               {"--workers", ARG_WHOLE, &workers},  {NULL, ARG_FLAG, NULL}};
    if (!args_read("plan", args, argc, argv, &path, "GRAPH", 1))
        return EXIT_USAGE;
    if (dot + json + resolved > 1) {
        fputs("hepaflow plan: one of --dot, --json and --resolved\n", stderr);
        return EXIT_USAGE;
    }
    if (workers > 1024) {
        fputs("hepaflow plan: --workers takes at most 1024\n", stderr);
        return EXIT_USAGE;
    }
    char device_set[DEVICE_SET];
    if (device)
        set_device(&sets, device, device_set);
    struct hf_engine *engine = NULL;
    struct hf_plan *plan = NULL;
    int status = graph_open(path, &sets, &engine, &plan);
    if (status != EXIT_DONE)
        return status;
    struct hf_error e = {0};
    char *text = NULL;
    enum hf_plan_format format = dot        ? HF_PLAN_DOT
                                 : json     ? HF_PLAN_JSON
                                 : resolved ? HF_PLAN_YAML
                                            : HF_PLAN_TEXT;
    enum hf_status st = HF_OK;
    if (scan || !(dot || resolved))
        st = hf_plan_measure(plan, (int32_t)workers, scan, &e);
    char place[PATH_MAX];
    const char *store = dot || resolved ? NULL : store_wanted(NULL, place, sizeof place);
    struct hf_error none; /* a plan is printed without marks where they cannot be had */
    if (st == HF_OK && store)
        (void)hf_plan_stored(plan, store, &none);
    if (st == HF_OK)
        st = hf_plan_print(plan, format, &text, &e);
    if (st != HF_OK) {
        fprintf(stderr, "hepaflow plan: %s\n", e.text);
        status = EXIT_FAILED;
    } else {
        fputs(text, stdout);
    }
    hf_free(text);
    hf_plan_free(plan);
    hf_engine_close(engine);
    return status;
}
