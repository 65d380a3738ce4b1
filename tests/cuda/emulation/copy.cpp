/*
 * copy.cpp - the emulated runtime's memory: pools, page-locked memory, copies and fills.
 */
#include "state.h"

#include <map>
#include <set>

#include <stdlib.h>

using namespace emulation;

struct emulation_pool {
    uint64_t attribute[cudaMemPoolAttrUsedMemHigh + 1];
};

namespace {

std::set<cudaMemPool_t> pools;
std::map<const char *, std::shared_ptr<size_t>> pinned; /* sizes, 0 once freed */

} // namespace

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
    if (captured(stream))
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
    if (captured(stream))
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
    if (captured(stream) && ((!device_to && !a.here) || (!device_from && !b.here)))
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
