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

struct emulation_pool {
    uint64_t attribute[cudaMemPoolAttrUsedMemHigh + 1];
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
std::set<cudaMemPool_t> pools;
std::map<const char *, std::shared_ptr<size_t>> pinned; /* sizes, 0 once freed */
std::deque<std::shared_ptr<emulation_stream>> orphans;  /* destroyed with work on them */
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

void run_orphans(size_t keep) {
    while (orphans.size() > keep) {
        run_all(*orphans.front());
        orphans.pop_front();
    }
}

void run_until(point &p) {
    access here;
    while (!p.done && !p.stream->todo.empty())
        run_first(*p.stream);
}

void push(emulation_stream &s, bool always, std::function<void()> what) {
    if (s.captured) {
        s.captured->items.push_back({always, what});
        s.position++;
        return;
    }
    s.todo.push_back({always, what});
    if (s.todo.size() > most_waiting)
        run_first(s);
}

/* A stream that work may be enqueued on. */
cudaError_t check_stream(cudaStream_t stream, const char *what) {
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

#define CHECK_STREAM(stream, what)                                                                 \
    do {                                                                                           \
        cudaError_t wrong_ = check_stream(stream, what);                                           \
        if (wrong_ != cudaSuccess)                                                                 \
            return wrong_;                                                                         \
    } while (0)

#define CHECK_EVENT(event, what)                                                                   \
    do {                                                                                           \
        if (events.count(event) == 0)                                                              \
            return wrong(cudaErrorInvalidResourceHandle, what " for no living event");             \
    } while (0)

} // namespace

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

/* ---- memory ---- */

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total) {
    BEGIN;
    *total = memory_total();
    *free_bytes = *total - memory_used();
    return cudaSuccess;
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t *pool, const struct cudaMemPoolProps *props) {
    BEGIN;
    if (props->location.id < 0 || props->location.id >= gpus())
        return outcome(cudaErrorInvalidDevice);
    *pool = new emulation_pool{};
    pools.insert(*pool);
    return cudaSuccess;
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
    BEGIN;
    run_orphans(0);
    if (pool_in_use(pool))
        return wrong(cudaErrorInvalidValue, "a pool is destroyed while memory of it is in use");
    if (pools.erase(pool) == 0)
        return wrong(cudaErrorInvalidResourceHandle, "no living pool is destroyed");
    delete pool;
    return cudaSuccess;
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr attr, void *value) {
    BEGIN;
    if (attr < cudaMemPoolReuseFollowEventDependencies || attr > cudaMemPoolAttrUsedMemHigh)
        return outcome(cudaErrorInvalidValue);
    if (attr <= cudaMemPoolReuseAllowInternalDependencies)
        pool->attribute[attr] = (uint64_t) * (int *)value;
    else
        pool->attribute[attr] = *(uint64_t *)value;
    return cudaSuccess;
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr attr, void *value) {
    BEGIN;
    if (attr < cudaMemPoolReuseFollowEventDependencies || attr > cudaMemPoolAttrUsedMemHigh)
        return outcome(cudaErrorInvalidValue);
    if (attr <= cudaMemPoolReuseAllowInternalDependencies)
        *(int *)value = (int)pool->attribute[attr];
    else if (attr == cudaMemPoolAttrReleaseThreshold)
        *(uint64_t *)value = pool->attribute[attr];
    else if (attr == cudaMemPoolAttrReservedMemCurrent || attr == cudaMemPoolAttrUsedMemCurrent)
        *(uint64_t *)value = memory_used();
    else
        *(uint64_t *)value = memory_most_used();
    return cudaSuccess;
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t keep) {
    BEGIN;
    (void)keep;
    return pools.count(pool) ? cudaSuccess : outcome(cudaErrorInvalidResourceHandle);
}

cudaError_t cudaMalloc(void **data, size_t bytes) {
    BEGIN;
    std::shared_ptr<block> b = block_new(bytes, nullptr);
    if (!b)
        return outcome(cudaErrorMemoryAllocation);
    block_begin(*b);
    *data = b->data;
    return cudaSuccess;
}

/* The block that starts there, for giving it back. */
static std::shared_ptr<block> whole_block(void *data) {
    std::shared_ptr<block> b = block_of(data, 1);
    if (b && b->data == data && !b->given_back)
        return b;
    fault(b && b->given_back ? "memory is given back twice"
                             : "what is given back is no memory of the GPU");
    return nullptr;
}

cudaError_t cudaFree(void *data) {
    BEGIN;
    if (!data)
        return cudaSuccess;
    std::shared_ptr<block> b = whole_block(data);
    if (!b)
        return outcome(cudaErrorInvalidValue);
    b->given_back = true;
    block_end(b);
    return cudaSuccess;
}

cudaError_t cudaMallocFromPoolAsync(void **data, size_t bytes, cudaMemPool_t pool,
                                    cudaStream_t stream) {
    BEGIN;
    CHECK_STREAM(stream, "an allocation");
    if (stream->captured)
        return wrong(cudaErrorStreamCaptureUnsupported, "an allocation within a capture");
    if (pools.count(pool) == 0)
        return wrong(cudaErrorInvalidResourceHandle, "an allocation from no living pool");
    std::shared_ptr<block> b = block_new(bytes, pool);
    if (!b)
        return outcome(cudaErrorMemoryAllocation);
    push(*stream, true, [b] { block_begin(*b); });
    *data = b->data;
    return cudaSuccess;
}

cudaError_t cudaFreeAsync(void *data, cudaStream_t stream) {
    BEGIN;
    CHECK_STREAM(stream, "a release");
    if (stream->captured)
        return wrong(cudaErrorStreamCaptureUnsupported, "a release within a capture");
    std::shared_ptr<block> b = whole_block(data);
    if (!b)
        return outcome(cudaErrorInvalidValue);
    b->given_back = true;
    push(*stream, true, [b] {
        if (!b->begun)
            fault("memory is released before its allocation has had its turn");
        block_end(b);
    });
    return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **data, size_t bytes, unsigned flags) {
    BEGIN;
    (void)flags;
    *data = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (!*data)
        return outcome(cudaErrorMemoryAllocation);
    memset(*data, 0xA5, bytes);
    pinned[(char *)*data] = std::make_shared<size_t>(bytes);
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *data) {
    BEGIN;
    auto at = pinned.find((char *)data);
    if (!data)
        return cudaSuccess;
    if (at == pinned.end())
        return wrong(cudaErrorInvalidValue, "what is freed is no page-locked memory");
    *at->second = 0;
    pinned.erase(at);
    free(data);
    return cudaSuccess;
}

/* The page-locked block around p, or NULL. */
static std::shared_ptr<size_t> pinned_of(const void *p) {
    auto at = pinned.upper_bound((const char *)p);
    if (at == pinned.begin())
        return nullptr;
    --at;
    return (const char *)p < at->first + *at->second ? at->second : nullptr;
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *a, const void *data) {
    BEGIN;
    *a = {cudaMemoryTypeUnregistered, -1, nullptr, (void *)(uintptr_t)data};
    if (in_memory(data))
        *a = {cudaMemoryTypeDevice, current_device, (void *)(uintptr_t)data, nullptr};
    else if (pinned_of(data))
        *a = {cudaMemoryTypeHost, current_device, (void *)(uintptr_t)data, (void *)(uintptr_t)data};
    return cudaSuccess;
}

namespace {

/* One side of a copy. */
struct side {
    std::shared_ptr<block> there;
    std::shared_ptr<size_t> here;
};

cudaError_t check_side(const void *p, size_t bytes, bool device, const char *what, side *ret) {
    std::string text = std::string(what) + " of " + std::to_string(bytes) + " bytes";
    if (device != in_memory(p))
        return wrong(cudaErrorInvalidValue, text + (device ? " of the host's memory as the GPU's"
                                                           : " of the GPU's memory as the host's"));
    if (!device) {
        ret->here = pinned_of(p);
        return cudaSuccess;
    }
    ret->there = block_of(p, bytes);
    if (!ret->there)
        return wrong(cudaErrorIllegalAddress, text + " beyond a block of memory");
    if (ret->there->given_back)
        return wrong(cudaErrorIllegalAddress, text + " of memory that was given back");
    return cudaSuccess;
}

/* Whether the memory can be used now; else that is a fault. */
bool check_turn(const side &s, const char *what) {
    const char *why = nullptr;
    if (s.there && s.there->ended)
        why = " of memory after its release";
    else if (s.there && !s.there->begun)
        why = " of memory before its allocation's turn";
    else if (s.here && *s.here == 0)
        why = " of page-locked memory after it was freed";
    if (why)
        fault(std::string(what) + why);
    return !why;
}

} // namespace

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream) {
    BEGIN;
    CHECK_STREAM(stream, "a copy");
    if (bytes == 0)
        return cudaSuccess;
    bool device_to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    bool device_from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (kind == cudaMemcpyDefault) {
        device_to = in_memory(to);
        device_from = in_memory(from);
    }
    side a, b;
    cudaError_t error = check_side(to, bytes, device_to, "a write", &a);
    if (error == cudaSuccess)
        error = check_side(from, bytes, device_from, "a read", &b);
    if (error != cudaSuccess)
        return error;
    if (stream->captured && ((!device_to && !a.here) || (!device_from && !b.here)))
        return wrong(cudaErrorStreamCaptureUnsupported,
                     "a copy within a capture of host memory that is not page-locked");
    push(*stream, false, [=] {
        bool can_write = check_turn(a, "a write"), can_read = check_turn(b, "a read");
        if (can_write && can_read)
            memmove(to, from, bytes);
    });
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *data, int value, size_t bytes, cudaStream_t stream) {
    BEGIN;
    CHECK_STREAM(stream, "a fill");
    if (bytes == 0)
        return cudaSuccess;
    side a;
    cudaError_t error = check_side(data, bytes, true, "a fill", &a);
    if (error != cudaSuccess)
        return error;
    push(*stream, false, [=] {
        if (check_turn(a, "a fill"))
            memset(data, value, bytes);
    });
    return cudaSuccess;
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
