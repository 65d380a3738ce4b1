/**
 * folder_json.c - folders with a dataset.json: the Medical Segmentation Decathlon's, which lists
 * its files and counts its labels, and nnU-Net's, which names them.
 */
#include "folder_parts.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct reader {
    const char *path; /* of the folder */
    const char *ending;
    struct hf_cases cases;
    struct hf_error *e;
};

static enum hf_status bad(const struct reader *r, const char *what) {
    return hf_fail(r->e, HF_INVALID, "%s/dataset.json: %s", r->path, what);
}

/* ---- labels ---- */

static int holds(const char *name, const char *part) {
    size_t n = strlen(part);
    for (; *name; name++)
        if (strncasecmp(name, part, n) == 0)
            return 1;
    return 0;
}

/** What the name of a label stands for: liver, tumor, or neither (HF_CASE_FILES). */
static enum hf_case_file meaning(const char *name) {
    static const char *const tumors[] = {"tumor", "tumour", "cancer", "lesion"};
    for (int i = 0; i < 4; i++)
        if (holds(name, tumors[i]))
            return HF_CASE_TUMOR;
    return holds(name, "liver") ? HF_CASE_LIVER : HF_CASE_FILES;
}

static enum hf_status add_label(struct reader *r, const char *name, double value) {
    struct hf_values *v = r->cases.values;
    if (!(value >= 0 && value <= 255) || value != (double)(int)value)
        return bad(r, "a label that is no whole number from 0 to 255");
    int at = (int)value;
    enum hf_case_file f = meaning(name);
    for (int k = HF_CASE_LIVER; k < HF_CASE_FILES; k++)
        v[k].largest = at > v[k].largest ? at : v[k].largest;
    if (at > 0 && f < HF_CASE_FILES) {
        v[f].given = 1;
        v[f].to[at] = 1;
    }
    size_t used = strlen(r->cases.labels);
    (void)snprintf(r->cases.labels + used, sizeof r->cases.labels - used, "%s%d %s",
                   used ? ", " : "", at, name);
    return HF_OK;
}

static enum hf_status read_labels(struct reader *r, const cJSON *root) {
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(root, "labels"), *item, *part;
    if (!cJSON_IsObject(labels))
        return bad(r, "no \"labels\"; expected their names and numbers");
    enum hf_status st = HF_OK;
    cJSON_ArrayForEach(item, labels) {
        if (st != HF_OK)
            break;
        if (cJSON_IsString(item)) { /* "2": "Tumour" */
            char *end;
            double value = strtod(item->string, &end);
            st = end == item->string || *end ? bad(r, "a label that is not counted")
                                             : add_label(r, item->valuestring, value);
        } else if (cJSON_IsNumber(item)) {
            st = add_label(r, item->string, item->valuedouble);
        } else if (cJSON_IsArray(item)) { /* a region of several labels */
            cJSON_ArrayForEach(part, item) {
                if (st == HF_OK)
                    st = cJSON_IsNumber(part) ? add_label(r, item->string, part->valuedouble)
                                              : bad(r, "a region that is no list of labels");
            }
        } else {
            st = bad(r, "\"labels\" has an entry that is no number");
        }
    }
    struct hf_values *liver = &r->cases.values[HF_CASE_LIVER];
    for (int i = 0; i < 256 && liver->given; i++)
        liver->to[i] |= r->cases.values[HF_CASE_TUMOR].to[i];
    return st;
}

/* ---- files ---- */

/** Adds a case: the image, and the label file where its labels mean something. */
static enum hf_status add_case(struct reader *r, const char *name, size_t n, const char *image,
                               const char *label) {
    struct hf_case *c = hf_folder_case(&r->cases, name, n);
    if (!c)
        return hf_folder_no_memory(r->path, r->e);
    enum hf_status st = hf_folder_set(c, HF_CASE_IMAGE, image, r->e);
    for (int f = HF_CASE_LIVER; f < HF_CASE_FILES && st == HF_OK && label; f++)
        if (r->cases.values[f].given)
            st = hf_folder_set(c, (enum hf_case_file)f, label, r->e);
    return st;
}

/** A path of dataset.json, which begins at the folder. */
static enum hf_status full_path(const struct reader *r, const cJSON *item, char *ret, size_t size) {
    const char *path = cJSON_GetStringValue(item);
    if (!path || !*path)
        return bad(r, "\"training\" has an entry without image and label");
    path += strncmp(path, "./", 2) == 0 ? 2 : 0;
    int n = snprintf(ret, size, "%s/%s", r->path, path);
    return n > 0 && (size_t)n < size ? HF_OK : bad(r, "a path that is too long");
}

/** The Decathlon's list; nnU-Net's first version has it too, but its images end in _0000. */
static enum hf_status read_list(struct reader *r, const cJSON *list) {
    const cJSON *item;
    char image[HF_FOLDER_PATH], label[HF_FOLDER_PATH];
    cJSON_ArrayForEach(item, list) {
        enum hf_status st =
            full_path(r, cJSON_GetObjectItemCaseSensitive(item, "image"), image, sizeof image);
        if (st == HF_OK)
            st = full_path(r, cJSON_GetObjectItemCaseSensitive(item, "label"), label, sizeof label);
        if (st != HF_OK)
            return st;
        const char *name = strrchr(image, '/') + 1;
        size_t n = hf_folder_stem(name);
        if (n == 0)
            return hf_fail(r->e, HF_UNSUPPORTED, "%s: expected a .nii or .nii.gz", image);
        char channel[HF_FOLDER_PATH];
        (void)snprintf(channel, sizeof channel, "%.*s_0000%s", (int)((size_t)(name - image) + n),
                       image, name + n);
        st = add_case(r, name, n, !hf_is_file(image) && hf_is_file(channel) ? channel : image,
                      label);
        if (st != HF_OK)
            return st;
    }
    return HF_OK;
}

/** An image of nnU-Net's: CASE_0000 and the ending. */
static enum hf_status channel_file(const char *path, const char *name, void *context,
                                   struct hf_error *e) {
    struct reader *r = context;
    size_t n = strlen(name), m = strlen(r->ending);
    if (hf_folder_stem(name) == 0)
        return HF_OK;
    const char *channel = n > m + 5 ? name + n - m - 5 : "";
    if (channel[0] != '_' || strspn(channel + 1, "0123456789") < 4 ||
        strcmp(channel + 5, r->ending) != 0)
        return hf_fail(e, HF_INVALID,
                       "%s: no image's name; expected CASE_0000%s, as nnU-Net calls them (the "
                       "ending is that of dataset.json)",
                       path, r->ending);
    if (strncmp(channel, "_0000", 5) != 0)
        return hf_fail(e, HF_UNSUPPORTED, "%s: a second channel; expected one image a case", path);
    char label[HF_FOLDER_PATH];
    int length = snprintf(label, sizeof label, "%s/labelsTr/%.*s%s", r->path, (int)(channel - name),
                          name, r->ending);
    if (length < 0 || (size_t)length >= sizeof label)
        return bad(r, "a path that is too long");
    return add_case(r, name, (size_t)(channel - name), path, hf_is_file(label) ? label : NULL);
}

static enum hf_status read_channels(struct reader *r, const cJSON *root) {
    const char *ending =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "file_ending"));
    char images[HF_FOLDER_PATH];
    r->ending = ending ? ending : ".nii.gz";
    if (strcmp(r->ending, ".nii.gz") != 0 && strcmp(r->ending, ".nii") != 0)
        return hf_fail(r->e, HF_UNSUPPORTED,
                       "%s/dataset.json: file_ending is '%.40s'; expected .nii.gz or .nii", r->path,
                       r->ending);
    int n = snprintf(images, sizeof images, "%s/imagesTr", r->path);
    if (n < 0 || (size_t)n >= sizeof images)
        return bad(r, "a path that is too long");
    char labels[HF_FOLDER_PATH];
    n = snprintf(labels, sizeof labels, "%s/labelsTr", r->path);
    r->cases.unlabeled = n > 0 && (size_t)n < sizeof labels && !hf_is_folder(labels);
    return hf_folder_each(images, channel_file, r, r->e);
}

enum hf_status hf_folder_json(const char *path, const char *text, size_t size, struct hf_cases *ret,
                              struct hf_error *e) {
    struct reader r;
    memset(&r, 0, sizeof r);
    r.path = path;
    r.e = e;
    cJSON *root = cJSON_ParseWithLength(text, size);
    enum hf_status st = cJSON_IsObject(root) ? HF_OK : bad(&r, "no JSON object");
    if (st == HF_OK)
        st = read_labels(&r, root);
    if (st == HF_OK) {
        const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "training");
        st = cJSON_IsArray(list) ? read_list(&r, list) : read_channels(&r, root);
    }
    cJSON_Delete(root);
    if (st == HF_OK)
        hf_folder_finish(&r.cases);
    if (st == HF_OK && r.cases.count == 0)
        st = bad(&r, "no case: no list \"training\", and no CASE_0000 file in imagesTr");
    if (st == HF_OK)
        *ret = r.cases;
    else
        hf_cases_free(&r.cases);
    return st;
}
