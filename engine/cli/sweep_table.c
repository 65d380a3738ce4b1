/* sweep_table.c - the table of a sweep: for each score a line for each arm. */
#include "cli/sweep.h"

#include <math.h>
#include <string.h>

static const struct sweep_metric *find_metric(const struct sweep_score *score, const char *name) {
    for (int i = 0; i < score->metrics; i++)
        if (name ? strcmp(score->metric[i].name, name) == 0 : !score->metric[i].pooled)
            return &score->metric[i];
    return name || score->metrics == 0 ? NULL : &score->metric[0];
}

/* "0.412 ± 0.101", 13 columns wide where numbers are below 10. */
static void print_spread(const struct spread *s) {
    char sd[32] = "-";
    if (isfinite(s->sd))
        (void)snprintf(sd, sizeof sd, "%.3f", s->sd);
    if (s->n > 0)
        printf("  %7.3f \xC2\xB1 %-6s %5d", s->mean, sd, s->n);
    else
        printf("  %7s   %-6s %5d", "-", "", 0);
}

static void print_difference(const struct difference *d) {
    if (!isfinite(d->mean)) {
        printf("  %10s", "-");
        return;
    }
    printf("  %+10.3f", d->mean);
    if (isfinite(d->low))
        printf("  [%+.3f, %+.3f]", d->low, d->high);
}

static void print_rows(const struct sweep *sw, const struct sweep_run *run,
                       const struct sweep_metric *metric, int width) {
    for (int a = 0; a < sw->arms; a++) {
        const char *error;
        enum sweep_state state = sweep_arm_state(sw, run, a, &error);
        printf("%-*s", width, sw->arm[a].name);
        if (metric)
            print_spread(&metric->value[a].spread);
        if (metric && metric->value[a].spread.n > 0) {
            if (a == sw->baseline)
                fputs("    baseline", stdout);
            else
                print_difference(&metric->value[a].difference);
        }
        if (state != SWEEP_DONE)
            printf("  %s", sweep_state_name(state));
        if (error)
            printf(": %s", error);
        putchar('\n');
    }
}

void sweep_print(const struct sweep *sw, const struct sweep_run *run, const struct sweep_table *t,
                 const char *metric) {
    int width = 3, tables = 0;
    for (int a = 0; a < sw->arms; a++)
        if ((int)strlen(sw->arm[a].name) > width)
            width = (int)strlen(sw->arm[a].name);
    for (int k = 0; k < t->scores; k++) {
        const struct sweep_metric *m = find_metric(&t->score[k], metric);
        if (!m)
            continue;
        printf("\n%s of %s\n%-*s  %16s %5s  %10s  %s\n", m->name, t->score[k].name, width, "arm",
               "mean \xC2\xB1 sd   ", "n", "difference", m->pooled ? "" : "95 % interval");
        print_rows(sw, run, m, width);
        tables++;
    }
    if (tables > 0)
        return;
    if (metric && t->scores > 0)
        printf("\nno score has a metric '%s'; sweep.csv has all there are\n", metric);
    else
        puts("");
    print_rows(sw, run, NULL, width);
}
