/*
 * sample.c - samples: built by one thread, sealed when emitted, then shared by reference. A field
 * that was copied to where a stage reads it stays in both places: the sample keeps its twin.
 *
 * A stage is handed a view of a sample where that has fields on the grid that the stage did not
 * declare: they may lie on another device, so it does not see them. What is derived from the view
 * has them all the same.
 */
#include "run.h"

#include <stdlib.h>

#include "engine.h"

struct sample {
    struct hf_sample pub;
    atomic_int refs;
    atomic_int sealed;
    struct services *services;
    struct sample *retired;                /* the next one of a list of them */
    const struct hf_sample *behind;        /* of a view: the sample, which owns all that it shows */
    struct hf_tensor *twin[HF_MAX_FIELDS]; /* of each field, on the other side, or NULL */
    char text[];                           /* id, case and patient */
};

static struct sample *sample_of(const struct hf_sample *s) {
    return (struct sample *)(uintptr_t)s;
}

enum hf_status sample_new(const struct hf_host *h, const char *id, const char *case_id,
                          const char *patient, struct hf_sample **ret, struct hf_error *e) {
    const char *const text[3] = {id ? id : "", case_id ? case_id : "", patient ? patient : ""};
    size_t size[3], total = 0;
    for (int i = 0; i < 3; i++)
        total += size[i] = strlen(text[i]) + 1;
    struct sample *s = calloc(1, sizeof *s + total);
    if (!s)
        return hf_fail(e, HF_NO_MEMORY, "no memory for sample '%s'", text[0]);
    const char *kept[3];
    char *at = s->text;
    for (int i = 0; i < 3; at += size[i], i++)
        kept[i] = memcpy(at, text[i], size[i]);
    s->pub.id = kept[0];
    s->pub.case_id = kept[1];
    s->pub.patient = kept[2];
    s->services = services_of(h);
    atomic_init(&s->refs, 1);
    atomic_init(&s->sealed, 0);
    atomic_fetch_add(&s->services->samples, 1);
    *ret = &s->pub;
    return HF_OK;
}

const struct hf_sample *sample_whole(const struct hf_sample *s) {
    return sample_of(s)->behind ? sample_of(s)->behind : s;
}

static bool hides(const struct hf_field *f, const struct reads *reads) {
    return f->place == HF_ON_GRID && !reads_field(reads, f->name);
}

enum hf_status sample_view(const struct hf_sample *s, const struct reads *reads,
                           const struct hf_sample **ret, struct hf_error *e) {
    bool hidden = false;
    for (int32_t i = 0; !hidden && i < s->fields; i++)
        hidden = hides(&s->field[i], reads);
    if (!hidden) {
        *ret = s;
        return HF_OK;
    }
    struct sample *view = malloc(sizeof *view);
    if (!view) {
        sample_unref(s);
        return hf_fail(e, HF_NO_MEMORY, "no memory for sample '%s'", s->id);
    }
    memcpy(view, s, offsetof(struct sample, pub) + offsetof(struct hf_sample, fields));
    view->pub.fields = 0;
    for (int32_t i = 0; i < s->fields; i++)
        if (!hides(&s->field[i], reads)) {
            view->twin[view->pub.fields] = sample_of(s)->twin[i];
            view->pub.field[view->pub.fields++] = s->field[i];
        }
    view->services = sample_of(s)->services;
    view->retired = NULL;
    view->behind = s;
    atomic_init(&view->refs, 1);
    atomic_init(&view->sealed, 1);
    *ret = &view->pub;
    return HF_OK;
}

enum hf_status sample_derive(const struct hf_host *h, const struct hf_sample *from, const char *id,
                             struct hf_sample **ret, struct hf_error *e) {
    struct hf_sample *s = NULL;
    from = sample_whole(from);
    enum hf_status st = sample_new(h, id ? id : from->id, from->case_id, from->patient, &s, e);
    if (st != HF_OK)
        return st;
    s->grid = from->grid;
    s->canonical = from->canonical;
    s->file = from->file;
    s->fields = from->fields;
    for (int32_t i = 0; i < from->fields; i++) {
        s->field[i] = from->field[i];
        tensor_ref(s->field[i].tensor);
        sample_of(s)->twin[i] = sample_of(from)->twin[i];
        if (sample_of(s)->twin[i])
            tensor_ref(sample_of(s)->twin[i]);
    }
    *ret = s;
    return HF_OK;
}

void sample_ref(const struct hf_sample *s) {
    atomic_fetch_add_explicit(&sample_of(s)->refs, 1, memory_order_relaxed);
}

static void sample_free(struct sample *s) {
    if (s->behind) {
        sample_unref(s->behind);
        free(s);
        return;
    }
    for (int32_t i = 0; i < s->pub.fields; i++) {
        tensor_unref(s->pub.field[i].tensor);
        tensor_unref(s->twin[i]);
    }
    atomic_fetch_sub(&s->services->samples, 1);
    free(s);
}

static bool was_last(struct sample *s) {
    return atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1;
}

void sample_unref(const struct hf_sample *s) {
    if (s && was_last(sample_of(s)))
        sample_free(sample_of(s));
}

void sample_retire(const struct hf_sample *pub, struct sample **list) {
    struct sample *s = sample_of(pub);
    if (was_last(s)) {
        s->retired = *list;
        *list = s;
    }
}

void sample_free_retired(struct sample *list) {
    while (list) {
        struct sample *following = list->retired;
        sample_free(list);
        list = following;
    }
}

enum hf_status sample_set(struct hf_sample *s, const char *field, enum hf_place place,
                          struct hf_tensor *t, struct hf_error *e) {
    struct hf_field *f = (struct hf_field *)(uintptr_t)hf_sample_find(s, field);
    enum hf_status st = HF_OK;
    if (atomic_load(&sample_of(s)->sealed))
        st = hf_fail(e, HF_INVALID, "field '%s' was set on a sample that has been emitted", field);
    else if (!field[0] || strlen(field) >= HF_FIELD_NAME)
        st = hf_fail(e, HF_INVALID, "the field name '%s' has not 1 to %d characters", field,
                     HF_FIELD_NAME - 1);
    else if (!f && s->fields == HF_MAX_FIELDS)
        st = hf_fail(e, HF_INVALID, "no room for field '%s': a sample has at most %d", field,
                     HF_MAX_FIELDS);
    if (st != HF_OK) {
        tensor_unref(t);
        return st;
    }
    if (f) {
        tensor_unref(f->tensor);
        tensor_unref(sample_of(s)->twin[f - s->field]);
        sample_of(s)->twin[f - s->field] = NULL;
    } else {
        sample_of(s)->twin[s->fields] = NULL;
        f = &s->field[s->fields++];
        (void)snprintf(f->name, sizeof f->name, "%s", field);
    }
    f->tensor = t;
    f->place = place;
    return HF_OK;
}

void sample_drop(struct hf_sample *s, const char *field) {
    const struct hf_field *f = hf_sample_find(s, field);
    if (!f || atomic_load(&sample_of(s)->sealed))
        return;
    int32_t at = (int32_t)(f - s->field);
    struct hf_tensor **twin = &sample_of(s)->twin[at];
    tensor_unref(f->tensor);
    tensor_unref(*twin);
    s->fields--;
    memmove(&s->field[at], &s->field[at + 1], (size_t)(s->fields - at) * sizeof s->field[0]);
    memmove(twin, twin + 1, (size_t)(s->fields - at) * sizeof *twin);
}

enum hf_status sample_seal(struct hf_sample *s, struct hf_error *e) {
    for (int32_t i = 0; i < s->fields; i++) {
        const struct hf_field *f = &s->field[i];
        if (f->place == HF_ON_HOST)
            continue;
        const struct hf_tensor *t = f->tensor;
        const int64_t *size = f->place == HF_ON_GRID ? s->grid.size : s->canonical.size;
        if (t->dl.ndim != 4 || memcmp(&t->shape[1], size, 3 * sizeof *size) != 0)
            return hf_fail(e, HF_INVALID,
                           "sample '%s': field '%s' has %d dimensions, the last three "
                           "%lld x %lld x %lld; expected [C,D,H,W] on the grid of "
                           "%lld x %lld x %lld",
                           s->id, f->name, (int)t->dl.ndim, (long long)t->shape[1],
                           (long long)t->shape[2], (long long)t->shape[3], (long long)size[0],
                           (long long)size[1], (long long)size[2]);
    }
    atomic_store(&sample_of(s)->sealed, 1);
    return HF_OK;
}

static bool moves(const struct hf_field *f, const struct reads *reads, const struct hf_device *d) {
    return f->place == HF_ON_GRID && f->tensor->device != d && reads_field(reads, f->name);
}

bool sample_lies_on(const struct hf_sample *s, const struct reads *reads,
                    const struct hf_device *d) {
    for (int32_t i = 0; i < s->fields; i++)
        if (moves(&s->field[i], reads, d))
            return false;
    return true;
}

enum hf_status sample_to(const struct hf_host *h, const struct hf_sample *s,
                         const struct reads *reads, struct hf_device *d, struct hf_queue *q,
                         const struct hf_sample **ret, struct hf_error *e) {
    struct hf_sample *moved = NULL;
    enum hf_status st = sample_derive(h, s, NULL, &moved, e);
    for (int32_t i = 0; st == HF_OK && i < s->fields; i++) {
        struct hf_tensor *there = NULL;
        if (!moves(&s->field[i], reads, d))
            continue;
        st = tensor_share(h, s->field[i].tensor, d, q, &there, e);
        if (st == HF_OK) {
            tensor_unref(sample_of(moved)->twin[i]);
            sample_of(moved)->twin[i] = moved->field[i].tensor;
            moved->field[i].tensor = there;
        }
    }
    if (st == HF_OK)
        *ret = moved;
    else
        sample_unref(moved);
    return st;
}

enum hf_status sample_arrive(const struct hf_sample *s, const struct reads *reads,
                             struct hf_error *e) {
    enum hf_status st = HF_OK;
    for (int32_t i = 0; st == HF_OK && i < s->fields; i++)
        if (s->field[i].tensor->device->host_memory && reads_field(reads, s->field[i].name))
            st = tensor_wait(s->field[i].tensor, e);
    return st;
}

struct hf_tensor *sample_twin(const struct hf_sample *s, int32_t i) {
    return sample_of(s)->twin[i];
}

int64_t sample_bytes(const struct hf_sample *s) {
    int64_t n = (int64_t)sizeof(struct sample);
    for (int32_t i = 0; i < s->fields; i++) {
        const struct hf_tensor *twin = sample_twin(s, i);
        n += (int64_t)(s->field[i].tensor->bytes + (twin ? twin->bytes : 0));
    }
    return n;
}

enum hf_status samples_push(struct samples *list, const struct hf_sample *s, struct hf_error *e) {
    if (list->count == list->capacity) {
        int n = list->capacity ? 2 * list->capacity : 4;
        const struct hf_sample **more = realloc(list->item, (size_t)n * sizeof(*more));
        if (!more) {
            sample_unref(s);
            return hf_fail(e, HF_NO_MEMORY, "no memory for a list of samples");
        }
        list->item = more;
        list->capacity = n;
    }
    list->item[list->count++] = s;
    return HF_OK;
}

void samples_clear(struct samples *list) {
    for (int i = 0; i < list->count; i++)
        sample_unref(list->item[i]);
    free(list->item);
    *list = (struct samples){0};
}

void samples_retire(struct samples *list, struct sample **retired) {
    for (int i = 0; i < list->count; i++)
        sample_retire(list->item[i], retired);
    free(list->item);
    *list = (struct samples){0};
}
