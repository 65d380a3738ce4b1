/** hepaflow.h - everything that a plugin or an embedding program may include. */
#ifndef HEPAFLOW_H
#define HEPAFLOW_H

#include <hepaflow/base.h>
#include <hepaflow/rng.h>
#include <hepaflow/tensor.h>
#include <hepaflow/sample.h>
#include <hepaflow/network.h>
#include <hepaflow/device.h>
#include <hepaflow/ops.h>
#include <hepaflow/stage.h>
#include <hepaflow/plugin.h>
#include <hepaflow/dlpack.h>
#include <hepaflow/graph.h>

#endif
