/*
 * page.c - see page.h. The page is page.html with the style, the scripts and the data in the places
 * of three marks; what the data look like is the scripts' affair, which is why this file only knows
 * of pictures.
 */
#include "report/page.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include <hepaflow/graph.h>

#include "report/page_files.h"
#include "run/run.h"

#define MAX_DEPTH 32

/* ---- pictures ---- */

static char *data_url(const uint8_t *bytes, size_t size) {
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char head[] = "data:image/png;base64,";
    char *url = malloc(sizeof head + (size + 2) / 3 * 4), *at = url;
    if (!url)
        return NULL;
    memcpy(at, head, sizeof head);
    at += sizeof head - 1;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = (uint32_t)bytes[i] << 16;
        if (i + 1 < size)
            three |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < size)
            three |= bytes[i + 2];
        *at++ = digit[three >> 18];
        *at++ = digit[three >> 12 & 63];
        *at++ = i + 1 < size ? digit[three >> 6 & 63] : '=';
        *at++ = i + 2 < size ? digit[three & 63] : '=';
    }
    *at = 0;
    return url;
}

/* A page that is passed on must not hold files from elsewhere. */
static bool is_below(const char *file) {
    for (const char *at = file; *at; at += strcspn(at, "/"), at += *at == '/')
        if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || !at[2]))
            return false;
    return file[0] != '/';
}

/* Puts the PNG that an object names into it as "url"; one that is not there is left out, which the
 * page tells. */
static enum hf_status embed_picture(const char *folder, cJSON *object, const char *file,
                                    struct hf_error *e) {
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    char path[PATH_MAX];
    void *bytes = NULL;
    size_t size = 0;
    int n = snprintf(path, sizeof path, "%s/%s", folder, file);
    if (!is_below(file) || n < 0 || (size_t)n >= sizeof path ||
        file_read(path, &bytes, &size, NULL) != HF_OK)
        return HF_OK;
    enum hf_status st = HF_OK;
    if (size > sizeof signature && memcmp(bytes, signature, sizeof signature) == 0) {
        char *url = data_url(bytes, size);
        cJSON_DeleteItemFromObjectCaseSensitive(object, "url");
        if (!url || !cJSON_AddStringToObject(object, "url", url))
            st = hf_fail(e, HF_NO_MEMORY, "%s: no memory for the picture", path);
        free(url);
    }
    free(bytes);
    return st;
}

static enum hf_status embed_pictures(const char *folder, cJSON *item, int depth,
                                     struct hf_error *e) {
    enum hf_status st = HF_OK;
    const char *file = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "file"));
    if (file)
        st = embed_picture(folder, item, file, e);
    cJSON *child;
    cJSON_ArrayForEach(child, item) {
        if (st == HF_OK && depth < MAX_DEPTH && (cJSON_IsObject(child) || cJSON_IsArray(child)))
            st = embed_pictures(folder, child, depth + 1, e);
    }
    return st;
}

/* ---- the page ---- */

static void put_text(FILE *f, const char *text) {
    for (; *text; text++) {
        const char *name = *text == '<'   ? "&lt;"
                           : *text == '>' ? "&gt;"
                           : *text == '&' ? "&amp;"
                                          : NULL;
        if (name)
            (void)fputs(name, f);
        else
            (void)fputc(*text, f);
    }
}

/* JSON has '<' in texts only; there it must neither end the element nor begin a comment. */
static void put_json(FILE *f, const char *json) {
    for (size_t n; *json; json += n) {
        n = strcspn(json, "<");
        (void)fwrite(json, 1, n, f);
        if (json[n] == '<') {
            (void)fputs("\\u003c", f);
            n++;
        }
    }
}

static void put_page(FILE *f, const char *title, const char *json) {
    const struct {
        const char *mark, *text;
        void (*put)(FILE *f, const char *text);
    } parts[] = {{"<!--title-->", title, put_text},
                 {"/*style*/", page_css, NULL},
                 {"<!--data-->", json, put_json},
                 {"/*script*/", page_js, NULL}};
    const char *from = page_html;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *mark = strstr(from, parts[i].mark);
        (void)fwrite(from, 1, (size_t)(mark - from), f);
        if (parts[i].put)
            parts[i].put(f, parts[i].text);
        else
            (void)fputs(parts[i].text, f);
        from = mark + strlen(parts[i].mark);
    }
    (void)fputs(from, f);
}

static enum hf_status write_page(const cJSON *data, const char *path, struct hf_error *e) {
    char *page = NULL, *json = cJSON_PrintUnformatted(data);
    size_t size = 0;
    const char *graph = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(data, "graph"));
    FILE *f = json ? open_memstream(&page, &size) : NULL;
    bool bad = !f;
    if (f) {
        put_page(f, graph && *graph ? graph : "hepaflow", json);
        bad = ferror(f);
        bad = fclose(f) != 0 || bad;
    }
    cJSON_free(json);
    enum hf_status st = bad ? hf_fail(e, HF_NO_MEMORY, "%s: no memory for the report", path)
                            : file_write(path, page, size, e);
    free(page);
    return st;
}

/* ---- the folder ---- */

/* The data of a sweep or of a run; *ret_path: of the file that they stand in. */
static enum hf_status read_data(const char *folder, char *ret_path, size_t path_size, cJSON **ret,
                                struct hf_error *e) {
    static const char *const names[] = {SWEEP_DATA, REPORT_DATA};
    enum hf_status st = HF_NOT_FOUND;
    void *bytes = NULL;
    size_t size = 0;
    int i = 0;
    for (; i < 2 && st == HF_NOT_FOUND; i++) {
        int n = snprintf(ret_path, path_size, "%s/%s", folder, names[i]);
        if (n < 0 || (size_t)n >= path_size)
            return hf_fail(e, HF_INVALID, "the path of folder '%.200s' is too long", folder);
        st = file_read(ret_path, &bytes, &size, e);
    }
    if (st == HF_NOT_FOUND)
        return hf_fail(e, HF_NOT_FOUND,
                       "%s: has neither " REPORT_DATA " nor " SWEEP_DATA
                       "; a report is made of a folder that a run or a sweep wrote",
                       folder);
    if (st != HF_OK)
        return st;
    *ret = cJSON_ParseWithLength(bytes, size);
    free(bytes);
    bool good = cJSON_IsObject(*ret);
    if (good)
        cJSON_DeleteItemFromObjectCaseSensitive(*ret, "kind");
    if (good && cJSON_AddStringToObject(*ret, "kind", i == 1 ? "sweep" : "run"))
        return HF_OK;
    cJSON_Delete(*ret);
    return good ? hf_fail(e, HF_NO_MEMORY, "%s: no memory for it", ret_path)
                : hf_fail(e, HF_INVALID, "%s: is no JSON object", ret_path);
}

/* Where a page elsewhere finds what lies in the folder. */
static enum hf_status add_base(cJSON *data, const char *folder, struct hf_error *e) {
    char *base = realpath(folder, NULL);
    bool good = base && cJSON_AddStringToObject(data, "base", base);
    free(base);
    return good ? HF_OK : hf_fail(e, HF_NO_MEMORY, "%s: no memory for the report", folder);
}

enum hf_status hf_report(const char *folder, const char *path, struct hf_error *e) {
    char from[PATH_MAX], to[PATH_MAX];
    cJSON *data = NULL;
    enum hf_status st = read_data(folder, from, sizeof from, &data, e);
    if (st != HF_OK)
        return st;
    if (path)
        st = add_base(data, folder, e);
    if (st == HF_OK)
        st = embed_pictures(folder, cJSON_GetObjectItemCaseSensitive(data, "sections"), 0, e);
    (void)snprintf(to, sizeof to, "%s/" REPORT_PAGE, folder);
    if (st == HF_OK)
        st = write_page(data, path ? path : to, e);
    cJSON_Delete(data);
    return st;
}
