/*
 * devices.c - the devices of a run: the CPU, which every run has, and the one that is asked for.
 */
#include "exec.h"

#include "graph/devices.h"
#include "modules.h"

static enum hf_status open_device(struct run *run, const struct hf_device_class *cls,
                                  struct hf_device **ret, struct hf_error *e) {
    struct hf_device_options options = {.nn_threads = (int32_t)run->plan->nn_threads,
                                        .host = &run->services->host};
    return engine_device_open(cls, &options, ret, e);
}

static enum hf_status try_device(void *arg, const struct hf_device_class *cls, struct hf_error *e) {
    struct run *run = arg;
    return open_device(run, cls, &run->device, e);
}

/* The device that is asked for, or what `auto` comes to now. */
static enum hf_status open_asked(struct run *run, const char *name,
                                 const struct hf_device_class **ret, struct hf_error *e) {
    if (strcmp(name, "auto") == 0) {
        *ret =
            plan_device_auto(run->engine, try_device, run, run->not_taken, sizeof run->not_taken);
        return HF_OK;
    }
    const struct hf_device_class *cls = engine_device(run->engine, name);
    const char *why = cls ? NULL : engine_refusal(run->engine, name);
    if (!cls)
        return hf_fail(e, HF_NOT_FOUND, "device '%s': %s", name, why ? why : "no module brings it");
    *ret = cls;
    return open_device(run, cls, &run->device, e) == HF_OK ? HF_OK
                                                           : hf_fail_in(e, "device '%s'", name);
}

enum hf_status devices_open(struct run *run, struct hf_error *e) {
    const char *name = run->options->device ? run->options->device : run->plan->device;
    const struct hf_device_class *cpu = engine_device(run->engine, "cpu"), *cls = cpu;
    if (!cpu)
        return hf_fail(e, HF_NOT_FOUND, "the module of the device 'cpu' was not found");
    enum hf_status st = open_device(run, cpu, &run->services->host_device, e);
    if (st != HF_OK)
        return hf_fail_in(e, "device 'cpu'");
    run->device = run->services->host_device;
    if (!name || strcmp(name, "cpu") != 0)
        st = open_asked(run, name ? name : "auto", &cls, e);
    if (st != HF_OK)
        return st;
    /* What the plan came to may have gone, or the caller may want another one. */
    if (strcmp(run->plan->runs_on, cls->name) != 0)
        plan_place(run->plan, cls);
    (void)snprintf(run->device_line, sizeof run->device_line, "device %s",
                   run->device->methods->describe(run->device));
    return HF_OK;
}

/* Which device it is, unless that goes without saying. */
void devices_tell(struct run *run) {
    char line[sizeof run->not_taken + 32];
    const char *text = run->device_line;
    if (run->device == run->services->host_device) {
        if (!run->not_taken[0])
            return;
        (void)snprintf(line, sizeof line, "device cpu (%s)", run->not_taken);
        text = line;
    }
    run_tell(run, (struct hf_run_event){
                      .kind = HF_EVENT_LOG, .level = HF_LOG_INFO, .job = "", .text = text});
}

void devices_close(struct run *run) {
    struct hf_device *host = run->services->host_device;
    services_release_device(run->services);
    if (run->device && run->device != host)
        run->device->methods->destroy(run->device);
    if (host)
        host->methods->destroy(host);
    run->device = run->services->host_device = NULL;
}
