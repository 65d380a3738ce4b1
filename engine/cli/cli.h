/* cli.h - what the subcommands of the program `hepaflow` share. */
#ifndef HEPAFLOW_CLI_H
#define HEPAFLOW_CLI_H

#include <stdbool.h>

#include <hepaflow/graph.h>

enum exit_status {
    EXIT_DONE,
    EXIT_FAILED, /* the run failed, or was canceled */
    EXIT_USAGE   /* bad usage, or a bad graph */
};

int command_run(int argc, char **argv);
int command_plan(int argc, char **argv);
int command_report(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_sweep(int argc, char **argv);
int command_phantom(int argc, char **argv);
int command_schema(int argc, char **argv);
int command_tap(int argc, char **argv);
int command_store(int argc, char **argv);
int command_why(int argc, char **argv);
int command_diff(int argc, char **argv);
int command_rerun(int argc, char **argv);
int command_version(int argc, char **argv);

/* ---- arguments (args.c) ---- */

#define MAX_SETS 64

enum arg_kind {
    ARG_FLAG,  /* bool */
    ARG_TEXT,  /* const char * */
    ARG_WHOLE, /* int64_t, from 0 on */
    ARG_OWN,   /* the same, from the program to itself: nobody is told of it */
    ARG_SETS   /* struct sets */
};

/* Values of `--set`, and the ones that other options amount to. */
struct sets {
    int32_t count;
    const char *item[MAX_SETS];
    const char *device; /* of `--device`, NULL: not given */
};

struct arg {
    const char *name; /* "--workers" */
    enum arg_kind kind;
    void *to;
};

/*
 * Reads the options of `args` (ended by a NULL name) and up to `most` other words. False after it
 * has said what is wrong. `command` stands in messages; `needed` is what usage calls the first of
 * the words, NULL: there need be none.
 */
bool args_read(const char *command, const struct arg *args, int argc, char **argv,
               const char **words, const char *needed, int most);

/* What `--device NAME` amounts to: a setting of the graph's key, written into `text`. */
#define DEVICE_SET 256
void set_device(struct sets *sets, const char *name, char text[DEVICE_SET]);

/* True if a module brings the device; else it has said in one line why not. */
bool device_known(const struct hf_engine *engine, const char *name);

/* What the engine found amiss when it looked for modules; a graph's messages tell it too. */
void print_engine_warning(const struct hf_engine *engine);

/* Opens the engine and checks the graph, or says what is wrong; the exit status otherwise. */
int graph_open(const char *path, const struct sets *sets, struct hf_engine **ret_engine,
               struct hf_plan **ret_plan);
/* Runs the plan, shows how it goes and what came out; on_event of the options is not asked. */
int graph_run(struct hf_engine *engine, struct hf_plan *plan, const struct hf_run_options *options,
              bool json);
/* The store: the folder that was asked for (NULL: none was), or the user's own, written into
 * `buffer`. NULL: there is none, since HEPAFLOW_STORE is empty, or no folder to put it into. */
const char *store_wanted(const char *asked, char *buffer, size_t size);

/* ---- rounds of a graph (watch.c) ---- */

/* What `hepaflow run` was asked for. */
struct run_request {
    const char *graph, *out, *device, *trace, *store; /* NULL: not given */
    int64_t workers, seed;                            /* 0, -1: not given */
    int64_t round; /* of a watch: the open file that a round leaves for the next; 0: it is none */
    bool json, fresh, no_store, watch;
    struct sets sets;
};

/* Runs the graph, and again whenever what it is made of has changed, until it is stopped; the exit
 * status of the last round. */
int run_watch(const struct run_request *r);

/* ---- what a terminal shows (progress.c) ---- */

/* "1:05" or "2:01:05". */
void print_time(char *out, size_t size, double seconds);
/* How many characters a line on it may have. */
size_t terminal_width(void);

#endif
