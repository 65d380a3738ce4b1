/* store.c - `hepaflow store`: lists, verifies and prunes the store. */
#include "cli/cli.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "graph/options.h"
#include "store/store.h"

static void print_size(char *text, size_t size, int64_t bytes) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double n = (double)bytes;
    int unit = 0;
    while (n >= 1000 && unit < 4) {
        n /= 1000;
        unit++;
    }
    (void)snprintf(text, size, unit ? "%.3g %s" : "%.0f %s", n, units[unit]);
}

/* "10G", "500 MB". */
static bool read_size(const char *text, int64_t *ret) {
    const char *unit = "", *const known = "kMGT";
    double n = 0;
    if (!number_parse(text, &n, &unit) || n < 0)
        return false;
    const char *at = *unit ? strchr(known, *unit == 'K' ? 'k' : *unit) : NULL;
    const char *rest = at ? unit + 1 : unit;
    if (strcmp(rest, "") != 0 && strcmp(rest, "B") != 0)
        return false;
    for (const char *k = known; at && k <= at; k++)
        n *= 1000;
    *ret = n < 9e18 ? (int64_t)n : INT64_MAX;
    return true;
}

/* ---- list ---- */

static void print_item(struct store *s, const struct store_item *item) {
    char key[DIGEST_TEXT], size[32], used[32] = "";
    char stage[256], graph[256];
    struct entry en;
    struct hf_error e;
    struct tm local;
    time_t when = (time_t)item->used;
    digest_text(item->key, key);
    print_size(size, sizeof size, item->bytes);
    if (localtime_r(&when, &local))
        (void)strftime(used, sizeof used, "%Y-%m-%d %H:%M", &local);
    if (item->samples) {
        if (samples_of(s, item->key, stage, graph, sizeof stage))
            printf("%s  %s  %8s    samples  %s of %s\n", key, used, size, stage, graph);
        else
            printf("%s  %s  %8s  damaged\n", key, used, size);
        return;
    }
    enum hf_status st = entry_load(s, item->key, &en, &e);
    if (st == HF_OK)
        printf("%s  %s  %8s  %7.1f s  %s of %s\n", key, used, size, en.seconds, en.stage, en.graph);
    else
        printf("%s  %s  %8s  damaged\n", key, used, size);
    entry_clear(&en);
}

static enum hf_status list(struct store *s, struct hf_error *e) {
    struct store_list all;
    char size[32];
    enum hf_status st = store_list(s, &all, e);
    if (st != HF_OK)
        return st;
    for (int i = 0; i < all.count; i++)
        print_item(s, &all.item[i]);
    print_size(size, sizeof size, all.bytes);
    printf("%d entries, %s in %s\n", all.count, size, s->folder);
    store_list_clear(&all);
    return HF_OK;
}

/* ---- verify and prune ---- */

static void tell_damaged(void *arg, struct digest key, const char *why) {
    char text[DIGEST_TEXT];
    (void)arg;
    digest_text(key, text);
    printf("%s: dropped: %s\n", text, why);
}

static enum hf_status verify(struct store *s, struct hf_error *e) {
    struct store_counts n;
    enum hf_status st = store_verify(s, tell_damaged, NULL, &n, e);
    if (st != HF_OK)
        return st;
    printf("%d entries are whole, %d were damaged and are dropped", n.kept, n.dropped);
    if (n.cut > 0)
        printf(", %d others lost the samples that were", n.cut);
    if (n.left_behind > 0)
        printf("; removed what %d stopped runs left behind", n.left_behind);
    putchar('\n');
    return HF_OK;
}

static enum hf_status prune(struct store *s, int64_t most, struct hf_error *e) {
    struct store_counts n;
    char dropped[32], kept[32];
    enum hf_status st = store_prune(s, most, &n, e);
    if (st != HF_OK)
        return st;
    print_size(dropped, sizeof dropped, n.dropped_bytes);
    print_size(kept, sizeof kept, n.kept_bytes);
    printf("dropped %d entries (%s), kept %d (%s)\n", n.dropped, dropped, n.kept, kept);
    return HF_OK;
}

int command_store(int argc, char **argv) {
    const char *what = NULL, *folder = NULL, *size = NULL;
    const struct arg args[] = {
        {"--store", ARG_TEXT, &folder}, {"--size", ARG_TEXT, &size}, {NULL, ARG_FLAG, NULL}};
    char place[PATH_MAX];
    int64_t most = 0;
    if (!args_read("store", args, argc, argv, &what, "list, verify or prune", 1))
        return EXIT_USAGE;
    bool prunes = strcmp(what, "prune") == 0;
    if (!prunes && strcmp(what, "list") != 0 && strcmp(what, "verify") != 0) {
        fprintf(stderr, "hepaflow store: '%s' is none of list, verify and prune\n", what);
        return EXIT_USAGE;
    }
    if (prunes != (size != NULL) || (size && !read_size(size, &most))) {
        fputs("hepaflow store: prune, and nothing else, takes --size, such as 10G\n", stderr);
        return EXIT_USAGE;
    }
    folder = store_wanted(folder, place, sizeof place);
    if (!folder) {
        fputs("hepaflow store: there is no store: HEPAFLOW_STORE is empty\n", stderr);
        return EXIT_USAGE;
    }
    struct store *s = NULL;
    struct hf_error e = {0};
    enum hf_status st = store_open(folder, &s, &e);
    if (st == HF_OK)
        st = prunes ? prune(s, most, &e) : what[0] == 'l' ? list(s, &e) : verify(s, &e);
    store_close(s);
    if (st != HF_OK)
        fprintf(stderr, "hepaflow store: %s\n", e.text);
    return st == HF_OK ? EXIT_DONE : EXIT_FAILED;
}
