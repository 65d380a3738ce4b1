/* graph_test.c - graphs from texts: see graph_test.h. */
#include "graph_test.h"

static struct hf_engine *engine;
static char folder[64];

int graph_setup(void **state) {
    (void)state;
    const char *build = getenv("HEPAFLOW_BUILD");
    char path[4096];
    struct hf_error e;
    if (!build)
        return -1;
    (void)snprintf(path, sizeof path, "%s/tests/graph/modules", build);
    (void)setenv("HEPAFLOW_PLUGIN_PATH", path, 1);
    /* In memory where that is possible: the tests write thousands of small graphs. */
    (void)snprintf(folder, sizeof folder, "%s/hepaflow-graph-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder) || chdir(folder) != 0)
        return -1;
    return hf_engine_open(&engine, &e) == HF_OK ? 0 : -1;
}

int graph_teardown(void **state) {
    (void)state;
    hf_engine_close(engine);
    if (!folder[0])
        return -1;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

struct hf_engine *graph_engine(void) {
    return engine;
}

void write_text(const char *path, const char *text, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

char *read_text(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    size_t capacity = 1 << 20;
    char *text = calloc(1, capacity);
    assert_non_null(text);
    size_t size = fread(text, 1, capacity - 1, f);
    assert_true(size < capacity - 1);
    (void)fclose(f);
    return text;
}

enum hf_status check_text(const char *text, const char *const *sets, int count,
                          struct hf_plan **ret, char **ret_messages) {
    write_text("g.yaml", text, strlen(text));
    return hf_plan_load(engine, "g.yaml", sets, count, ret, ret_messages);
}

struct hf_plan *plan_of(const char *text, const char *const *sets, int count) {
    struct hf_plan *p = NULL;
    char *messages = NULL;
    if (check_text(text, sets, count, &p, &messages) != HF_OK)
        fail_msg("%s", messages);
    hf_free(messages);
    return p;
}

const struct plan_stage *stage_of(const struct hf_plan *p, const char *name) {
    for (int i = 0; i < p->stages; i++)
        if (strcmp(p->stage[i].name, name) == 0)
            return &p->stage[i];
    fail_msg("the plan has no stage '%s'", name);
    return NULL;
}

const char graph_method[] =
    "name: method\n"
    "seed: 66\n"
    "hold: 2 GB\n"
    "vars: {data: x.csv}\n"
    "stages:\n"
    "  segmenter: {use: t_train, from: training, inputs: image, target: pseudo, loss: {bce: 1, "
    "dice: "
    "0.5}}\n"
    "  cases: {use: t_load, dataset: ${data}, split: train}\n"
    "  prepared: {use: t_prepare, from: cases, hold: 100 MB}\n"
    "  segments: {use: t_mask, from: prepared}\n"
    "  holes: {use: t_holes, from: segments}\n"
    "  inpainter: {use: t_train, from: holes, inputs: [masked, hole], target: image, weight: "
    "hole}\n"
    "  removed: {use: t_apply, from: holes, model: inpainter}\n"
    "  pseudo: {use: t_cut, from: removed, gate: [segments, liver]}\n"
    "  training: {use: t_mix, from: [pseudo, segments], weights: [2, 1], fill: {pseudo: 0}}\n"
    "  test: {use: t_load, dataset: ${data}, split: test}\n"
    "  tested: {like: prepared, from: test, size: 64}\n"
    "  predicted: {use: t_apply, from: tested, model: segmenter, output: predicted}\n"
    "  scores: {use: t_save, from: predicted, fields: [predicted, tumor]}\n"
    "  saved: {use: t_save, from: predicted, fields: predicted}\n"
    "  masks: {use: t_save, from: pseudo}\n"
    "  full: {use: t_train, from: prepared, inputs: image, target: tumor}\n";
