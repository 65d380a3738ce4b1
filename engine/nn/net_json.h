/** net_json.h - a network description as JSON, and back. */
#ifndef HEPAFLOW_NN_NET_JSON_H
#define HEPAFLOW_NN_NET_JSON_H

#include <cjson/cJSON.h>

#include "net.h"

/** The description as a JSON object (cJSON_Delete); NULL when out of memory. */
cJSON *hf_net_to_json(const struct hf_net *net);
/** The network in a JSON object, checked; clear it with hf_net_clear. */
enum hf_status hf_net_from_json(const cJSON *json, struct hf_net *ret, struct hf_error *e);

#endif
