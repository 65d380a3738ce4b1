/* version.c - `hepaflow version`: the program, its plugin interface and its devices. */
#include "cli/cli.h"

#include <string.h>

#include "cli/config.h"
#include "modules.h"

/* "device cpu: AVX2, ...": a description may begin with the device's name itself. */
static void print_device(const char *name, const char *described) {
    size_t size = strlen(name);
    if (strncmp(described, name, size) == 0 && described[size] == ':') {
        described += size + 1;
        described += strspn(described, " ");
    }
    printf("device %s: %s\n", name, described);
}

int command_version(int argc, char **argv) {
    const struct arg args[] = {{NULL, ARG_FLAG, NULL}};
    if (!args_read("version", args, argc, argv, NULL, NULL, 0))
        return EXIT_USAGE;
    printf("hepaflow %s, plugin interface %u\n", HF_VERSION, HF_ABI_VERSION);
    struct hf_engine *engine = NULL;
    struct hf_error e = {0};
    if (hf_engine_open(&engine, &e) != HF_OK) {
        fprintf(stderr, "hepaflow version: %s\n", e.text);
        return EXIT_FAILED;
    }
    print_engine_warning(engine);
    const char *name;
    for (int i = 0; (name = engine_device_name(engine, i)); i++) {
        const struct hf_device_class *cls = engine_device(engine, name);
        const struct hf_device_options options = {.host = engine->host};
        struct hf_device *device = NULL;
        if (engine_device_open(cls, &options, &device, &e) != HF_OK) {
            printf("device %s: %s\n", name, e.text);
            continue;
        }
        print_device(name, device->methods->describe(device));
        device->methods->destroy(device);
    }
    const char *why;
    for (int i = 0; (name = engine_lost_device(engine, i, &why)); i++)
        printf("device %s: %s\n", name, why);
    why = engine_refusal(engine, "cpu");
    if (!engine_device_name(engine, 0))
        printf("no device: %s\n", why ? why : "no module was found that brings one");
    hf_engine_close(engine);
    return EXIT_DONE;
}
