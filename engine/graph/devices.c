/*
 * devices.c - where each stage runs, and which fields are copied to get there.
 *
 * A stage runs on the run's device if that has all the ops it launches. One that launches nothing
 * and has no model reads its fields on the host, and runs there. A field is copied on the edge
 * where a stage reads it and it is not there yet; what a stage hands on unread stays where it is.
 * Once copied it is in both places, for as long as the sample lives.
 */
#include "graph/devices.h"

#include <string.h>
#include <strings.h>

#include "graph/check.h"
#include "modules.h"

#define HOST   1u
#define DEVICE 2u

static bool is_host(const struct hf_device_class *cls) {
    return !cls || strcmp(cls->name, "cpu") == 0;
}

/* ---- which device ---- */

/* "name: why it was not taken", behind those before it. */
static void add_reason(char *reasons, size_t size, const char *name, const char *why) {
    size_t used = strlen(reasons);
    (void)snprintf(reasons + used, size - used, "%s%.60s: %.400s", used ? "; " : "", name, why);
}

const struct hf_device_class *plan_device_auto(const struct hf_engine *en, device_try attempt,
                                               void *arg, char *reasons, size_t size) {
    const struct hf_device_class *cls;
    const char *name, *why;
    reasons[0] = 0;
    for (int i = 0; (name = engine_lost_device(en, i, &why)); i++)
        add_reason(reasons, size, name, why);
    for (int i = 0; (cls = engine_device_ranked(en, i)); i++) {
        struct hf_error e = {0};
        if (is_host(cls) || attempt(arg, cls, &e) == HF_OK)
            return cls;
        add_reason(reasons, size, cls->name, e.text);
    }
    return NULL;
}

enum hf_status plan_device_probe(void *arg, const struct hf_device_class *cls, struct hf_error *e) {
    (void)arg;
    return cls->probe ? cls->probe(e) : HF_OK;
}

char *plan_device_line(const struct hf_plan *p) {
    char *ret = NULL;
    if (strcmp(p->device, "auto") != 0 || (!p->not_taken && strcmp(p->runs_on, "cpu") == 0))
        return NULL;
    if (asprintf(&ret, "device %s%s%s%s", p->runs_on, p->not_taken ? " (" : "",
                 p->not_taken ? p->not_taken : "", p->not_taken ? ")" : "") < 0)
        return NULL;
    return ret;
}

/* ---- where stages run ---- */

static bool works_on_host(const struct hf_stage_class *cls) {
    bool has_ops = cls->ops && cls->ops[0];
    return !has_ops && !(cls->flags & (HF_STAGE_TAKES_MODEL | HF_STAGE_YIELDS_MODEL));
}

void plan_place(struct hf_plan *p, const struct hf_device_class *device) {
    p->runs_on = device ? device->name : "cpu";
    for (int i = 0; i < p->stages; i++) {
        struct plan_stage *s = &p->stage[i];
        s->missing_op = NULL;
        s->on_device = true;
        /* On the CPU there is nowhere else to go: what is missing there is said by the run. */
        if (is_host(device))
            continue;
        s->missing_op = engine_missing_op(p->engine, s->cls, device->op_kind);
        s->on_device = !s->missing_op && !works_on_host(s->cls);
    }
    plan_copies(p);
}

/* ---- what is copied ---- */

bool reads_field(const struct reads *r, const char *field) {
    if (r->all)
        return true;
    for (int i = 0; i < r->count; i++)
        if (strcmp(r->name[i], field) == 0)
            return true;
    return false;
}

/* Where a field is that leaves the stage: where it is on every input that carries it. */
static unsigned places_behind(const struct hf_plan *p, const struct plan_stage *s,
                              const struct plan_field *out, unsigned here) {
    unsigned at = HOST | DEVICE;
    bool carried = false;
    for (int k = 0; k < s->inputs; k++) {
        const struct plan_stage *from = &p->stage[s->input[k]];
        for (int i = 0; i < from->fields; i++)
            if (strcmp(from->field[i].name, out->name) == 0) {
                at &= from->field[i].at | (reads_field(&s->reads, out->name) ? here : 0);
                carried = true;
            }
    }
    /* A mix only fills in what is missing. */
    if (carried && (!out->written || s->cls->kind == HF_MIX))
        return at;
    return here;
}

void plan_copies(struct hf_plan *p) {
    bool host = strcmp(p->runs_on, "cpu") == 0;
    for (int n = 0; n < p->stages; n++) {
        struct plan_stage *s = &p->stage[n];
        unsigned here = host || !s->on_device ? HOST : DEVICE;
        for (int k = 0; k < s->inputs; k++) {
            const struct plan_stage *from = &p->stage[s->input[k]];
            s->copied[k] = 0;
            for (int i = 0; i < from->fields; i++) {
                const struct plan_field *f = &from->field[i];
                if (f->place == HF_ON_GRID && !(f->at & here) && reads_field(&s->reads, f->name))
                    s->copied[k] |= UINT32_C(1) << i;
            }
        }
        for (int i = 0; i < s->fields; i++) {
            struct plan_field *f = &s->field[i];
            f->at = f->place == HF_ON_GRID ? places_behind(p, s, f, here) : HOST;
        }
    }
}

const char *plan_copied_to(const struct hf_plan *p, const struct plan_stage *s, int k) {
    if (!s->copied[k])
        return NULL;
    return s->on_device ? p->runs_on : "cpu";
}

const struct plan_field *plan_copied_field(const struct hf_plan *p, const struct plan_stage *s,
                                           int k, int i) {
    const struct plan_stage *from = &p->stage[s->input[k]];
    for (int n = 0; n < from->fields; n++)
        if ((s->copied[k] >> n & 1) && i-- == 0)
            return &from->field[n];
    return NULL;
}

int64_t plan_copied_bytes(const struct hf_plan *p, const struct plan_stage *s, int k,
                          bool *ret_slice) {
    const struct plan_field *f;
    double bytes = 0;
    *ret_slice = false;
    for (int i = 0; (f = plan_copied_field(p, s, k, i)); i++) {
        double one = (double)hf_dtype_size(f->dtype);
        for (int axis = 0; axis < 4; axis++) {
            if (f->shape[axis] < 0 && axis != 1)
                return -1;
            *ret_slice = *ret_slice || f->shape[1] < 0;
            one *= f->shape[axis] < 0 ? 1 : (double)f->shape[axis];
        }
        bytes += one;
    }
    return bytes < 9e15 ? (int64_t)bytes : -1;
}

/* ---- checking a graph ---- */

/* An op may be missing because the module that should bring it does not load. */
static void check_missing_op(struct checker *c, const struct plan_stage *s, bool asked) {
    const char *why =
        s->missing_op ? engine_op_refusal(c->engine, s->missing_op, c->plan->runs_on) : NULL;
    if (why && asked)
        message_error(c->m, s->where, "stage '%s' (%s) cannot run on '%s': %s", s->name,
                      s->cls->name, c->plan->runs_on, why);
    else if (why)
        message_warning(c->m, s->where, "stage '%s' (%s) runs on the CPU: %s", s->name,
                        s->cls->name, why);
}

/* A device without the precision that a stage asks for would say so only when its turn comes. */
static void check_precision(struct checker *c, int at, const struct hf_device_class *device) {
    const struct plan_stage *s = &c->plan->stage[at];
    const struct draft *d = &c->draft[c->order[at]];
    for (const struct hf_option *o = s->cls->options; o && o->name && s->options; o++) {
        if (!(o->flags & HF_OPTION_PRECISION))
            continue;
        int32_t asked;
        memcpy(&asked, (const char *)s->options + o->offset, sizeof asked);
        if ((unsigned)asked >= HF_PRECISIONS || device->precisions >> asked & 1)
            continue;
        const char *known = "auto";
        for (int i = 1; i < HF_PRECISIONS; i++)
            if (device->precisions >> i & 1)
                known = arena_printf(c->arena, "%s, %s", known,
                                     hf_precision_name((enum hf_precision)i));
        const struct node *given = node_get(d->given, o->name);
        message_about(c->m, given && !node_null(given) ? given : d->key,
                      "'%s' of stage '%s' (%s) is %s, which the device '%s' has not; expected one "
                      "of %s",
                      o->name, s->name, s->cls->name, hf_precision_name((enum hf_precision)asked),
                      device->name, known);
    }
}

void devices_choose(struct checker *c) {
    struct hf_plan *p = c->plan;
    char reasons[1024];
    bool asked = strcmp(p->device, "auto") != 0;
    const struct hf_device_class *device =
        asked ? engine_device(c->engine, p->device)
              : plan_device_auto(c->engine, plan_device_probe, NULL, reasons, sizeof reasons);
    if (!asked && reasons[0])
        p->not_taken = arena_strdup(c->arena, reasons);
    plan_place(p, device);
    for (int i = 0; i < p->stages; i++) {
        check_missing_op(c, &p->stage[i], asked);
        if (device)
            check_precision(c, i, device);
    }
}

/* ---- the graph's key ---- */

/* The nearest spelling of a device that is not known, or all that are. */
static const char *device_hint(const struct checker *c, const char *name) {
    struct words words;
    const char *list = "; there are auto", *known;
    /* Nearest by its letters would be 'cpu'. */
    const struct hf_device_class *cls;
    for (int i = 0; strcasecmp(name, "gpu") == 0 && (cls = engine_device_ranked(c->engine, i)); i++)
        if (!is_host(cls))
            return arena_printf(c->arena, "; did you mean '%s'?", cls->name);
    words_begin(&words, strcasecmp(name, "gpu") == 0 ? "" : name);
    words_try(&words, "auto");
    for (int i = 0; (known = engine_device_name(c->engine, i)); i++) {
        words_try(&words, known);
        list = arena_printf(c->arena, "%s, %s", list, known);
    }
    return words.nearest ? words_hint(&words, c->arena) : list;
}

void devices_check_key(struct checker *c, const struct node *n) {
    if (n->broken)
        return;
    if (n->kind != NODE_SCALAR) {
        message_about(c->m, n, "'device' takes the name of a device or auto, not %s",
                      node_shown(n, c->arena));
        return;
    }
    c->plan->device = arena_strdup(c->arena, n->text);
    if (strcmp(n->text, "auto") == 0 || engine_device(c->engine, n->text))
        return;
    const char *why = engine_refusal(c->engine, n->text);
    if (why)
        message_about(c->m, n, "device '%.60s': %s%s", n->text, why,
                      strcmp(n->text, "cpu") == 0 ? "" : "; cpu and auto need no such module");
    else
        message_about(c->m, n, "unknown device '%.60s'%s", n->text, device_hint(c, n->text));
}
