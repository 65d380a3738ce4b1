/*
 * runtime.cpp - the part of CUDA's runtime that hepaflow uses, on the CPU: streams, events, copies
 * and graphs that run as late as CUDA allows (see cuda_runtime.h).
 */
#include "state.h"

#include <chrono>
#include <deque>
#include <map>
#include <set>
#include <thread>
#include <vector>

#include <stdlib.h>

using namespace emulation;

namespace {

constexpr size_t most_waiting = 1024; /* pieces of work of a stream; CUDA would block the caller */
constexpr size_t most_orphans = 16;

struct item {
    bool always; /* also after an error: what the runtime itself does */
    std::function<void()> run;
};

struct capture;

/* One recording of an event. */
struct point {
    std::shared_ptr<emulation_stream> stream;
    bool done;
    bool timing;
    std::chrono::steady_clock::time_point time;
    capture *captured; /* may be gone; only compared */
    size_t position;   /* in the stream's work within the capture */
};

struct capture {
    cudaStream_t origin;
    std::thread::id thread;
    std::vector<item> items;
    std::set<cudaStream_t> members;
};

} // namespace

struct emulation_stream {
    int device;
    std::deque<item> todo;
    capture *captured;
    size_t position; /* pieces of captured work */
    size_t joined;   /* of these, how many another stream of the capture waits for */
};

struct emulation_event {
    int device;
    bool timing;
    std::shared_ptr<point> last;
};

struct emulation_graph {
    std::vector<item> items;
};

struct emulation_graph_exec {
    std::shared_ptr<std::vector<item>> items;
};

namespace {

std::map<cudaStream_t, std::shared_ptr<emulation_stream>> streams;
std::set<cudaEvent_t> events;
std::deque<std::shared_ptr<emulation_stream>> orphans; /* destroyed with work on them */
bool default_stream = true;

/* ---- running ---- */

void run(const item &i) {
    if (i.always || device_error == cudaSuccess)
        i.run();
}

void run_first(emulation_stream &s) {
    access here;
    item i = s.todo.front();
    s.todo.pop_front();
    run(i);
}

void run_all(emulation_stream &s) {
    access here;
    while (!s.todo.empty())
        run_first(s);
}

void run_until(point &p) {
    access here;
    while (!p.done && !p.stream->todo.empty())
        run_first(*p.stream);
}

#define CHECK_EVENT(event, what)                                                                   \
    do {                                                                                           \
        if (events.count(event) == 0)                                                              \
            return wrong(cudaErrorInvalidResourceHandle, what " for no living event");             \
    } while (0)

} // namespace

void emulation::run_orphans(size_t keep) {
    while (orphans.size() > keep) {
        run_all(*orphans.front());
        orphans.pop_front();
    }
}

void emulation::push(emulation_stream &s, bool always, std::function<void()> what) {
    if (s.captured) {
        s.captured->items.push_back({always, what});
        s.position++;
        return;
    }
    s.todo.push_back({always, what});
    if (s.todo.size() > most_waiting)
        run_first(s);
}

cudaError_t emulation::check_stream(cudaStream_t stream, const char *what) {
    if (!stream)
        return wrong(cudaErrorInvalidResourceHandle, std::string(what) + " on the default stream");
    if (streams.count(stream) == 0)
        return wrong(cudaErrorInvalidResourceHandle, std::string(what) + " on no living stream");
    if (stream->device != current_device)
        return wrong(cudaErrorInvalidResourceHandle,
                     std::string(what) + " on a stream of device " +
                         std::to_string(stream->device) + " while device " +
                         std::to_string(current_device) + " is current");
    if (stream->captured && stream->captured->thread != std::this_thread::get_id())
        return wrong(cudaErrorStreamCaptureWrongThread,
                     std::string(what) + " on a stream that another thread captures");
    return cudaSuccess;
}

bool emulation::captured(cudaStream_t stream) {
    return stream->captured != nullptr;
}

/* ---- kernels ---- */

namespace {

void run_kernel_now(dim3 grid, dim3 block, const std::function<void()> &body) {
    std::string text;
    run_kernel(grid, block, body);
    if (take_fault(&text)) {
        launch_failure = text;
        fault(text);
        device_error = cudaErrorLaunchFailure;
    }
}

} // namespace

void emulation::enqueue(cudaStream_t stream, std::function<void()> work) {
    std::lock_guard<std::recursive_mutex> lock(one);
    if (!stream && default_stream && !strict()) {
        access here;
        work();
    } else if (check_stream(stream, "work") == cudaSuccess) {
        push(*stream, false, work);
    }
}

void emulation::launch(dim3 grid, dim3 block, cudaStream_t stream, std::function<void()> body) {
    std::lock_guard<std::recursive_mutex> lock(one);
    uint64_t threads = (uint64_t)block.x * block.y * block.z;
    uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
    if (threads == 0 || threads > 1024 || block.z > 64 || blocks == 0 || grid.x > 2147483647u ||
        grid.y > 65535 || grid.z > 65535) {
        (void)wrong(cudaErrorInvalidConfiguration,
                    "a launch with a grid or a block that no GPU takes");
        return;
    }
    enqueue(stream, [=] { run_kernel_now(grid, block, body); });
    if (!stream && device_error != cudaSuccess) { /* of a kernel that ran at once */
        (void)outcome(device_error);
        device_error = cudaSuccess;
    }
}

/* ---- streams ---- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    BEGIN;
    if (flags != cudaStreamNonBlocking)
        return wrong(cudaErrorInvalidValue, "a stream that waits for the default stream");
    auto s = std::make_shared<emulation_stream>();
    s->device = current_device;
    *stream = s.get();
    streams[s.get()] = s;
    return cudaSuccess;
}

/* Its work is still done: when somebody waits for an event behind it, or some time. */
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    BEGIN;
    CHECK_STREAM(stream, "an end");
    if (stream->captured)
        return wrong(cudaErrorStreamCaptureUnsupported, "a captured stream is destroyed");
    orphans.push_back(streams[stream]);
    streams.erase(stream);
    run_orphans(most_orphans);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    BEGIN;
    CHECK_STREAM(stream, "a wait");
    if (stream->captured)
        return wrong(cudaErrorStreamCaptureUnsupported, "a wait for a stream that is captured");
    run_all(*stream);
    return outcome(device_error);
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
    BEGIN;
    CHECK_STREAM(stream, "a query");
    if (stream->captured)
        return wrong(cudaErrorStreamCaptureUnsupported, "a query of a stream that is captured");
    if (device_error != cudaSuccess)
        return outcome(device_error);
    return stream->todo.empty() ? cudaSuccess : outcome(cudaErrorNotReady);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
    BEGIN;
    (void)flags;
    CHECK_STREAM(stream, "a wait");
    CHECK_EVENT(event, "a wait");
    std::shared_ptr<point> p = event->last;
    if (!p)
        return cudaSuccess;
    if (!p->captured) {
        if (stream->captured)
            return wrong(cudaErrorStreamCaptureIsolation,
                         "a captured stream waits for an event from outside the capture");
        if (!p->done && p->stream.get() != stream)
            push(*stream, true, [p] { run_until(*p); });
        return cudaSuccess;
    }
    capture *c = p->stream->captured;
    if (c != p->captured)
        return wrong(cudaErrorCapturedEvent, "a wait for an event of a capture that has ended");
    if (stream->captured && stream->captured != c)
        return wrong(cudaErrorStreamCaptureMerge, "a wait between two captures");
    if (!stream->captured) {
        stream->captured = c;
        stream->position = 1; /* a member that nobody waits for */
        stream->joined = 0;
        c->members.insert(stream);
    }
    if (p->stream.get() != stream && p->position > p->stream->joined)
        p->stream->joined = p->position;
    return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t fn, void *arg) {
    BEGIN;
    CHECK_STREAM(stream, "a host function");
    push(*stream, false, [=] {
        no_access host;
        in_host_function = true;
        fn(arg);
        in_host_function = false;
    });
    return cudaSuccess;
}

/* ---- events ---- */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    BEGIN;
    *event = new emulation_event{current_device, !(flags & cudaEventDisableTiming), nullptr};
    events.insert(*event);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    BEGIN;
    CHECK_EVENT(event, "an end");
    events.erase(event);
    delete event;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    BEGIN;
    CHECK_STREAM(stream, "a recording");
    CHECK_EVENT(event, "a recording");
    if (event->device != stream->device)
        return wrong(cudaErrorInvalidResourceHandle, "an event is recorded on another device");
    auto p = std::make_shared<point>();
    p->stream = streams[stream];
    p->timing = event->timing;
    p->captured = stream->captured;
    p->position = stream->position;
    event->last = p;
    if (!stream->captured)
        push(*stream, true, [p] {
            p->done = true;
            p->time = std::chrono::steady_clock::now();
        });
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    BEGIN;
    CHECK_EVENT(event, "a query");
    if (event->last && event->last->captured)
        return wrong(cudaErrorCapturedEvent, "a query of an event of a capture");
    if (device_error != cudaSuccess)
        return outcome(device_error);
    return !event->last || event->last->done ? cudaSuccess : outcome(cudaErrorNotReady);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    BEGIN;
    CHECK_EVENT(event, "a wait");
    if (event->last && event->last->captured)
        return wrong(cudaErrorCapturedEvent, "a wait for an event of a capture");
    if (event->last)
        run_until(*event->last);
    return outcome(device_error);
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end) {
    BEGIN;
    CHECK_EVENT(start, "a time");
    CHECK_EVENT(end, "a time");
    if (!start->timing || !end->timing || !start->last || !end->last)
        return wrong(cudaErrorInvalidResourceHandle, "the time of an event that takes none");
    if (!start->last->done || !end->last->done)
        return outcome(cudaErrorNotReady);
    *ms = std::chrono::duration<float, std::milli>(end->last->time - start->last->time).count();
    return cudaSuccess;
}

/* ---- graphs ---- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
    BEGIN;
    CHECK_STREAM(stream, "a capture");
    if (mode == cudaStreamCaptureModeGlobal)
        return wrong(cudaErrorInvalidValue, "a capture that forbids other threads to allocate");
    if (stream->captured)
        return wrong(cudaErrorStreamCaptureUnmatched, "a stream is captured twice");
    stream->captured = new capture{stream, std::this_thread::get_id(), {}, {stream}};
    stream->position = stream->joined = 0;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    BEGIN;
    CHECK_STREAM(stream, "the end of a capture");
    capture *c = stream->captured;
    if (!c || c->origin != stream)
        return wrong(cudaErrorStreamCaptureUnmatched, "no capture began on the stream");
    bool joined = true;
    for (cudaStream_t s : c->members) {
        joined = joined && (s == stream || s->joined >= s->position);
        s->captured = nullptr;
    }
    *graph = joined ? new emulation_graph{c->items} : nullptr;
    delete c;
    if (!can_capture()) {
        delete *graph;
        *graph = nullptr;
        return outcome(cudaErrorStreamCaptureUnsupported);
    }
    return joined ? cudaSuccess
                  : wrong(cudaErrorStreamCaptureUnjoined,
                          "a capture ends before the streams that joined it came back");
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status) {
    BEGIN;
    CHECK_STREAM(stream, "a question");
    *status = stream->captured ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph,
                                 unsigned long long flags) {
    BEGIN;
    (void)flags;
    if (!graph)
        return outcome(cudaErrorInvalidValue);
    *exec = new emulation_graph_exec{std::make_shared<std::vector<item>>(graph->items)};
    return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream) {
    BEGIN;
    CHECK_STREAM(stream, "an upload");
    return exec ? cudaSuccess : outcome(cudaErrorInvalidValue);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    BEGIN;
    CHECK_STREAM(stream, "a graph");
    if (!exec)
        return outcome(cudaErrorInvalidValue);
    std::shared_ptr<std::vector<item>> items = exec->items;
    push(*stream, false, [items] {
        for (const item &i : *items)
            run(i);
    });
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    BEGIN;
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    BEGIN;
    delete exec;
    return cudaSuccess;
}

/* ---- what tests set and ask ---- */

void emulation_default_stream(int allowed) {
    default_stream = allowed != 0;
}

void emulation_break(cudaStream_t stream) {
    enqueue(stream, [] { device_error = cudaErrorIllegalAddress; });
}

void emulation_memory(size_t bytes) {
    std::lock_guard<std::recursive_mutex> lock(one);
    memory_size(bytes);
}

size_t emulation_used(void) {
    std::lock_guard<std::recursive_mutex> lock(one);
    return memory_used();
}

size_t emulation_most_used(void) {
    std::lock_guard<std::recursive_mutex> lock(one);
    return memory_most_used();
}
