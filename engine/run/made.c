/*
 * made.c - notes what a stage at the end of a graph makes while it works, for the store: files in
 * the results folder, results, sections of the report.
 */
#include "exec.h"

#include <stdlib.h>

static _Thread_local struct instance *at_work; /* on this thread */

void made_enter(struct instance *in) {
    at_work = in;
}

void made_spoke(void) {
    if (at_work)
        at_work->spoke = true;
}

/* Whether what `in` makes is a part of the sink's result. */
static bool belongs(const struct instance *in, const struct sink *k) {
    const struct hf_plan *plan = in->job->run->plan;
    if (k->made.closed)
        return false;
    if (in->index == k->instance.index)
        return true;
    bool *tree = in->sink ? NULL : calloc((size_t)plan->stages + 1, sizeof *tree);
    if (!tree)
        return false;
    keys_cone(plan, k->instance.index, false, tree);
    bool ret = tree[in->index];
    free(tree);
    return ret;
}

void made_said(const struct instance *in, const char *title, const char *text) {
    struct job *job = in->job;
    for (int i = 0; reuse_keeps(job->run->reuse) && i < job->sinks; i++) {
        struct made *made = &job->sink[i].made;
        if (belongs(in, &job->sink[i]))
            made->lost = !entry_add_said(&made->entry, in->stage.name, title, text) || made->lost;
    }
}

/* The path below the results folder; NULL: it is somewhere else. */
static const char *below(const char *folder, const char *path) {
    size_t size = strlen(folder);
    while (size > 1 && folder[size - 1] == '/')
        size--;
    if (strncmp(path, folder, size) != 0 || path[size] != '/')
        return NULL;
    return path + size + strspn(path + size, "/");
}

/* Of a file that is written again only the last version counts. */
static void forget(struct made *made, const char *path) {
    struct entry *en = &made->entry;
    for (int i = 0; i < en->files; i++) {
        if (strcmp(en->file[i].path, path) != 0)
            continue;
        free(en->file[i].path);
        memmove(&en->file[i], &en->file[i + 1], (size_t)(en->files - i - 1) * sizeof *en->file);
        en->files--;
        if (made->model_file == i)
            made->model = NULL;
        else if (made->model_file > i)
            made->model_file--;
        return;
    }
}

static void note(struct made *made, const char *path, size_t size, struct digest digest,
                 const struct hf_model *model) {
    forget(made, path);
    if (path_goes_up(path) || !entry_add_file(&made->entry, path, (int64_t)size, digest)) {
        made->lost = true;
        return;
    }
    if (model) {
        made->model = model;
        made->model_file = made->entry.files - 1;
    }
}

void made_file(const char *path, const void *bytes, size_t size, const struct hf_model *model) {
    struct instance *in = at_work;
    made_spoke();
    struct run *run = in ? in->job->run : NULL;
    const char *name = run && reuse_keeps(run->reuse) ? below(run->out_dir, path) : NULL;
    if (!name)
        return;
    struct digest digest = digest_bytes(bytes, size);
    pthread_mutex_lock(&run->notes_lock);
    for (int i = 0; i < in->job->sinks; i++)
        if (belongs(in, &in->job->sink[i]))
            note(&in->job->sink[i].made, name, size, digest, model);
    pthread_mutex_unlock(&run->notes_lock);
}
