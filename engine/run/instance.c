/*
 * instance.c - a stage at work: one of its replicas, with its state and its queues.
 */
#include "exec.h"

#include <stdlib.h>

const struct hf_stage_class *instance_class(const struct instance *in) {
    return in->job->run->plan->stage[in->index].cls;
}

void instance_init(struct instance *in, struct job *job, int stage, int replica) {
    struct run *run = job->run;
    const struct plan_stage *ps = &run->plan->stage[stage];
    *in = (struct instance){.job = job, .index = stage};
    in->stage = (struct hf_stage){
        .host = &run->services->host,
        .options = ps->options,
        .name = ps->name,
        .device = ps->on_device ? run->device : run->services->host_device,
        .model = ps->model >= 0 ? run->model[ps->model] : NULL,
        .yields = &ps->yields,
        .seed = run->seed,
        .replica = replica,
        .module_dir = ps->module ? ps->module->dir : NULL,
        .out_dir = run->out_dir,
        .engine = in,
        .items_may_fail = ps->on_error.skip || ps->on_error.retries > 0,
    };
}

enum hf_status instance_start(struct instance *in, struct hf_error *e) {
    const struct hf_stage_class *cls = instance_class(in);
    if (in->began)
        return HF_OK;
    struct hf_device *d = in->stage.device;
    in->stage.state = calloc(1, cls->state_size ? cls->state_size : 1);
    if (!in->stage.state)
        return hf_fail(e, HF_NO_MEMORY, "no memory for the stage");
    enum hf_status st = d->methods->queue_new(d, &in->stage.queue, e);
    if (st != HF_OK)
        return st;
    in->began = true;
    in->stage.peer = in->peer ? in->peer->stage.state : NULL;
    return cls->start ? cls->start(&in->stage, e) : HF_OK;
}

void instance_stop(struct instance *in) {
    struct hf_device *d = in->stage.device;
    samples_clear(&in->out);
    if (in->began && instance_class(in)->stop)
        instance_class(in)->stop(&in->stage);
    if (in->stage.queue)
        d->methods->queue_free(d, in->stage.queue);
    d = in->job->run->device;
    if (in->copies)
        d->methods->queue_free(d, in->copies);
    free(in->stage.state);
    in->stage.queue = in->copies = NULL;
    in->stage.state = NULL;
    in->began = false;
}

/* On a queue of its own: what the stage has enqueued before need not be done first. */
enum hf_status instance_bring(struct instance *in, const struct hf_sample *s,
                              const struct hf_sample **ret, struct hf_error *e) {
    const struct reads *reads = &in->job->run->plan->stage[in->index].reads;
    struct hf_device *d = in->job->run->device;
    const struct hf_sample *here = s;
    enum hf_status st = HF_OK;
    if (sample_lies_on(s, reads, in->stage.device)) {
        sample_ref(s);
    } else {
        st = in->copies ? HF_OK : d->methods->queue_new(d, &in->copies, e);
        if (st == HF_OK)
            st = sample_to(in->stage.host, s, reads, in->stage.device, in->copies, &here, e);
        if (st != HF_OK)
            return st;
    }
    if (in->stage.device->host_memory && d != in->stage.device)
        st = sample_arrive(here, reads, e);
    if (st == HF_OK)
        return sample_view(here, reads, ret, e);
    sample_unref(here);
    return st;
}
