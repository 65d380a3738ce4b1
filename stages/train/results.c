/*
 * results.c - what a training leaves: the checkpoint, the curve, the model.
 */
#include <stdlib.h>
#include <string.h>

#include "trainer.h"

static enum hf_status write_text(struct trainer *t, const char *folder, const char *name,
                                 const char *text) {
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return hf_fail(t->err, HF_INVALID, "%s: the path is too long", folder);
    return t->host->write_file(path, text, strlen(text), t->err);
}

static enum hf_status write_curve(struct trainer *t, const char *folder) {
    char *csv = curve_csv(&t->curve), *json = curve_json(&t->curve, t->best_step);
    enum hf_status st =
        csv && json ? HF_OK : hf_fail(t->err, HF_NO_MEMORY, "no memory for a curve");
    char title[128];
    (void)snprintf(title, sizeof title, "Training of %s", t->s->name);
    if (st == HF_OK)
        st = write_text(t, folder, "loss.csv", csv);
    if (st == HF_OK)
        st = t->host->report(t->s, title, json, t->err);
    free(csv);
    free(json);
    return st;
}

/* A text as it stands between the quotes of JSON; what does not fit is left out. */
static void escape(const char *text, char *ret, size_t size) {
    size_t used = 0;
    for (; *text && used + 7 < size; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20)
            used += (size_t)snprintf(ret + used, size - used, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            used += (size_t)snprintf(ret + used, size - used, "\\%c", c);
        else
            ret[used++] = (char)c;
    }
    ret[used] = 0;
}

static void describe(const struct trainer *t, char *ret, size_t size) {
    char device[512];
    escape(t->s->device->methods->describe(t->s->device), device, sizeof device);
    (void)snprintf(ret, size,
                   "{\"steps\":%lld,\"kept_step\":%lld,\"seed\":%llu,\"batch\":%lld,"
                   "\"size\":[%lld,%lld],\"precision\":\"%s\",\"device\":\"%s\"}",
                   (long long)t->steps, (long long)t->best_step, (unsigned long long)t->s->seed,
                   (long long)t->o->batch, (long long)t->size[1], (long long)t->size[2],
                   hf_precision_name((enum hf_precision)t->o->precision), device);
}

enum hf_status train_make_model(struct trainer *t, struct hf_model **ret) {
    struct hf_model_info info = train_describe(t->o, t->s->name, t->inputs, t->targets);
    info.dims = t->net->dims;
    memcpy(info.patch, t->size, sizeof info.patch);
    memcpy(info.blanked, t->s->yields->blanked, sizeof info.blanked);
    info.blank = t->s->yields->blank;
    return t->host->model_new(&info, t->net, t->best, ret, t->err);
}

enum hf_status train_finish(struct trainer *t) {
    enum hf_status st = train_land(t);
    if (st == HF_OK && t->best_step == 0) { /* never validated */
        t->best_step = t->steps;
        st = train_get_params(t, t->best);
    }
    struct hf_model *model = NULL;
    char folder[4096], path[4200], notes[1024];
    if (st == HF_OK)
        st = train_make_model(t, &model);
    if (st == HF_OK)
        st = t->host->folder(t->s, t->s->name, folder, sizeof folder, t->err);
    if (st == HF_OK)
        st = write_curve(t, folder);
    if (st == HF_OK) {
        describe(t, notes, sizeof notes);
        (void)snprintf(path, sizeof path, "%s/model.safetensors", folder);
        st = t->host->model_save(model, notes, path, t->err);
    }
    if (st == HF_OK)
        st = t->host->publish(t->s, model, t->err);
    if (st == HF_OK) {
        pace_describe(&t->pace, notes, sizeof notes);
        t->host->log(t->s, HF_LOG_INFO, notes);
    }
    t->host->model_unref(model);
    return st;
}
