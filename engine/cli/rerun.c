/* rerun.c - `hepaflow rerun`: makes a run again from its folder, and says whether all came out the
 * same. */
#include "cli/cli.h"
#include "cli/past.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "run/made_of.h"

/* Where the run was, what it is made from, and where it goes. */
struct again {
    char from[PATH_MAX], graph[PATH_MAX + 16], out[PATH_MAX + 16];
    bool anyway;
};

static bool find_folders(struct again *r, const char *folder, const char *out) {
    char here[PATH_MAX];
    if (!realpath(folder, r->from) || !getcwd(here, sizeof here))
        return false;
    (void)snprintf(r->graph, sizeof r->graph, "%s/resolved.yaml", r->from);
    int n = !out            ? snprintf(r->out, sizeof r->out, "%s-rerun", r->from)
            : out[0] == '/' ? snprintf(r->out, sizeof r->out, "%s", out)
                            : snprintf(r->out, sizeof r->out, "%s/%s", here, out);
    size_t size = strlen(r->from);
    char real[PATH_MAX];
    const char *to = realpath(r->out, real) ? real : r->out;
    return n > 0 && (size_t)n < sizeof r->out &&
           !(strncmp(to, r->from, size) == 0 && (to[size] == 0 || to[size] == '/'));
}

/* Whether plugins, inputs, version and device are those of the run. */
static int check_same(const struct again *r, const struct past *past, struct hf_plan *plan,
                      const char *store) {
    struct hf_error e = {0};
    cJSON *now = NULL;
    if (r->anyway)
        return EXIT_DONE;
    if (run_made_of(plan, store, &now, &e) != HF_OK) {
        fprintf(stderr, "hepaflow rerun: %s\n", e.text);
        return EXIT_FAILED;
    }
    int count = past_made_of(past->record, now);
    (void)fflush(stdout);
    cJSON_Delete(now);
    if (count > 0)
        fputs("hepaflow rerun: it would not be the same run; --anyway runs it all the same\n",
              stderr);
    return count > 0 ? EXIT_USAGE : EXIT_DONE;
}

static int compare(const struct again *r) {
    int differences = past_files(r->from, r->out, true);
    if (differences == 0)
        printf("bit for bit the same as %s\n", r->from);
    else if (differences > 0)
        printf("not the same as %s\n", r->from);
    return differences == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int run_again(const struct again *r, const struct past *past) {
    struct sets sets = {0};
    char device[DEVICE_SET], seed[64], place[PATH_MAX];
    const char *name = past_text(past, "runs_on"), *store;
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(past->record, "seed");
    if (cJSON_IsString(number)) /* larger than what a number of JSON holds */
        (void)snprintf(seed, sizeof seed, "seed=%.40s", number->valuestring);
    else
        (void)snprintf(seed, sizeof seed, "seed=%.0f", number ? number->valuedouble : 0);
    set_device(&sets, name ? name : "cpu", device);
    sets.item[sets.count++] = seed;
    struct hf_engine *engine = NULL;
    struct hf_plan *plan = NULL;
    int status = graph_open(r->graph, &sets, &engine, &plan);
    if (status != EXIT_DONE)
        return status;
    store = store_wanted(NULL, place, sizeof place);
    status = check_same(r, past, plan, store);
    if (status == EXIT_DONE) {
        const struct hf_run_options options = {
            .out_dir = r->out, .seed = -1, .store = store, .fresh = 1};
        status = graph_run(engine, plan, &options, false);
    }
    hf_plan_free(plan);
    hf_engine_close(engine);
    return status == EXIT_DONE ? compare(r) : status;
}

int command_rerun(int argc, char **argv) {
    const char *folder = NULL, *out = NULL;
    struct again r = {0};
    struct past past;
    const struct arg args[] = {
        {"--out", ARG_TEXT, &out}, {"--anyway", ARG_FLAG, &r.anyway}, {NULL, ARG_FLAG, NULL}};
    if (!args_read("rerun", args, argc, argv, &folder, "DIR", 1) ||
        !past_read("rerun", folder, &past))
        return EXIT_USAGE;
    int status = EXIT_USAGE;
    const char *where = past_text(&past, "folder");
    if (past_text(&past, "case"))
        fprintf(stderr, "hepaflow rerun: %s is of one case alone, by tap\n", folder);
    else if (!find_folders(&r, folder, out))
        fputs("hepaflow rerun: --out must be a folder outside of DIR\n", stderr);
    else if (!where || chdir(where) != 0)
        fprintf(stderr, "hepaflow rerun: the run's working folder is gone: %s\n",
                where ? where : "not recorded");
    else
        status = run_again(&r, &past);
    past_clear(&past);
    return status;
}
