/* main.c - the program `hepaflow`: one subcommand a file. */
#include "cli/cli.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdlib.h>
#include <string.h>

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *usage;
};

static const struct command commands[] = {
    {"run", command_run,
     "run GRAPH [--set stage.option=value]... [--out DIR] [--device NAME] [--workers N]\n"
     "      [--seed N] [--fresh | --watch] [--store DIR | --no-store] [--trace FILE] [--json]\n"
     "      checks a graph and runs it; results go to DIR (default: out/<name of the graph>);\n"
     "      NAME is cpu, cuda, ..., or auto (the graph's default): the best that opens;\n"
     "      results that are in the store are taken from there, unless --fresh is given;\n"
     "      --watch: waits afterwards, and runs again what a change of the graph, of a file that "
     "it\n"
     "      names or of a module concerns, until Ctrl-C"},
    {"plan", command_plan,
     "plan GRAPH [--set stage.option=value]... [--device NAME]\n"
     "      [--dot | --json | --resolved] [--scan] [--workers N]\n"
     "      checks a graph; shows its jobs and stages, what is on every edge, what is copied to "
     "and\n"
     "      from the device (which need not be there), and what supervises each model,\n"
     "      and how much memory each job takes at most with N workers (default: one a core);\n"
     "      --scan: a pass over the data, which counts samples and makes that a close bound;\n"
     "      --resolved: the graph as YAML with all worked out, and where each value comes from"},
    {"sweep", command_sweep,
     "sweep GRAPH [--axis stage.option=a,b,c]... [--seeds N] [--baseline ARM] [--metric NAME]\n"
     "      [--set stage.option=value]... [--out DIR] [--jobs N] [--device NAME] [--workers N]\n"
     "      [--store DIR | --no-store] [--list]\n"
     "      runs every combination of the axes' values, and the arms of the graph's own sweep:, "
     "each\n"
     "      with N seeds, N at once; compares their scores, case by case, with those of ARM "
     "(default:\n"
     "      the first); results go to DIR (default: out/<name of the graph>-sweep);\n"
     "      --list: checks and shows the arms, and runs none"},
    {"report", command_report,
     "report DIR [--out FILE]\n"
     "      makes the page of the run or the sweep in DIR again: one HTML file with its slices,\n"
     "      curves, tables and graph (default: DIR/report.html, which the run made itself)"},
    {"inspect", command_inspect,
     "inspect [NAME] [--json]\n"
     "      the stages, networks, devices and ops of all modules, or one with its options and "
     "fields"},
    {"why", command_why,
     "why GRAPH STAGE [--set stage.option=value]... [--device NAME] [--store DIR]\n"
     "      whether a run would make what comes of the stage again, and what has changed since\n"
     "      the last run of the graph"},
    {"diff", command_diff,
     "diff DIR DIR\n"
     "      what two runs differ in: versions, seed, device, plugins, inputs, options, scores, "
     "and\n"
     "      files byte by byte; exit status 0: nothing, 1: something,\n"
     "      2: a folder cannot be read"},
    {"rerun", command_rerun,
     "rerun DIR [--out DIR] [--anyway]\n"
     "      makes the run of a folder again, with its graph, seed and device, and says whether "
     "the\n"
     "      files are the same bit for bit; results go to DIR-rerun by default;\n"
     "      refuses if a plugin, an input or a version has changed;\n"
     "      --anyway: runs all the same"},
    {"store", command_store,
     "store list | verify | prune --size 10G  [--store DIR]\n"
     "      the results, and samples of stages, that runs have kept: lists them, the longest "
     "unused\n"
     "      first; reads all of them and drops what is damaged; drops the longest unused down to "
     "a\n"
     "      size"},
    {"phantom", command_phantom,
     "phantom DIR [--cases N] [--seed N] [--set stage.option=value]... [--workers N] [--json]\n"
     "      makes a data set of phantoms in DIR (runs graphs/phantom.yaml)"},
    {"tap", command_tap,
     "tap GRAPH STAGE [--case ID] [--count N] [--epoch N] [--set stage.option=value]...\n"
     "      [--out DIR] [--device NAME] [--workers N] [--seed N] [--json]\n"
     "      writes what leaves a stage: every field of the samples of a case, or of the first N, "
     "as\n"
     "      NIfTI and PNG in DIR (default: out/<name of the graph>-tap/STAGE), and tells of each "
     "field;\n"
     "      runs only what the stage needs, trainings included"},
    {"schema", command_schema,
     "schema\n"
     "      the JSON Schema of graphs with all installed stages, for editors to complete and "
     "check"},
    {"version", command_version,
     "version\n"
     "      the version of the program, of its plugin interface, and of its devices"},
};

#define COMMANDS (sizeof commands / sizeof *commands)

static void print_usage(FILE *out) {
    fputs("usage: hepaflow COMMAND\n", out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "\n  %s\n", commands[i].usage);
    fputs(
        "\nExit status: 0 done, 1 the run failed or was canceled, 2 bad usage, a bad graph, or a\n"
        "device that is not there.\n"
        "HEPAFLOW_PLUGIN_PATH lists folders of more modules, with ':' between them.\n"
        "HEPAFLOW_STORE is the folder of the store (default: hepaflow/store in the user's cache);\n"
        "empty: there is none.\n",
        out);
}

static int refuse_command(const char *name) {
    fprintf(stderr, "hepaflow: unknown command '%s'; there are", name);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(stderr, " %s", commands[i].name);
    fputs(" help\n", stderr);
    return EXIT_USAGE;
}

static int help_of(const char *name) {
    if (strcmp(name, "help") == 0) {
        puts("usage: hepaflow help [COMMAND]");
        return EXIT_DONE;
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0) {
            printf("usage: hepaflow %s\n", commands[i].usage);
            return EXIT_DONE;
        }
    return refuse_command(name);
}

int main(int argc, char **argv) {
    /* Waiting OpenMP threads would spin on the cores that the workers need. Devices bring OpenMP in
     * with their modules, later than this. */
    (void)setenv("GOMP_SPINCOUNT", "1000", 0);
#ifdef __GLIBC__
    /* Blocks of ever other sizes go back to the system when they are freed. By default glibc takes
     * them from its heaps after the first few, which then grow with the number of cases. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 18);
#endif
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        if (argc > 2)
            return help_of(argv[2]);
        print_usage(stdout);
        return EXIT_DONE;
    }
    if (strcmp(name, "--version") == 0)
        name = "version";
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0) {
            for (int k = 2; k < argc; k++)
                if (strcmp(argv[k], "--help") == 0 || strcmp(argv[k], "-h") == 0) {
                    printf("usage: hepaflow %s\n", commands[i].usage);
                    return EXIT_DONE;
                }
            return commands[i].run(argc - 2, argv + 2);
        }
    return refuse_command(name);
}
