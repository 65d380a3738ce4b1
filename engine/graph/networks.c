/*
 * networks.c - the networks of a graph while it is checked: built for the channels that are on the
 * edge, and asked whether they take the sizes that are known. Called from within a plugin, this
 * never allocates from the arena.
 */
#include "graph/flow.h"

#include <string.h>

void keep_net(struct flow *f, struct hf_net *net) {
    f->c->engine->host->net_free(f->stage->net);
    f->stage->net = net;
    f->net = net;
}

/* The value of the stage's option that takes a network; NULL: a default. */
static const struct node *network_node(const struct flow *f) {
    for (const struct hf_option *o = f->stage->cls->options; o && o->name; o++)
        if (o->type == HF_OPTION_NETWORK)
            return node_get(f->draft->given, o->name);
    return NULL;
}

enum hf_status io_build(struct hf_io *io, const struct hf_network_choice *network,
                        int32_t input_channels, int32_t output_channels, struct hf_error *e) {
    struct flow *f = io->engine;
    struct hf_net *net = NULL;
    enum hf_status st = network->network->build(f->c->engine->host, network->options,
                                                input_channels, output_channels, &net, e);
    if (st == HF_OK) {
        keep_net(f, net);
        return st;
    }
    f->blamed = network_node(f);
    return hf_fail_in(e, "network '%s'", network->network->name);
}

/* ---- sizes ---- */

/* "250 x 250", "? x 160 x 160" */
static void say_size(const struct hf_net *net, const int64_t size[3], char *ret, size_t room) {
    size_t n = 0;
    for (int a = 3 - net->dims; a < 3; a++) {
        const char *by = a > 3 - net->dims ? " x " : "";
        if (size[a] < 0)
            n += (size_t)snprintf(ret + n, room - n, "%s?", by);
        else
            n += (size_t)snprintf(ret + n, room - n, "%s%lld", by, (long long)size[a]);
    }
}

enum hf_status io_fits(struct hf_io *io, const int64_t size[3], const char *option,
                       struct hf_error *e) {
    struct flow *f = io->engine;
    const struct draft *made = f->in.made;
    bool trains = f->stage->net != NULL;
    char shown[96];
    if (!f->net)
        return HF_OK;
    const char *what = f->net->dims == 2 ? "slices" : "volumes";
    enum hf_status st = hf_net_fit(f->net, trains ? HF_EXEC_TRAIN : HF_EXEC_FORWARD, size, e);
    if (st != HF_INVALID)
        return st;
    say_size(f->net, size, shown, sizeof shown);
    if (option) {
        f->blamed = node_get(f->draft->given, option);
        return hf_fail_in(e, "option '%s': the network does not take %s", option, shown);
    }
    if (!made) {
        f->blamed = trains ? network_node(f) : f->draft->model;
        return hf_fail_in(e, "the network does not take %s of %s", what, shown);
    }
    f->blamed = node_get(made->given, f->in.made_by);
    return hf_fail_in(e, "the network does not take %s of %s, as '%s' of stage '%s' makes them",
                      what, shown, f->in.made_by, made->key->text);
}
