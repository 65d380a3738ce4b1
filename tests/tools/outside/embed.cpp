// embed.cpp - a C++ program that embeds hepaflow: checks a graph with the installed library.
#include <cstdio>

#include <hepaflow/hepaflow.h>

int main(int argc, char **argv) {
    hf_error error{};
    hf_engine *engine = nullptr;
    hf_plan *plan = nullptr;
    char *messages = nullptr;
    if (argc != 2 || hf_engine_open(&engine, &error) != HF_OK) {
        std::fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    hf_status status = hf_plan_load(engine, argv[1], nullptr, 0, &plan, &messages);
    if (messages)
        std::fprintf(stderr, "%s\n", messages);
    hf_free(messages);
    hf_plan_free(plan);
    hf_engine_close(engine);
    return status == HF_OK ? 0 : 1;
}
