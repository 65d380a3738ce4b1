/*
 * resolved.c - a plan as YAML: the graph with included files, merge keys, aliases, vars, `like`,
 * settings and defaults all worked out, and behind each value where it comes from. It can be
 * planned again, and comes to the same.
 */
#include "graph/check.h"

#include <stdlib.h>
#include <string.h>

#include "graph/print.h"

/* ---- values ---- */

/* Whether a text may stand without quotes wherever a value may. */
static bool is_word(const char *text) {
    static const char safe[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+()-";
    size_t size = strlen(text);
    return size > 0 && text[0] != '-' && strspn(text, safe) == size;
}

static bool is_number(const char *text) {
    double value;
    const char *unit;
    return text[0] == '-' && is_word(text + 1) && number_parse(text, &value, &unit);
}

static void put_scalar(FILE *out, const struct node *n) {
    if (node_null(n)) {
        fputc('~', out);
        return;
    }
    if (n->plain && (is_word(n->text) || is_number(n->text))) {
        fputs(n->text, out);
        return;
    }
    fputc('"', out);
    for (const char *c = n->text; *c; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte == '$' && c[1] == '{')
            fputs("$$", out);
        else if (byte == '"' || byte == '\\')
            fprintf(out, "\\%c", byte);
        else if (byte < ' ' || byte == 0x7F)
            fprintf(out, "\\x%02X", byte);
        else
            fputc(byte, out);
    }
    fputc('"', out);
}

void print_node(FILE *out, const struct node *n) {
    if (n->kind == NODE_SCALAR) {
        put_scalar(out, n);
        return;
    }
    fputc(n->kind == NODE_LIST ? '[' : '{', out);
    for (int i = 0; i < n->count; i++) {
        fputs(i == 0 ? "" : ", ", out);
        if (n->kind == NODE_MAP) {
            put_scalar(out, n->key[i]);
            fputs(": ", out);
        }
        print_node(out, n->item[i]);
    }
    fputc(n->kind == NODE_LIST ? ']' : '}', out);
}

static void put_origin(FILE *out, const struct checker *c, const struct node *n) {
    fputs("  # ", out);
    message_place(out, c->m, n->where);
    for (const struct origin *o = n->origin; o; o = o->further) {
        static const char *const form[] = {", *%s", ", <<: *%s", ", ${%s}", ", with ${%s} of ",
                                           ", like: %s"};
        if (o->kind == ORIGIN_MERGE && !o->name[0])
            fputs(", <<", out);
        else
            fprintf(out, form[o->kind], o->name);
        if (o->kind == ORIGIN_INSIDE)
            message_place(out, c->m, o->where);
    }
    fputc('\n', out);
}

static void put_entry(FILE *out, const struct checker *c, const char *indent, const char *key,
                      const struct node *n) {
    fprintf(out, "%s%s: ", indent, key);
    print_node(out, n);
    put_origin(out, c, n);
}

/* ---- the graph ---- */

static void put_stage(FILE *out, const struct checker *c, const struct draft *d) {
    static const char *const keys[] = {"from",  "model",   "replicas", "depth", "hold",
                                       "cache", "weights", "on_error", "draws", NULL};
    fprintf(out, "  %s:", d->key->text);
    put_origin(out, c, d->key);
    put_entry(out, c, "    ", "use", d->use);
    for (int i = 0; keys[i]; i++) {
        const struct node *n = node_get(d->map, keys[i]);
        bool own = false; /* an option of the class has the key's name */
        for (const struct hf_option *o = d->plan.cls->options; o && o->name; o++)
            own = own || strcmp(o->name, keys[i]) == 0;
        if (n && !node_null(n) && !own)
            put_entry(out, c, "    ", keys[i], n);
    }
    for (const struct hf_option *o = d->plan.cls->options; o && o->name; o++) {
        const struct node *n = node_get(d->given, o->name);
        if (n && !node_null(n))
            put_entry(out, c, "    ", o->name, n);
        else
            fprintf(out, "    %s: %s  # default\n", o->name, o->initial ? o->initial : "~");
    }
}

char *plan_print_yaml(const struct hf_plan *p) {
    const struct checker *c = p->checked;
    char *ret = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&ret, &size);
    if (!out)
        return NULL;
    if (!node_get(c->root, "name"))
        fprintf(out, "name: \"%s\"  # the file's name\n", p->name);
    for (int i = 0; i < c->root->count; i++) {
        const char *key = c->root->key[i]->text;
        if (strcmp(key, "vars") != 0 && strcmp(key, "stages") != 0 && strcmp(key, "sweep") != 0 &&
            strncmp(key, "x-", 2) != 0 && !node_null(c->root->item[i]))
            put_entry(out, c, "", key, c->root->item[i]);
    }
    fputs("stages:\n", out);
    for (int i = 0; i < c->drafts; i++)
        put_stage(out, c, &c->draft[i]);
    if (fclose(out) != 0) {
        free(ret);
        return NULL;
    }
    return ret;
}
