/* diff.c - `hepaflow diff`: what two runs differ in, by what their folders tell. */
#include "cli/cli.h"
#include "cli/past.h"

int command_diff(int argc, char **argv) {
    const struct arg args[] = {{NULL, ARG_FLAG, NULL}};
    const char *words[2] = {NULL, NULL};
    struct past a, b;
    if (!args_read("diff", args, argc, argv, words, "DIR", 2))
        return EXIT_USAGE;
    if (!words[1]) {
        fputs("hepaflow diff: the second DIR is missing; see 'hepaflow help diff'\n", stderr);
        return EXIT_USAGE;
    }
    if (!past_read("diff", words[0], &a))
        return EXIT_USAGE;
    if (!past_read("diff", words[1], &b)) {
        past_clear(&a);
        return EXIT_USAGE;
    }
    int count = past_made_of(a.record, b.record) + past_options(&a, &b) + past_scores(&a, &b);
    int files = past_files(a.folder, b.folder, false);
    past_clear(&a);
    past_clear(&b);
    return files < 0 ? EXIT_USAGE : count + files > 0 ? EXIT_FAILED : EXIT_DONE;
}
