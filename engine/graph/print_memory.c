/* print_memory.c - how much memory each job of a plan takes at most, for people. */
#include "graph/print.h"

#include "run/memory.h"

/* "1.23 GB", "45.6 MB" */
static void print_bytes(FILE *out, int64_t bytes) {
    if (bytes >= 999500000)
        fprintf(out, "%.3g GB", (double)bytes * 1e-9);
    else
        fprintf(out, "%.3g MB", (double)bytes * 1e-6);
}

static void print_side(FILE *out, const struct hf_plan *p, const struct job_memory *j,
                       enum side d) {
    const struct {
        const char *what;
        int64_t bytes;
    } part[] = {{"samples", j->samples[d]},
                {"work", j->work[d]},
                {"networks", j->networks[d]},
                {"sinks", j->sinks[d]},
                {"held", j->hold[d]}};
    bool any = false;
    print_bytes(out, job_memory_total(j, d));
    fprintf(out, " on %s", d == SIDE_HOST ? "the cpu" : p->runs_on);
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        if (part[i].bytes <= 0)
            continue;
        fprintf(out, "%s%s ", any ? ", " : " (", part[i].what);
        print_bytes(out, part[i].bytes);
        any = true;
    }
    if (any)
        fputc(')', out);
}

void memory_print(FILE *out, const struct hf_plan *p) {
    const struct memory *m = p->memory;
    fprintf(out, "\nMemory at most, with %d worker%s (%s)\n", m->workers,
            m->workers == 1 ? "" : "s",
            m->scanned ? "as a pass over the streams has shown" : "from headers alone");
    for (int i = 0; i < p->jobs; i++) {
        const struct job_memory *j = &m->job[i];
        fprintf(out, "%3d. %s: ", i + 1, p->job[i].name);
        if (!j->known) {
            fprintf(out, "unknown: %s\n", j->unknown);
            continue;
        }
        print_side(out, p, j, SIDE_HOST);
        if (m->device) {
            fputs(",\n     ", out);
            print_side(out, p, j, SIDE_DEVICE);
        }
        fputc('\n', out);
    }
}
