/* args.c - command line arguments by a table. */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "modules.h"
#include "store/store.h"

static const struct arg *find(const struct arg *args, const char *word, size_t size) {
    for (const struct arg *a = args; a->name; a++)
        if (strlen(a->name) == size && strncmp(a->name, word, size) == 0)
            return a;
    return NULL;
}

static bool take(const char *command, const struct arg *a, const char *value) {
    if (a->kind == ARG_TEXT) {
        *(const char **)a->to = value;
    } else if (a->kind == ARG_WHOLE || a->kind == ARG_OWN) {
        char *end = NULL;
        errno = 0;
        long long number = strtoll(value, &end, 10);
        if (end == value || *end || errno || number < 0) {
            fprintf(stderr, "hepaflow %s: %s takes a whole number from 0 on, not '%s'\n", command,
                    a->name, value);
            return false;
        }
        *(int64_t *)a->to = number;
    } else {
        struct sets *sets = a->to;
        if (sets->count >= MAX_SETS - 8) {
            fprintf(stderr, "hepaflow %s: more than %d times %s\n", command, MAX_SETS - 8, a->name);
            return false;
        }
        sets->item[sets->count++] = value;
    }
    return true;
}

static void refuse_option(const char *command, const struct arg *args, const char *word) {
    fprintf(stderr, "hepaflow %s: unknown option '%s'; there %s", command, word,
            args->name ? "are" : "is none");
    for (const struct arg *a = args; a->name; a++)
        if (a->kind != ARG_OWN)
            fprintf(stderr, " %s", a->name);
    fputc('\n', stderr);
}

bool args_read(const char *command, const struct arg *args, int argc, char **argv,
               const char **words, const char *needed, int most) {
    int count = 0;
    bool only_words = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--") == 0 && !only_words) {
            only_words = true;
        } else if (word[0] == '-' && word[1] && !only_words) {
            const char *equals = strchr(word, '=');
            const struct arg *a = find(args, word, equals ? (size_t)(equals - word) : strlen(word));
            if (!a) {
                refuse_option(command, args, word);
                return false;
            }
            if (a->kind == ARG_FLAG) {
                if (equals) {
                    fprintf(stderr, "hepaflow %s: %s takes no value\n", command, a->name);
                    return false;
                }
                *(bool *)a->to = true;
                continue;
            }
            const char *value = equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
            if (!value) {
                fprintf(stderr, "hepaflow %s: %s needs a value\n", command, a->name);
                return false;
            }
            if (!take(command, a, value))
                return false;
        } else if (count < most) {
            words[count++] = word;
        } else {
            fprintf(stderr, "hepaflow %s: '%s' is one word too many\n", command, word);
            return false;
        }
    }
    if (needed && count == 0) {
        fprintf(stderr, "hepaflow %s: %s is missing; see 'hepaflow help %s'\n", command, needed,
                command);
        return false;
    }
    return true;
}

void set_device(struct sets *sets, const char *name, char text[DEVICE_SET]) {
    (void)snprintf(text, DEVICE_SET, "device=%s", name);
    sets->item[sets->count++] = text;
    sets->device = name;
}

bool device_known(const struct hf_engine *engine, const char *name) {
    if (strcmp(name, "auto") == 0 || engine_device(engine, name))
        return true;
    const char *why = engine_refusal(engine, name), *known;
    if (why) {
        fprintf(stderr, "hepaflow: device '%s': %s%s\n", name, why,
                strcmp(name, "cpu") == 0 ? "" : "; use --device cpu or auto");
        return false;
    }
    fprintf(stderr, "hepaflow: --device: no module brings a device '%.60s'; there are auto", name);
    for (int i = 0; (known = engine_device_name(engine, i)); i++)
        fprintf(stderr, ", %s", known);
    fputc('\n', stderr);
    return false;
}

void print_engine_warning(const struct hf_engine *engine) {
    if (engine->warning)
        fprintf(stderr, "hepaflow: warning: %s\n", engine->warning);
}

const char *store_wanted(const char *asked, char *buffer, size_t size) {
    struct hf_error e;
    const char *own = getenv("HEPAFLOW_STORE");
    if (asked)
        return asked;
    if (own && !*own)
        return NULL;
    if (store_place(buffer, size, &e) == HF_OK)
        return buffer;
    fprintf(stderr, "hepaflow: warning: %s\n", e.text);
    return NULL;
}

int graph_open(const char *path, const struct sets *sets, struct hf_engine **ret_engine,
               struct hf_plan **ret_plan) {
    struct hf_error e = {0};
    struct hf_engine *engine = NULL;
    if (hf_engine_open(&engine, &e) != HF_OK) {
        fprintf(stderr, "hepaflow: %s\n", e.text);
        return EXIT_FAILED;
    }
    if (sets->device && !device_known(engine, sets->device)) {
        hf_engine_close(engine);
        return EXIT_USAGE;
    }
    char *messages = NULL;
    enum hf_status st = hf_plan_load(engine, path, sets->item, sets->count, ret_plan, &messages);
    if (messages)
        fputs(messages, stderr);
    hf_free(messages);
    if (st != HF_OK) {
        hf_engine_close(engine);
        return EXIT_USAGE;
    }
    *ret_engine = engine;
    return EXIT_DONE;
}
