/* print.c - a plan for people: jobs, stages with what is on their edges, what supervises models. */
#include "graph/print.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "graph/devices.h"
#include "graph/lineage.h"
#include "run/memory.h"

const char *stage_kind_name(enum hf_stage_kind kind) {
    static const char *const name[] = {"source", "map", "mix", "sink", "model"};
    return name[kind];
}

const char *place_name(enum hf_place place) {
    static const char *const name[] = {"grid", "canonical", "host"};
    return name[place];
}

const char *shape_print(const struct plan_field *f, char *buffer, size_t size) {
    static const char letter[4] = {'C', 'D', 'H', 'W'};
    if (f->place == HF_ON_HOST) {
        (void)snprintf(buffer, size, "table");
        return buffer;
    }
    size_t used = 0;
    for (int i = 0; i < 4 && used < size; i++) {
        int n = f->shape[i] >= 0
                    ? snprintf(buffer + used, size - used, "%c%lld", i == 0 ? '[' : ',',
                               (long long)f->shape[i])
                    : snprintf(buffer + used, size - used, "%c%c", i == 0 ? '[' : ',', letter[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    if (used + 1 < size)
        memcpy(buffer + used, "]", 2);
    return buffer;
}

/* Puts a word into a line of at most 100 columns, or begins the next one. */
static void print_word(FILE *out, const char *word, int indent, int *column) {
    int size = (int)strlen(word);
    if (*column + 1 + size > 100) {
        fprintf(out, "\n%*s", indent, "");
        *column = indent;
    } else {
        fputc(' ', out);
        (*column)++;
    }
    fputs(word, out);
    *column += size;
}

/* ---- what supervises a model ---- */

struct leaves {
    struct leaf *leaf;
    int count;
};

static void add_leaf(void *arg, const struct lineage *l, enum plan_reach how) {
    struct leaves *all = arg;
    if (l->parents > 0)
        return;
    for (int i = 0; i < all->count; i++)
        if (strcmp(all->leaf[i].field, l->field) == 0 && all->leaf[i].stage == l->stage) {
            if (how > all->leaf[i].how)
                all->leaf[i].how = how;
            return;
        }
    if (all->count < MAX_LEAVES)
        all->leaf[all->count++] = (struct leaf){l->field, l->stage, how};
}

static int compare_leaves(const void *a, const void *b) {
    const struct leaf *x = a, *y = b;
    int by_field = strcmp(x->field, y->field);
    return by_field != 0 ? by_field : x->stage - y->stage;
}

int plan_leaves(const struct hf_plan *p, int stage, struct leaf leaf[MAX_LEAVES]) {
    struct leaves all = {.leaf = leaf};
    if (!lineage_walk(p, stage, add_leaf, &all))
        return -1;
    qsort(leaf, (size_t)all.count, sizeof *leaf, compare_leaves);
    return all.count;
}

/* The steps that lead to a field, each once, with the parents that are not models' doing. */
static void print_steps(FILE *out, const struct hf_plan *p, const struct lineage *l, int indent,
                        const struct lineage **done, int *count) {
    for (int i = 0; i < *count; i++)
        if (done[i] == l)
            return;
    if (*count == MAX_LEAVES || l->parents == 0)
        return;
    done[(*count)++] = l;
    const struct plan_stage *s = &p->stage[l->stage];
    fprintf(out, "%*s%s: '%s' (%s) of ", indent, "", l->field, s->name, s->cls->name);
    for (int i = 0; i < l->parents; i++) {
        bool twice = false;
        for (int k = 0; k < i; k++)
            twice = twice || (strcmp(l->parent[k]->field, l->parent[i]->field) == 0 &&
                              l->annotation[k] == l->annotation[i]);
        if (!twice)
            fprintf(out, "%s%s%s", i == 0 ? "" : ", ",
                    l->annotation[i] ? "the image-level annotation from " : "",
                    l->parent[i]->field);
    }
    if (l->model >= 0)
        fprintf(out, ", by the model of '%s'", p->stage[l->model].name);
    fputc('\n', out);
    for (int i = 0; i < l->parents; i++)
        print_steps(out, p, l->parent[i], indent + 2, done, count);
}

static const struct lineage *learned_field(const struct plan_stage *s, const char *field) {
    for (int i = 0; i < s->learned; i++)
        if (strcmp(s->learns[i]->field, field) == 0)
            return s->learns[i];
    return NULL;
}

static void print_leaves(FILE *out, const struct hf_plan *p, int stage) {
    struct leaf leaf[MAX_LEAVES];
    int count = plan_leaves(p, stage, leaf);
    int column = fprintf(out, "    in all it sees:");
    if (count < 0)
        fputs(" out of memory", out);
    for (int i = 0; i < count; i++) {
        char word[HF_FIELD_NAME + 160];
        (void)snprintf(
            word, sizeof word, "%s of '%.64s'%s%s", leaf[i].field, p->stage[leaf[i].stage].name,
            leaf[i].how == REACH_ANNOTATION ? " (only as an image-level annotation)" : "",
            i + 1 < count ? "," : "");
        print_word(out, word, 8, &column);
    }
    fputc('\n', out);
}

static void print_supervision(FILE *out, const struct hf_plan *p) {
    bool any = false;
    for (int i = 0; i < p->stages; i++) {
        const struct plan_stage *s = &p->stage[i];
        bool before = s->cls->kind == HF_MODEL;
        if (s->learned == 0 && !before)
            continue;
        fprintf(out, "%s  %s learns '%s'", any ? "" : "\nWhat supervises each model\n", s->name,
                s->yields.target);
        any = true;
        if (s->yields.weight[0])
            fprintf(out, " weighted by '%s'", s->yields.weight);
        fputs(" from [", out);
        for (int k = 0; k < s->yields.inputs.count; k++)
            fprintf(out, "%s%s", k == 0 ? "" : ", ", s->yields.inputs.name[k]);
        fprintf(out, "]%s%s\n", s->yields.network[0] ? " with " : "", s->yields.network);
        if (before) {
            fprintf(out, "    before this graph, as its stage '%s'\n", s->yields.stage);
            continue;
        }
        const struct lineage *done[MAX_LEAVES], *l = learned_field(s, s->yields.target);
        int count = 0;
        if (l)
            print_steps(out, p, l, 4, done, &count);
        if (s->yields.weight[0] && (l = learned_field(s, s->yields.weight)))
            print_steps(out, p, l, 4, done, &count);
        print_leaves(out, p, i);
    }
}

/* ---- the rest of the text ---- */

static void print_jobs(FILE *out, const struct hf_plan *p) {
    fprintf(out, "Jobs (%d at once)\n", p->jobs_at_once);
    for (int i = 0; i < p->jobs; i++) {
        const struct plan_job *j = &p->job[i];
        int column = fprintf(out, "%3d.", i + 1);
        for (int k = 0; k < j->sinks; k++) {
            char word[256];
            const struct plan_stage *s = &p->stage[j->sink[k]];
            (void)snprintf(word, sizeof word, "%s (%s%s)%s", s->name, s->cls->name,
                           p->stored && p->stored[j->sink[k]] ? ", stored" : "",
                           k + 1 < j->sinks || j->after > 0 ? "," : "");
            print_word(out, word, 5, &column);
        }
        for (int k = 0; k < j->after; k++) {
            char word[32];
            (void)snprintf(word, sizeof word, "%s%d%s", k == 0 ? "after " : "", j->after_job[k] + 1,
                           k + 1 < j->after ? "," : "");
            print_word(out, word, 5, &column);
        }
        fputc('\n', out);
    }
}

static void print_fields(FILE *out, const struct plan_stage *s, const struct hf_plan *p,
                         int width) {
    int indent = width + 9, column = indent - 1, written = 0, kept = 0;
    for (int i = 0; i < s->fields; i++)
        *(s->field[i].lineage->stage == (int)(s - p->stage) ? &written : &kept) += 1;
    if (s->fields > 0)
        fprintf(out, "%*s->", indent - 3, "");
    for (int i = 0, n = 0; i < s->fields; i++) {
        const struct plan_field *f = &s->field[i];
        char shape[96], word[192];
        if (f->lineage->stage != (int)(s - p->stage))
            continue;
        (void)snprintf(word, sizeof word, "%s %s %s%s%s", f->name, hf_dtype_name(f->dtype),
                       shape_print(f, shape, sizeof shape),
                       f->place == HF_ON_CANONICAL ? " canonical" : "",
                       ++n < written ? ","
                       : kept > 0    ? ";"
                                     : "");
        print_word(out, word, indent, &column);
    }
    if (kept > 0)
        print_word(out, written > 0 ? "as before:" : "all as before:", indent, &column);
    for (int i = 0, n = 0; i < s->fields; i++) {
        char word[HF_FIELD_NAME + 8];
        if (s->field[i].lineage->stage == (int)(s - p->stage))
            continue;
        (void)snprintf(word, sizeof word, "%s%s", s->field[i].name, ++n < kept ? "," : "");
        print_word(out, word, indent, &column);
    }
    if (s->fields > 0)
        fputc('\n', out);
}

/* What is brought to where the stage runs, input by input. */
static void print_copies(FILE *out, const struct plan_stage *s, const struct hf_plan *p,
                         int width) {
    for (int k = 0; k < s->inputs; k++) {
        const char *to = plan_copied_to(p, s, k);
        const struct plan_field *f;
        int indent = width + 9, column = indent - 3;
        char word[HF_FIELD_NAME + 96];
        bool slice;
        if (!to)
            continue;
        column += fprintf(out, "%*scopies", indent - 3, "") - (indent - 3);
        if (s->inputs > 1) {
            print_word(out, "from", indent, &column);
            print_word(out, p->stage[s->input[k]].name, indent, &column);
        }
        for (int i = 0; (f = plan_copied_field(p, s, k, i)); i++) {
            (void)snprintf(word, sizeof word, "%s%s", f->name,
                           plan_copied_field(p, s, k, i + 1) ? "," : "");
            print_word(out, word, indent, &column);
        }
        print_word(out, strcmp(to, "cpu") == 0 ? "to the" : "to", indent, &column);
        print_word(out, to, indent, &column);
        int64_t bytes = plan_copied_bytes(p, s, k, &slice);
        if (bytes >= 0) {
            (void)snprintf(word, sizeof word, "(%.3g MB a %s)", (double)bytes / 1e6,
                           slice ? "slice" : "sample");
            print_word(out, word, indent, &column);
        }
        fputc('\n', out);
    }
}

/* What another `use` in place of the stage's has left out. */
static void print_left_out(FILE *out, const struct plan_stage *s, int width) {
    int indent = width + 9, column = indent - 3;
    if (s->left_out_count == 0)
        return;
    column += fprintf(out, "%*swithout", indent - 3, "") - (indent - 3);
    for (int i = 0; i < s->left_out_count; i++) {
        char word[80];
        (void)snprintf(word, sizeof word, "%.70s%s", s->left_out[i],
                       i + 1 < s->left_out_count ? "," : ":");
        print_word(out, word, indent, &column);
    }
    fprintf(out, " not of %s\n", s->cls->name);
}

static void print_stage(FILE *out, const struct plan_stage *s, const struct hf_plan *p, int width) {
    char on_error[ON_ERROR_TEXT];
    fprintf(out, "  %-*s  %s", width, s->name, s->cls->name);
    for (int k = 0; k < s->inputs; k++) {
        fprintf(out, "%s%s", k == 0 ? " from " : ", ", p->stage[s->input[k]].name);
        if (s->mix_weight[k] > 0)
            fprintf(out, " (%g)", s->mix_weight[k]);
    }
    if (s->model >= 0)
        fprintf(out, ", model of %s", p->stage[s->model].name);
    if (s->cls->flags & HF_STAGE_RANDOM)
        fputs(", draws at random", out);
    if (s->draws_once)
        fputs(", draws once", out);
    if (s->hold > 0)
        fprintf(out, ", holds %.3g MB", (double)s->hold / 1e6);
    if (s->cache)
        fputs(", kept in the store", out);
    if (s->on_error.retries > 0 || s->on_error.skip)
        fprintf(out, ", on_error: %s", on_error_shown(&s->on_error, on_error));
    if (p->memory && p->memory->stage[s - p->stage].samples >= 0 && s->cls->kind != HF_SINK)
        fprintf(out, ", %lld samples a pass", (long long)p->memory->stage[s - p->stage].samples);
    if (s->replicas > 1)
        fprintf(out, ", %d replicas", s->replicas);
    if (s->missing_op)
        fprintf(out, ", on the CPU for want of the op '%s'", s->missing_op);
    else if (!s->on_device)
        fputs(", on the CPU", out);
    fputc('\n', out);
    print_left_out(out, s, width);
    print_copies(out, s, p, width);
    print_fields(out, s, p, width);
}

char *plan_print_text(const struct hf_plan *p) {
    char *ret = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&ret, &size);
    if (!out)
        return NULL;
    fprintf(out, "%s (%s), seed %llu, device %s\n", p->name, p->path, (unsigned long long)p->seed,
            p->device);
    char *device = plan_device_line(p);
    if (device)
        fprintf(out, "%s\n", device);
    free(device);
    fputc('\n', out);
    print_jobs(out, p);
    int width = 0;
    for (int i = 0; i < p->stages; i++)
        if ((int)strlen(p->stage[i].name) > width)
            width = (int)strlen(p->stage[i].name);
    fputs("\nStages\n", out);
    for (int i = 0; i < p->stages; i++)
        print_stage(out, &p->stage[i], p, width);
    print_supervision(out, p);
    if (p->memory)
        memory_print(out, p);
    if (fclose(out) == 0)
        return ret;
    free(ret);
    return NULL;
}

/* ---- dot ---- */

char *plan_print_dot(const struct hf_plan *p) {
    static const char *const shape[] = {"cylinder", "box", "invtriangle", "doubleoctagon", "note"};
    char *ret = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&ret, &size);
    if (!out)
        return NULL;
    fprintf(out, "digraph \"%s\" {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n",
            strchr(p->name, '"') || strchr(p->name, '\\') ? "graph" : p->name);
    for (int i = 0; i < p->stages; i++) {
        const struct plan_stage *s = &p->stage[i];
        bool device = s->on_device && strcmp(p->runs_on, "cpu") != 0;
        fprintf(out, "  \"%s\" [label=\"%s\\n%s%s%s\", shape=%s%s];\n", s->name, s->name,
                s->cls->name, device ? "\\non " : "", device ? p->runs_on : "", shape[s->cls->kind],
                s->random ? ", style=rounded" : "");
    }
    for (int i = 0; i < p->stages; i++) {
        const struct plan_stage *s = &p->stage[i];
        for (int k = 0; k < s->inputs; k++) {
            const struct plan_stage *in = &p->stage[s->input[k]];
            fprintf(out, "  \"%s\" -> \"%s\" [label=\"", in->name, s->name);
            for (int n = 0; n < in->fields; n++)
                fprintf(out, "%s%s%s%s", n == 0 ? "" : "\\n", in->field[n].name,
                        s->copied[k] >> n & 1 ? " to " : "",
                        s->copied[k] >> n & 1 ? plan_copied_to(p, s, k) : "");
            fprintf(out, "\"%s];\n", s->copied[k] ? ", color=blue" : "");
        }
        if (s->model >= 0)
            fprintf(out, "  \"%s\" -> \"%s\" [label=\"model\", style=dashed];\n",
                    p->stage[s->model].name, s->name);
    }
    fputs("}\n", out);
    if (fclose(out) == 0)
        return ret;
    free(ret);
    return NULL;
}

enum hf_status hf_plan_print(const struct hf_plan *plan, enum hf_plan_format format,
                             char **ret_text, struct hf_error *e) {
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (!plain)
        return hf_fail(e, HF_NO_MEMORY, "out of memory while printing the plan");
    locale_t before = uselocale(plain);
    char *text = format == HF_PLAN_JSON   ? plan_print_json(plan)
                 : format == HF_PLAN_DOT  ? plan_print_dot(plan)
                 : format == HF_PLAN_YAML ? plan_print_yaml(plan)
                                          : plan_print_text(plan);
    (void)uselocale(before);
    freelocale(plain);
    if (!text)
        return hf_fail(e, HF_NO_MEMORY, "out of memory while printing the plan");
    *ret_text = text;
    return HF_OK;
}
