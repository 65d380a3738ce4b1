/*
 * sweep.c - `hepaflow sweep`: the arms of a graph, all checked before the first one runs, and the
 * table of what they scored.
 */
#include "cli/sweep.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/run.h"

/* ---- the plans of all arms ---- */

/* A message about a plan, and the arms that have it. */
struct complaint {
    char *text;
    int arms;
    int arm[8]; /* the first of them */
};

struct complaints {
    struct complaint *item;
    int count, capacity;
};

static bool complain(struct complaints *all, const char *text, size_t size, int arm) {
    for (int i = 0; i < all->count; i++) {
        struct complaint *k = &all->item[i];
        if (strlen(k->text) != size || strncmp(k->text, text, size) != 0)
            continue;
        if (k->arms < 8)
            k->arm[k->arms] = arm;
        k->arms++;
        return true;
    }
    if (all->count == all->capacity) {
        int more = all->capacity ? 2 * all->capacity : 16;
        struct complaint *item = realloc(all->item, (size_t)more * sizeof *item);
        if (!item)
            return false;
        all->item = item;
        all->capacity = more;
    }
    char *copy = strndup(text, size);
    if (!copy)
        return false;
    all->item[all->count++] = (struct complaint){.text = copy, .arms = 1, .arm = {arm}};
    return true;
}

/* Each message begins at a line that is not indented. */
static bool take_messages(struct complaints *all, const char *text, int arm) {
    while (*text) {
        const char *end = text;
        do {
            end = strchr(end, '\n');
            end = end ? end + 1 : text + strlen(text);
        } while (*end == ' ');
        if (!complain(all, text, (size_t)(end - text), arm))
            return false;
        text = end;
    }
    return true;
}

/* What one arm alone is warned of, such as a stage that it leaves unused, is what it is for. */
static void print_complaints(const struct complaints *all, const struct sweep *sw) {
    for (int i = 0; i < all->count; i++) {
        const struct complaint *k = &all->item[i];
        const char *end = strchr(k->text, '\n');
        const char *warning = strstr(k->text, ": warning: ");
        bool warns = strncmp(k->text, "warning: ", 9) == 0 || (warning && end && warning < end);
        if (k->arms == sw->arms || !warns)
            fputs(k->text, stderr);
        if (k->arms == sw->arms || warns)
            continue;
        fprintf(stderr, "  in the arm%s ", k->arms > 1 ? "s" : "");
        for (int n = 0; n < k->arms && n < 8; n++)
            fprintf(stderr, "%s%s", n ? "; " : "", sw->arm[k->arm[n]].name);
        fputs(k->arms > 8 ? "; ...\n" : "\n", stderr);
    }
}

/* Loads the plan of an arm and takes down what it makes; false: no memory. */
static bool check_arm(const struct sweep *sw, int arm, struct hf_engine *engine,
                      const struct sweep_start *how, struct complaints *all, bool *bad) {
    const struct sweep_arm *a = &sw->arm[arm];
    struct sets of = *how->sets;
    struct hf_plan *plan = NULL;
    struct hf_error e;
    char *messages = NULL;
    if (of.count + a->sets > MAX_SETS - 8) {
        fprintf(stderr, "hepaflow sweep: the arm %s and --set make more than %d settings\n",
                a->name, MAX_SETS - 8);
        *bad = true;
        return true;
    }
    for (int i = 0; i < a->sets; i++)
        of.item[of.count++] = a->set[i];
    *bad = hf_plan_load(engine, how->graph, of.item, of.count, &plan, &messages) != HF_OK || *bad;
    bool memory = !messages || take_messages(all, messages, arm);
    if (plan && how->share && share_add(how->share, arm, engine, plan, &e) != HF_OK) {
        fprintf(stderr, "hepaflow: %s\n", e.text);
        *bad = true;
    }
    hf_free(messages);
    hf_plan_free(plan);
    return memory;
}

/* The exit status: whether all arms can run. */
static int check_plans(const struct sweep *sw, const struct sweep_start *how) {
    const struct sets *sets = how->sets;
    struct hf_error e = {0};
    struct hf_engine *engine = NULL;
    struct complaints all = {0};
    bool bad = false, memory = true;
    if (hf_engine_open(&engine, &e) != HF_OK) {
        fprintf(stderr, "hepaflow: %s\n", e.text);
        return EXIT_FAILED;
    }
    if (sets->device && !device_known(engine, sets->device)) {
        hf_engine_close(engine);
        return EXIT_USAGE;
    }
    for (int a = 0; a < sw->arms && memory; a++)
        memory = check_arm(sw, a, engine, how, &all, &bad);
    print_complaints(&all, sw);
    if (!memory)
        fputs("hepaflow sweep: out of memory\n", stderr);
    for (int i = 0; i < all.count; i++)
        free(all.item[i].text);
    free(all.item);
    hf_engine_close(engine);
    return !memory ? EXIT_FAILED : bad ? EXIT_USAGE : EXIT_DONE;
}

/* ---- the whole ---- */

/* All arms with one seed come before the next seed: a first table early, and what arms share is
 * there soon. */
static struct sweep_run *list_runs(const struct sweep *sw) {
    struct sweep_run *run = calloc((size_t)(sw->arms * sw->seeds), sizeof *run);
    for (int i = 0; run && i < sw->arms * sw->seeds; i++) {
        int arm = i % sw->arms; /* the baseline first: most others share the most with it */
        run[i].arm = arm == 0 ? sw->baseline : arm <= sw->baseline ? arm - 1 : arm;
        run[i].seed = i / sw->arms;
    }
    return run;
}

static int finish(const struct sweep *sw, const struct sweep_run *run, const char *out,
                  const char *metric) {
    struct sweep_table t = {0};
    struct hf_error e;
    int failed = 0, canceled = 0, all = sw->arms * sw->seeds;
    enum hf_status st = sweep_compare(sw, run, out, &t, &e);
    if (st == HF_OK)
        st = sweep_write(sw, run, &t, out, &e);
    if (st == HF_OK)
        st = hf_report(out, NULL, &e);
    if (st == HF_OK) {
        sweep_print(sw, run, &t, metric);
        printf("\n%s/sweep.csv\n%s/sweep.json\n%s/report.html\n", out, out, out);
    }
    sweep_table_free(&t);
    (void)fflush(stdout);
    for (int i = 0; i < all; i++) {
        failed += run[i].state == SWEEP_FAILED;
        canceled += run[i].state == SWEEP_CANCELED;
    }
    if (st != HF_OK)
        fprintf(stderr, "hepaflow: %s\n", e.text);
    else if (canceled > 0)
        fputs("canceled\n", stderr);
    else if (failed > 0)
        fprintf(stderr, "hepaflow: %d of %d runs failed\n", failed, all);
    return st == HF_OK && failed == 0 && canceled == 0 ? EXIT_DONE : EXIT_FAILED;
}

static void list_arms(const struct sweep *sw) {
    for (int a = 0; a < sw->arms; a++) {
        printf("%s%s\n", sw->arm[a].name, a == sw->baseline ? " (baseline)" : "");
        for (int i = 0; i < sw->arm[a].sets; i++)
            printf("  %s\n", sw->arm[a].set[i]);
    }
    fputs("seeds", stdout);
    for (int i = 0; i < sw->seeds; i++)
        printf(" %lld", (long long)sw->seed[i]);
    putchar('\n');
}

static int sweep_here(const struct sweep *sw, const struct sweep_start *how, const char *metric,
                      bool list) {
    struct hf_error e;
    int status = check_plans(sw, how);
    if (status == EXIT_DONE && list)
        list_arms(sw);
    if (status != EXIT_DONE || list)
        return status;
    struct sweep_run *run = list_runs(sw);
    if (!run) {
        fputs("hepaflow sweep: out of memory\n", stderr);
        return EXIT_FAILED;
    }
    status = EXIT_FAILED;
    if (folder_make(how->out, &e) != HF_OK)
        fprintf(stderr, "hepaflow: %s\n", e.text);
    else if (sweep_run_all(sw, run, how))
        status = finish(sw, run, how->out, metric);
    free(run);
    return status;
}

int command_sweep(int argc, char **argv) {
    const char *path = NULL, *out = NULL, *device = NULL, *baseline = NULL, *metric = NULL;
    int64_t workers = 0, seeds = -1, at_once = 1; /* seeds -1: as the graph says */
    const char *store = NULL;
    bool list = false, no_store = false;
    struct sets sets = {0}, axes = {0};
    const struct arg args[] = {{"--axis", ARG_SETS, &axes},
                               {"--seeds", ARG_WHOLE, &seeds},
                               {"--baseline", ARG_TEXT, &baseline},
                               {"--set", ARG_SETS, &sets},
                               {"--out", ARG_TEXT, &out},
                               {"--jobs", ARG_WHOLE, &at_once},
                               {"--device", ARG_TEXT, &device},
                               {"--metric", ARG_TEXT, &metric},
                               {"--workers", ARG_WHOLE, &workers},
                               {"--list", ARG_FLAG, &list},
                               {"--store", ARG_TEXT, &store},
                               {"--no-store", ARG_FLAG, &no_store},
                               {NULL, ARG_FLAG, NULL}};
    if (!args_read("sweep", args, argc, argv, &path, "GRAPH", 1))
        return EXIT_USAGE;
    if (workers > 1024 || at_once < 1 || at_once > 64) {
        fprintf(stderr, "hepaflow sweep: %s\n",
                workers > 1024 ? "--workers takes at most 1024" : "--jobs takes 1 to 64");
        return EXIT_USAGE;
    }
    if (seeds == 0) {
        fputs("hepaflow sweep: --seeds takes 1 or more\n", stderr);
        return EXIT_USAGE;
    }
    if (store && no_store) {
        fputs("hepaflow sweep: one of --store and --no-store\n", stderr);
        return EXIT_USAGE;
    }
    const struct sweep_options options = {.set = sets.item,
                                          .sets = sets.count,
                                          .axis = axes.item,
                                          .axes = axes.count,
                                          .seeds = seeds > 0 ? seeds : 0,
                                          .baseline = baseline};
    struct sweep *sw = NULL;
    char *messages = NULL;
    enum hf_status st = sweep_load(path, &options, &sw, &messages);
    if (messages)
        fputs(messages, stderr);
    free(messages);
    if (st != HF_OK)
        return EXIT_USAGE;
    char *folder = NULL, device_set[DEVICE_SET], place[PATH_MAX];
    if (device)
        set_device(&sets, device, device_set);
    int status = EXIT_FAILED;
    struct hf_error e;
    struct sweep_start how = {
        .graph = path, .out = out, .sets = &sets, .workers = workers, .at_once = at_once};
    how.store = no_store ? NULL : store_wanted(store, place, sizeof place);
    if (!out && asprintf(&folder, "out/%s-sweep", sw->graph) < 0) {
        folder = NULL;
        fputs("hepaflow sweep: out of memory\n", stderr);
    } else if (how.store && at_once > 1 && share_new(sw, &how.share, &e) != HF_OK) {
        fprintf(stderr, "hepaflow: %s\n", e.text);
    } else {
        how.out = out ? out : folder;
        status = sweep_here(sw, &how, metric, list);
    }
    share_free(how.share);
    free(folder);
    sweep_free(sw);
    return status;
}
