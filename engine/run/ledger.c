/*
 * ledger.c - the ledger of failures and ledger.csv.
 */
#include "ledger.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

#define MAX_LINES 10000

static void clear_line(struct ledger_line *line) {
    free(line->job_name);
    free(line->name);
    free(line->case_id);
    free(line->sample);
    free(line->error);
}

void ledger_clear(struct ledger *l) {
    for (int i = 0; i < l->count; i++)
        clear_line(&l->line[i]);
    free(l->line);
    *l = (struct ledger){0};
}

static bool same(const struct ledger_line *a, const struct ledger_line *b) {
    return a->stage == b->stage && a->outcome == b->outcome && strcmp(a->sample, b->sample) == 0 &&
           strcmp(a->case_id, b->case_id) == 0;
}

/* The line of an earlier run about the same event. */
static struct ledger_line *find_repeated(const struct ledger *l, const struct ledger_line *line) {
    for (int i = 0; i < l->count; i++) {
        struct ledger_line *k = &l->line[i];
        if (k->repeated && k->job == line->job && k->epoch == line->epoch &&
            k->ticket == line->ticket && same(k, line))
            return k;
    }
    return NULL;
}

void ledger_repeat(struct ledger *l, const struct ledger_line *line) {
    bool first;
    if (find_repeated(l, line))
        return;
    int before = l->count;
    ledger_add(l, line, &first);
    if (l->count > before)
        l->line[before].repeated = true;
}

void ledger_add(struct ledger *l, const struct ledger_line *line, bool *ret_first) {
    struct ledger_line *again = find_repeated(l, line);
    *ret_first = again;
    if (again) {
        again->repeated = false;
        return;
    }
    *ret_first = l->count < MAX_LINES;
    for (int i = 0; *ret_first && i < l->count; i++)
        *ret_first = !same(&l->line[i], line);
    l->outcomes[line->outcome]++;
    if (l->count == MAX_LINES)
        return;
    if (l->count == l->capacity) {
        int n = l->capacity ? 2 * l->capacity : 16;
        struct ledger_line *more = realloc(l->line, (size_t)n * sizeof *more);
        if (!more)
            return;
        l->line = more;
        l->capacity = n;
    }
    struct ledger_line copy = *line;
    copy.job_name = strdup(line->job_name);
    copy.name = strdup(line->name);
    copy.case_id = strdup(line->case_id);
    copy.sample = strdup(line->sample);
    copy.error = strdup(line->error);
    if (copy.job_name && copy.name && copy.case_id && copy.sample && copy.error)
        l->line[l->count++] = copy;
    else
        clear_line(&copy);
}

const char *ledger_outcome_name(enum ledger_outcome o) {
    static const char *const name[] = {"recovered", "skipped", "failed"};
    return name[o];
}

void ledger_sum(const struct ledger *l, char *text, size_t size) {
    long long skipped = l->outcomes[LEDGER_SKIPPED], recovered = l->outcomes[LEDGER_RECOVERED];
    size_t n = 0;
    text[0] = 0;
    if (skipped > 0)
        n = (size_t)snprintf(text, size, "%lld sample%s skipped", skipped,
                             skipped == 1 ? " was" : "s were");
    if (recovered > 0 && n < size)
        (void)snprintf(text + n, size - n, "%s%lld%s succeeded when tried again", n ? ", " : "",
                       recovered,
                       n                ? ""
                       : recovered == 1 ? " sample"
                                        : " samples");
}

static int compare(const void *va, const void *vb) {
    const struct ledger_line *a = va, *b = vb;
    if (a->job != b->job)
        return a->job < b->job ? -1 : 1;
    if (a->stage != b->stage)
        return a->stage < b->stage ? -1 : 1;
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    if (a->ticket != b->ticket)
        return a->ticket < b->ticket ? -1 : 1;
    return strcmp(a->sample, b->sample);
}

void ledger_sort(struct ledger *l) {
    if (l->count > 0)
        qsort(l->line, (size_t)l->count, sizeof *l->line, compare);
}

const struct ledger_line *ledger_last(const struct ledger *l, int job, int stage) {
    const struct ledger_line *last = NULL;
    for (int i = 0; i < l->count; i++) {
        const struct ledger_line *k = &l->line[i];
        if (k->job == job && k->stage == stage && (!last || compare(k, last) > 0))
            last = k;
    }
    return last;
}

/* A value of a CSV line; a line break in it becomes a space. */
static void put(FILE *f, const char *text) {
    bool quoted = strpbrk(text, ",\"\r\n") != NULL;
    if (quoted)
        (void)fputc('"', f);
    for (; *text; text++) {
        if (*text == '"')
            (void)fputc('"', f);
        (void)fputc(*text == '\n' || *text == '\r' ? ' ' : *text, f);
    }
    if (quoted)
        (void)fputc('"', f);
}

static void put_all(FILE *f, const struct ledger *l, uint64_t seed) {
    (void)fputs("job,stage,case,sample,epoch,seed,attempts,outcome,error\n", f);
    for (int i = 0; i < l->count; i++) {
        const struct ledger_line *k = &l->line[i];
        const char *const words[] = {k->job_name, k->name, k->case_id, k->sample};
        for (int w = 0; w < 4; w++) {
            put(f, words[w]);
            (void)fputc(',', f);
        }
        (void)fprintf(f, "%llu,%llu,%d,%s,", (unsigned long long)k->epoch, (unsigned long long)seed,
                      k->attempts, ledger_outcome_name(k->outcome));
        put(f, k->error);
        (void)fputc('\n', f);
    }
}

enum hf_status ledger_write(const struct ledger *l, uint64_t seed, const char *folder, bool fresh,
                            struct hf_error *e) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/ledger.csv", folder);
    if (n < 0 || (size_t)n >= sizeof path)
        return hf_fail(e, HF_INVALID, "the path of the results folder is too long");
    if (l->count == 0)
        return fresh ? file_remove(path, e) : HF_OK;
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return hf_fail(e, HF_NO_MEMORY, "%s: no memory for the ledger", path);
    put_all(f, l, seed);
    bool bad = ferror(f);
    bad = fclose(f) != 0 || bad;
    enum hf_status st = bad ? hf_fail(e, HF_NO_MEMORY, "%s: no memory for the ledger", path)
                            : file_write(path, text, size, e);
    free(text);
    return st;
}
