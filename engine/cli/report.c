/* report.c - `hepaflow report`: the page of a run or of a sweep, made again from its folder. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

int command_report(int argc, char **argv) {
    const char *folder = NULL, *file = NULL;
    const struct arg args[] = {
        {"-o", ARG_TEXT, &file}, {"--out", ARG_TEXT, &file}, {NULL, ARG_FLAG, NULL}};
    if (!args_read("report", args, argc, argv, &folder, "DIR", 1))
        return EXIT_USAGE;
    struct hf_error e;
    if (hf_report(folder, file, &e) != HF_OK) {
        fprintf(stderr, "hepaflow report: %s\n", e.text);
        return EXIT_FAILED;
    }
    if (file)
        puts(file);
    else
        printf("%.*s/report.html\n", (int)(strlen(folder) - (folder[strlen(folder) - 1] == '/')),
               folder);
    return EXIT_DONE;
}
