/* phantom.c - `hepaflow phantom`: a data set of phantoms, by graphs/phantom.yaml. */
#include "cli/cli.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cli/config.h"

/* graphs/phantom.yaml above the program (a build tree inside the sources), of the sources that it
 * was built from, or as installed. */
static bool find_graph(char path[PATH_MAX]) {
    char program[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = 0;
    for (char *slash; (slash = strrchr(program, '/')) && slash != program;) {
        *slash = 0;
        if (snprintf(path, PATH_MAX, "%s/graphs/phantom.yaml", program) < PATH_MAX &&
            access(path, R_OK) == 0)
            return true;
    }
    static const char *const folders[] = {HF_SOURCE_GRAPHS, HF_INSTALLED_GRAPHS};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        (void)snprintf(path, PATH_MAX, "%s/phantom.yaml", folders[i]);
        if (access(path, R_OK) == 0)
            return true;
    }
    return false;
}

int command_phantom(int argc, char **argv) {
    const char *dir = NULL;
    int64_t cases = -1, seed = -1, workers = 0;
    bool json = false;
    struct sets sets = {0};
    const struct arg args[] = {{"--cases", ARG_WHOLE, &cases},     {"--seed", ARG_WHOLE, &seed},
                               {"--set", ARG_SETS, &sets},         {"--json", ARG_FLAG, &json},
                               {"--workers", ARG_WHOLE, &workers}, {NULL, ARG_FLAG, NULL}};
    if (!args_read("phantom", args, argc, argv, &dir, "DIR", 1))
        return EXIT_USAGE;
    if (workers > 1024) {
        fputs("hepaflow phantom: --workers takes at most 1024\n", stderr);
        return EXIT_USAGE;
    }
    char path[PATH_MAX], cases_set[64], seed_set[64];
    if (!find_graph(path)) {
        fputs("hepaflow phantom: graphs/phantom.yaml was not found\n", stderr);
        return EXIT_USAGE;
    }
    if (cases >= 0) {
        (void)snprintf(cases_set, sizeof cases_set, "made.cases=%lld", (long long)cases);
        sets.item[sets.count++] = cases_set;
    }
    if (seed >= 0) {
        (void)snprintf(seed_set, sizeof seed_set, "seed=%lld", (long long)seed);
        sets.item[sets.count++] = seed_set;
    }
    struct hf_engine *engine = NULL;
    struct hf_plan *plan = NULL;
    int status = graph_open(path, &sets, &engine, &plan);
    if (status != EXIT_DONE)
        return status;
    const struct hf_run_options options = {.out_dir = dir, .workers = (int32_t)workers, .seed = -1};
    status = graph_run(engine, plan, &options, json);
    hf_plan_free(plan);
    hf_engine_close(engine);
    return status;
}
