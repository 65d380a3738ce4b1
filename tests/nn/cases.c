/*
 * cases.c - reads the recorded cases (see cases.h).
 */
#include "cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void must(enum hf_status s, const struct hf_error *e) {
    if (s != HF_OK)
        fail_msg("%s", e->text);
}

static int index_of(const char *word, const char *const *words, int count) {
    for (int i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    fail_msg("unknown word \"%s\"", word);
    return -1;
}

static FILE *open_file(const char *name) {
    const char *source = getenv("HEPAFLOW_SOURCE");
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/tests/nn/reference/%s", source ? source : ".", name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    return f;
}

static void read_layer(FILE *f, struct hf_net *net) {
    static const char *const kinds[] = {"input", "conv",   "deconv", "norm",   "act",
                                        "gate",  "pool",   "up",     "concat", "add",
                                        "mask",  "window", "scale",  "take"};
    struct hf_layer l = {0};
    struct hf_error err = {0};
    char kind[32];
    int pad, act;
    assert_int_equal(fscanf(f, "%31s %47s %d", kind, l.name, &l.inputs), 3);
    for (int i = 0; i < l.inputs; i++)
        assert_int_equal(fscanf(f, "%d", &l.input[i]), 1);
    assert_int_equal(fscanf(f, "%d", &l.channels), 1);
    int32_t *triples[] = {l.kernel, l.stride, l.dilation};
    for (int i = 0; i < 9; i++)
        assert_int_equal(fscanf(f, "%d", &triples[i / 3][i % 3]), 1);
    assert_int_equal(fscanf(f, "%d %d %f %f %d %d %d %f", &pad, &act, &l.slope, &l.epsilon, &l.bias,
                            &l.channel, &l.invert, &l.supervise),
                     8);
    l.kind = (enum hf_layer_kind)index_of(kind, kinds, HF_LAYER_KINDS);
    l.pad = (enum hf_pad)pad;
    l.act = (enum hf_act)act;
    if (l.kind == HF_LAYER_INPUT)
        must(hf_net_init(net, net->dims, l.channels, &err), &err);
    else
        must(hf_net_add(net, &l, NULL, &err), &err);
}

static int read_text(FILE *f, struct reference *r) {
    static const char *const losses[] = {"l1", "bce", "ce", "dice", "focal", "tversky"};
    static const char *const optimizers[] = {"adam", "sgd", "adamw"};
    *r = (struct reference){.spec = {.mode = HF_EXEC_TRAIN}};
    int layers;
    char word[32];
    if (fscanf(f, " case %63s %d %d", r->name, &layers, &r->spec.loss_terms) != 3)
        return 0;
    int64_t *s = r->spec.shape;
    struct hf_optimizer *o = &r->spec.optimizer;
    assert_int_equal(fscanf(f, " net %d %ld %ld %ld %ld %ld %d", &r->net.dims, &s[0], &s[1], &s[2],
                            &s[3], &s[4], &r->weighted),
                     7);
    assert_int_equal(fscanf(f, " optimizer %31s %f %f %f %f %f %d %f %f %f %47s", word, &r->rate,
                            &o->beta1, &o->beta2, &o->epsilon, &o->momentum, &o->nesterov,
                            &o->weight_decay, &o->clip, &o->average, r->spec.trained),
                     11);
    if (strcmp(r->spec.trained, "-") == 0)
        r->spec.trained[0] = 0;
    o->kind = (enum hf_optimizer_kind)index_of(word, optimizers, HF_OPTS);
    for (int i = 0; i < r->spec.loss_terms; i++) {
        struct hf_loss_term *t = &r->spec.loss[i];
        assert_int_equal(fscanf(f, " loss %31s %f %f %f %f %f %d %d", word, &t->factor,
                                &t->pos_weight, &t->gamma, &t->alpha, &t->beta, &t->first,
                                &t->channels),
                         8);
        t->kind = (enum hf_loss_kind)index_of(word, losses, HF_LOSS_KINDS);
    }
    for (int i = 0; i < layers; i++)
        read_layer(f, &r->net);
    return 1;
}

static float *read_floats(FILE *f, int64_t count) {
    float *p = malloc((size_t)(count ? count : 1) * sizeof *p);
    assert_non_null(p);
    assert_int_equal(fread(p, sizeof *p, (size_t)count, f), count);
    return p;
}

void reference_open(struct reference_file *f) {
    f->text = open_file("reference.net");
    f->data = open_file("reference.f32");
}

void reference_close(struct reference_file *f) {
    fclose(f->text);
    fclose(f->data);
}

int reference_next(struct reference_file *f, struct reference *r) {
    if (!read_text(f->text, r)) {
        assert_int_equal(fgetc(f->data), EOF);
        return 0;
    }
    struct hf_error err = {0};
    struct hf_param *param;
    int32_t params;
    int64_t(*shape)[5] = malloc((size_t)r->net.layers * sizeof *shape);
    assert_non_null(shape);
    must(hf_net_shapes(&r->net, r->spec.shape, shape, &err), &err);
    must(hf_net_params(&r->net, &param, &params, &r->params, &err), &err);
    const int64_t *in = r->spec.shape;
    int64_t *out = memcpy(r->out, shape[r->net.layers - 1], sizeof r->out);
    free(param);
    free(shape);
    int64_t voxels = out[0] * out[2] * out[3] * out[4];
    r->losses = 1 + r->spec.loss_terms;
    r->input = read_floats(f->data, in[0] * in[1] * in[2] * in[3] * in[4]);
    r->target = read_floats(f->data, voxels * out[1]);
    r->weight = r->weighted ? read_floats(f->data, voxels) : NULL;
    r->before = read_floats(f->data, r->params);
    r->output = read_floats(f->data, voxels * out[1]);
    r->loss = read_floats(f->data, REFERENCE_STEPS * r->losses);
    r->gradient = read_floats(f->data, r->params);
    r->after = read_floats(f->data, r->params);
    r->average = r->spec.optimizer.average > 0 ? read_floats(f->data, r->params) : NULL;
    return 1;
}

void reference_clear(struct reference *r) {
    float *vectors[] = {r->input, r->target,   r->weight, r->before, r->output,
                        r->loss,  r->gradient, r->after,  r->average};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        free(vectors[i]);
    hf_net_clear(&r->net);
}
