/*
 * tap.c - `hepaflow tap`: what flows on an edge. It runs a graph that is made of the given one: the
 * stage, all that stands before it, and the stage `tap` behind it.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "graph/tree.h"
#include "run/run.h"

struct tap {
    const char *graph, *stage, *only_case, *out;
    int64_t count, epoch, workers;
    bool json;
    const struct hf_plan *whole; /* of the graph as it is */
    bool *needed;                /* per stage of it */
};

static int fail(const char *what) {
    fprintf(stderr, "hepaflow tap: %s\n", what);
    return EXIT_FAILED;
}

/* ---- which stages ---- */

static int find_stage(const struct hf_plan *plan, const char *name, size_t size) {
    for (int i = 0; i < plan->stages; i++)
        if (strlen(plan->stage[i].name) == size && strncmp(plan->stage[i].name, name, size) == 0)
            return i;
    return -1;
}

/* The tapped stage, or -1 after it has said why there is none. */
static int tapped_stage(const struct tap *t) {
    int found = find_stage(t->whole, t->stage, strlen(t->stage));
    if (found < 0) {
        struct words words;
        words_begin(&words, t->stage);
        for (int i = 0; i < t->whole->stages; i++)
            words_try(&words, t->whole->stage[i].name);
        fprintf(stderr, "hepaflow tap: %s has no stage '%s'", t->graph, t->stage);
        if (words.nearest)
            fprintf(stderr, "; did you mean '%s'?", words.nearest);
        fputc('\n', stderr);
        return -1;
    }
    const struct plan_stage *s = &t->whole->stage[found];
    if (s->cls->kind != HF_SINK && s->cls->kind != HF_MODEL)
        return found;
    fprintf(stderr, "hepaflow tap: stage '%s' (%s) hands on no samples", s->name, s->cls->name);
    if (s->inputs > 0)
        fprintf(stderr, "; what it takes leaves '%s'", t->whole->stage[s->input[0]].name);
    fputc('\n', stderr);
    return -1;
}

static void need(const struct tap *t, int stage) {
    const struct plan_stage *s = &t->whole->stage[stage];
    if (t->needed[stage])
        return;
    t->needed[stage] = true;
    for (int i = 0; i < s->inputs; i++)
        need(t, s->input[i]);
    if (s->model >= 0)
        need(t, s->model);
}

/* ---- the graph that is run ---- */

static void put_text(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++) {
        if ((unsigned char)*text < 32 || *text == 127) {
            fprintf(out, "\\x%02x", (unsigned)*text);
            continue;
        }
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        else if (text[0] == '$' && text[1] == '{')
            fputc('$', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

/* The given graph without what the stage does not need, and with the stage that writes. */
static void put_graph(FILE *out, const struct tap *t, const char *path) {
    char name_of[256]; /* its own: the store remembers the graph itself by its last run */
    (void)snprintf(name_of, sizeof name_of, "%.240s-tap", t->whole->name);
    fputs("name: ", out);
    put_text(out, name_of);
    fputs("\ninclude: ", out);
    put_text(out, path);
    fputs("\nstages:\n", out);
    for (int i = 0; i < t->whole->stages; i++)
        if (!t->needed[i])
            fprintf(out, "  %s: ~\n", t->whole->stage[i].name);
    char name[32] = "tap"; /* or whatever no stage of the graph is called */
    for (int i = 2; find_stage(t->whole, name, strlen(name)) >= 0; i++)
        (void)snprintf(name, sizeof name, "tap-%d", i);
    fprintf(out, "  %s: {use: tap, from: %s, count: %lld, epoch: %lld", name, t->stage,
            (long long)t->count, (long long)t->epoch);
    if (t->only_case) {
        fputs(", case: ", out);
        put_text(out, t->only_case);
    }
    fputs("}\n", out);
}

/* Settings of stages that are left out have nothing to set. */
static struct sets settings_of(const struct tap *t, const struct sets *sets) {
    struct sets ret = {.device = sets->device};
    for (int i = 0; i < sets->count; i++) {
        size_t size = strcspn(sets->item[i], ".=");
        int stage = sets->item[i][size] == '.' ? find_stage(t->whole, sets->item[i], size) : -1;
        if (stage < 0 || t->needed[stage])
            ret.item[ret.count++] = sets->item[i];
    }
    return ret;
}

/* The plan of that graph, which exists in memory alone. */
static int plan_tap(const struct tap *t, const struct sets *sets, struct hf_plan **ret) {
    char *path = realpath(t->graph, NULL), *text = NULL, *messages = NULL;
    size_t size = 0;
    if (!path) {
        fprintf(stderr, "hepaflow tap: %s: %s\n", t->graph, strerror(errno));
        return EXIT_FAILED;
    }
    FILE *out = open_memstream(&text, &size);
    if (out)
        put_graph(out, t, path);
    free(path);
    bool bad = !out || ferror(out);
    if (out && fclose(out) != 0)
        bad = true;
    if (bad) {
        free(text);
        return fail("out of memory");
    }
    const struct sets own = settings_of(t, sets);
    enum hf_status st =
        plan_load_text(t->whole->engine, "tap", text, own.item, own.count, ret, &messages);
    if (st != HF_OK)
        fprintf(stderr, "hepaflow tap: the graph for it cannot be made\n%s", messages);
    hf_free(messages);
    free(text);
    return st == HF_OK ? EXIT_DONE : EXIT_FAILED;
}

/* ---- what it tells ---- */

static const char *text_of(const cJSON *o, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
    return text ? text : "";
}

static void print_numbers(const cJSON *list, const char *between, char *text, size_t size) {
    const cJSON *item;
    text[0] = 0;
    cJSON_ArrayForEach(item, list) {
        size_t n = strlen(text);
        (void)snprintf(text + n, size - n, "%s%.4g", n ? between : "", item->valuedouble);
    }
}

static void print_sample(const cJSON *sample) {
    const cJSON *grid = cJSON_GetObjectItemCaseSensitive(sample, "grid"), *f;
    char size[96], mm[96];
    print_numbers(cJSON_GetObjectItemCaseSensitive(grid, "size"), " x ", size, sizeof size);
    print_numbers(cJSON_GetObjectItemCaseSensitive(grid, "spacing"), " x ", mm, sizeof mm);
    printf("\n%s  (%s voxels of %s mm; D, H, W)\n", text_of(sample, "id"), size, mm);
    printf("  %-16s %-5s %-18s %12s %12s %12s\n", "field", "dtype", "shape", "min", "mean", "max");
    cJSON_ArrayForEach(f, cJSON_GetObjectItemCaseSensitive(sample, "fields")) {
        static const char *const key[] = {"min", "mean", "max"};
        char shape[96];
        print_numbers(cJSON_GetObjectItemCaseSensitive(f, "shape"), ",", shape, sizeof shape);
        printf("  %-16s %-5s [%s]%*s", text_of(f, "name"), text_of(f, "dtype"), shape,
               strlen(shape) < 16 ? 16 - (int)strlen(shape) : 0, "");
        for (int i = 0; i < 3; i++) {
            const cJSON *n = cJSON_GetObjectItemCaseSensitive(f, key[i]);
            if (cJSON_IsNumber(n))
                printf(" %12.5g", n->valuedouble);
            else
                printf(" %12s", "-");
        }
        const cJSON *odd = cJSON_GetObjectItemCaseSensitive(f, "nonfinite");
        if (cJSON_IsNumber(odd) && odd->valuedouble > 0)
            printf("  %.0f not finite", odd->valuedouble);
        if (strcmp(text_of(f, "place"), "grid") != 0)
            printf("  (%s)", text_of(f, "place"));
        putchar('\n');
    }
}

static int print_summary(const struct tap *t) {
    char path[4096];
    void *bytes = NULL;
    size_t size = 0;
    struct hf_error e;
    (void)snprintf(path, sizeof path, "%s/tap.json", t->out);
    if (file_read(path, &bytes, &size, &e) != HF_OK)
        return fail(e.text);
    cJSON *all = cJSON_ParseWithLength(bytes, size);
    const cJSON *sample;
    cJSON_ArrayForEach(sample, cJSON_GetObjectItemCaseSensitive(all, "samples"))
        print_sample(sample);
    printf("\nNIfTI and PNG files of '%s' are in %s\n", t->stage, t->out);
    cJSON_Delete(all);
    free(bytes);
    return EXIT_DONE;
}

/* ---- the command ---- */

/* That it takes longer than a look has a reason. */
static void tell_trainings(const struct tap *t) {
    bool any = false;
    for (int i = 0; i < t->whole->stages; i++)
        if (t->needed[i] && (t->whole->stage[i].cls->flags & HF_STAGE_YIELDS_MODEL)) {
            printf("%s'%s'", any ? ", " : "needs the models of ", t->whole->stage[i].name);
            any = true;
        }
    if (any)
        putchar('\n');
    (void)fflush(stdout);
}

static int tap_run(struct tap *t, const struct sets *sets) {
    char *folder = NULL, place[4096];
    struct hf_plan *plan = NULL;
    int status = plan_tap(t, sets, &plan);
    if (status != EXIT_DONE)
        return status;
    if (!t->out && asprintf(&folder, "out/%s-tap/%s", t->whole->name, t->stage) < 0) {
        folder = NULL;
        status = fail("out of memory");
    } else {
        t->out = t->out ? t->out : folder;
        const struct hf_run_options options = {.out_dir = t->out,
                                               .workers = (int32_t)t->workers,
                                               .seed = -1,
                                               .only_case = t->only_case,
                                               .store = store_wanted(NULL, place, sizeof place)};
        if (!t->json)
            tell_trainings(t);
        status = graph_run(t->whole->engine, plan, &options, t->json);
    }
    if (status == EXIT_DONE && !t->json)
        status = print_summary(t);
    hf_plan_free(plan);
    free(folder);
    return status;
}

int command_tap(int argc, char **argv) {
    struct tap t = {0};
    const char *words[2] = {NULL, NULL}, *device = NULL;
    int64_t seed = -1;
    struct sets sets = {0};
    const struct arg args[] = {
        {"--case", ARG_TEXT, &t.only_case},   {"--count", ARG_WHOLE, &t.count},
        {"--epoch", ARG_WHOLE, &t.epoch},     {"--set", ARG_SETS, &sets},
        {"--out", ARG_TEXT, &t.out},          {"--device", ARG_TEXT, &device},
        {"--workers", ARG_WHOLE, &t.workers}, {"--seed", ARG_WHOLE, &seed},
        {"--json", ARG_FLAG, &t.json},        {NULL, ARG_FLAG, NULL}};
    if (!args_read("tap", args, argc, argv, words, "GRAPH", 2))
        return EXIT_USAGE;
    t.graph = words[0];
    t.stage = words[1];
    if (!t.stage || t.workers > 1024) {
        fputs(t.stage ? "hepaflow tap: --workers takes at most 1024\n"
                      : "hepaflow tap: STAGE is missing; see 'hepaflow help tap'\n",
              stderr);
        return EXIT_USAGE;
    }
    char device_set[DEVICE_SET], seed_set[64];
    if (device)
        set_device(&sets, device, device_set);
    if (seed >= 0) {
        (void)snprintf(seed_set, sizeof seed_set, "seed=%lld", (long long)seed);
        sets.item[sets.count++] = seed_set;
    }
    struct hf_engine *engine = NULL;
    struct hf_plan *whole = NULL;
    int status = graph_open(t.graph, &sets, &engine, &whole);
    if (status != EXIT_DONE)
        return status;
    t.whole = whole;
    t.needed = calloc((size_t)whole->stages + 1, sizeof *t.needed);
    int stage = t.needed ? tapped_stage(&t) : -1;
    if (stage >= 0) {
        need(&t, stage);
        status = tap_run(&t, &sets);
    } else {
        status = t.needed ? EXIT_USAGE : fail("out of memory");
    }
    free(t.needed);
    hf_plan_free(whole);
    hf_engine_close(engine);
    return status;
}
