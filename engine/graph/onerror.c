/*
 * onerror.c - the keys `on_error`, of the graph and of its stages: what becomes of a sample when
 * the stage that has it fails.
 */
#include "graph/check.h"

#include <stdlib.h>
#include <string.h>

#include "graph/print.h"

#define MAX_RETRIES 100

/* "retry(n)"; 0: it is something else, or n is out of range. */
static int retries_of(const char *text) {
    char *end = NULL;
    if (strncmp(text, "retry(", 6) != 0 || text[6] < '0' || text[6] > '9')
        return 0;
    long n = strtol(text + 6, &end, 10);
    return strcmp(end, ")") == 0 && n >= 1 && n <= MAX_RETRIES ? (int)n : 0;
}

static bool refuse(struct messages *m, const struct node *n) {
    struct words words;
    words_begin(&words, n->kind == NODE_SCALAR ? n->text : "");
    words_try(&words, "fail");
    words_try(&words, "skip");
    message_about(m, n,
                  "'on_error' takes fail, skip, retry(n), or [retry(n), skip], n from 1 to %d, "
                  "not %s%s",
                  MAX_RETRIES, node_shown(n, m->arena), words_hint(&words, m->arena));
    return false;
}

static bool take_word(struct messages *m, const struct node *n, struct on_error *ret) {
    if (n->broken)
        return false;
    if (n->kind != NODE_SCALAR)
        return refuse(m, n);
    ret->skip = strcmp(n->text, "skip") == 0;
    ret->retries = retries_of(n->text);
    return ret->skip || ret->retries > 0 || strcmp(n->text, "fail") == 0 || refuse(m, n);
}

/* A retry, and what becomes of the sample after the last one. */
static bool take_list(struct messages *m, const struct node *list, struct on_error *ret) {
    struct on_error then = {0};
    if (list->count != 2) {
        message_about(m, list,
                      "'on_error' takes a list of two, such as [retry(2), skip], not of %d",
                      list->count);
        return false;
    }
    if (!take_word(m, list->item[0], ret) || !take_word(m, list->item[1], &then))
        return false;
    if (ret->retries == 0 || then.retries > 0) {
        message_about(m, list,
                      "in a list for 'on_error' a retry(n) stands first, then skip or fail");
        return false;
    }
    ret->skip = then.skip;
    return true;
}

bool on_error_parse(struct messages *m, const struct node *n, struct on_error *ret) {
    struct on_error got = {0};
    struct node *node = (struct node *)(uintptr_t)n;
    bool good = n->kind == NODE_LIST ? take_list(m, node_spread(m->arena, node), &got)
                                     : take_word(m, n, &got);
    if (good)
        *ret = got;
    return good;
}

void on_error_check(struct checker *c, struct draft *d) {
    const struct hf_stage_class *cls = d->plan.cls;
    const struct node *n = node_get(d->map, "on_error");
    bool one = cls->kind == HF_SOURCE || cls->kind == HF_MAP || cls->kind == HF_MIX;
    if (one)
        d->plan.on_error = c->on_error;
    if (!n || node_null(n) || !on_error_parse(c->m, n, &d->plan.on_error) || one)
        return;
    if (d->plan.on_error.skip || d->plan.on_error.retries > 0)
        message_about(c->m, n,
                      "stage '%s' (%s) hands on no samples: what fails there is not one of them, "
                      "and ends the run; set 'on_error' on the stages before it",
                      d->key->text, cls->name);
}

const char *on_error_shown(const struct on_error *on, char text[ON_ERROR_TEXT]) {
    if (on->retries > 0)
        (void)snprintf(text, ON_ERROR_TEXT, on->skip ? "[retry(%d), skip]" : "retry(%d)",
                       on->retries);
    else
        (void)snprintf(text, ON_ERROR_TEXT, "%s", on->skip ? "skip" : "fail");
    return text;
}
