/* schema.c - `hepaflow schema`: the JSON Schema of graphs. */
#include "cli/cli.h"

#include "graph/schema.h"

int command_schema(int argc, char **argv) {
    const struct arg args[] = {{NULL, ARG_FLAG, NULL}};
    if (!args_read("schema", args, argc, argv, NULL, NULL, 0))
        return EXIT_USAGE;
    struct hf_engine *engine = NULL;
    struct hf_error e = {0};
    if (hf_engine_open(&engine, &e) != HF_OK) {
        fprintf(stderr, "hepaflow schema: %s\n", e.text);
        return EXIT_FAILED;
    }
    print_engine_warning(engine);
    char *text = graph_schema(engine);
    if (text)
        puts(text);
    else
        fputs("hepaflow schema: out of memory\n", stderr);
    hf_free(text);
    hf_engine_close(engine);
    return text ? EXIT_DONE : EXIT_FAILED;
}
