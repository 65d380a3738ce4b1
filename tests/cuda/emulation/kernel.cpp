/*
 * kernel.cpp - blocks of fibers: how an emulated kernel runs.
 *
 * One kernel runs at a time. Each thread of a block is a fiber that runs until it ends or comes to
 * a barrier; the scheduler takes them in the order that the test asked for.
 */
#undef _FORTIFY_SOURCE /* its longjmp takes another stack for an error */

#include "kernel.h"

#include <deque>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include <setjmp.h>
#include <ucontext.h>

#include "asan.h"

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulation {

namespace {

/* Fibers switch by setjmp: swapcontext asks the kernel for the signal mask, twice a switch. So does
 * the address sanitizer's setjmp; it has to be gone round, and told which stack is in use. */
#if ADDRESS_SANITIZER
typedef void *jump_place[5];
#define NOT_SANITIZED                     __attribute__((no_sanitize_address))
#define SET_PLACE(place)                  __builtin_setjmp(place)
#define JUMP(place)                       __builtin_longjmp(place, 1)
#define LEAVE_STACK(fake, bottom, size)   __sanitizer_start_switch_fiber(fake, bottom, size)
#define COME_TO_STACK(fake, bottom, size) __sanitizer_finish_switch_fiber(fake, bottom, size)
const void *scheduler_stack;
size_t scheduler_size;
void *scheduler_fake;
#else
typedef jmp_buf jump_place;
#define NOT_SANITIZED
#define SET_PLACE(place)                  _setjmp(place)
#define JUMP(place)                       _longjmp(place, 1)
#define LEAVE_STACK(fake, bottom, size)   ((void)0)
#define COME_TO_STACK(fake, bottom, size) ((void)0)
#endif

constexpr size_t stack_bytes = 128 << 10;

enum class at {
    running,
    block,
    warp,
    done
};

struct fiber {
    ucontext_t context;
    jump_place place; /* once it has begun */
    std::vector<char> stack;
    bool begun;
    void *fake; /* of the address sanitizer */
    at where;
    unsigned mask;
    const char *file;
    int line;
    dim3 index;
    unsigned char lane_value[8];
};

std::mutex one_kernel;
std::deque<fiber> fibers; /* never moved: a context points into itself */
size_t count, current;
const std::function<void()> *body;
int order;
std::string fault;

jump_place scheduler;

__attribute__((noinline, noreturn)) NOT_SANITIZED void jump(jump_place &to) {
    JUMP(to);
}

__attribute__((noinline)) NOT_SANITIZED void enter(fiber &f) {
    LEAVE_STACK(&scheduler_fake, f.stack.data(), stack_bytes);
    if (SET_PLACE(scheduler) == 0) {
        if (f.begun)
            jump(f.place);
        f.begun = true;
        setcontext(&f.context);
    }
    COME_TO_STACK(scheduler_fake, NULL, NULL);
}

__attribute__((noinline)) NOT_SANITIZED void leave(fiber &f) {
    LEAVE_STACK(&f.fake, scheduler_stack, scheduler_size);
    if (SET_PLACE(f.place) == 0)
        jump(scheduler);
    COME_TO_STACK(fibers[current].fake, &scheduler_stack, &scheduler_size);
}

/* A fiber serves one thread after another. */
void fiber_main() {
    COME_TO_STACK(NULL, &scheduler_stack, &scheduler_size);
    for (;;) {
        (*body)();
        fibers[current].where = at::done;
        leave(fibers[current]);
    }
}

void resume(size_t i) {
    current = i;
    threadIdx = fibers[i].index;
    fibers[i].where = at::running;
    enter(fibers[i]);
}

std::vector<size_t> sequence(size_t n, unsigned salt) {
    std::vector<size_t> s(n);
    for (size_t i = 0; i < n; i++)
        s[i] = order == 1 ? n - 1 - i : i;
    if (order == 2) {
        std::mt19937 random(salt + 1);
        for (size_t i = n; i > 1; i--)
            std::swap(s[i - 1], s[random() % i]);
    }
    return s;
}

__attribute__((noinline)) void begin_fiber(fiber &f) {
    /* A new one: on the old one may lie what a fault left, which the address sanitizer knows of. */
    std::vector<char>(stack_bytes).swap(f.stack);
    f.begun = false;
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.data();
    f.context.uc_stack.ss_size = f.stack.size();
    f.context.uc_link = NULL;
    makecontext(&f.context, fiber_main, 0);
}

void begin_block(dim3 block) {
    for (size_t i = 0; i < count; i++) {
        fiber &f = fibers[i];
        f.index = dim3((unsigned)(i % block.x), (unsigned)(i / block.x % block.y),
                       (unsigned)(i / block.x / block.y));
        if (f.where != at::done) /* else it waits at its end for a new thread */
            begin_fiber(f);
    }
}

std::string place(const fiber &f) {
    return std::string(f.file) + ":" + std::to_string(f.line < 0 ? -f.line : f.line);
}

/* Lets the lanes of a warp go on that have all come to the same place; false: none. */
bool release_warps(const std::vector<size_t> &turn) {
    bool any = false;
    for (size_t first = 0; first < count && fault.empty(); first += warpSize) {
        size_t end = first + warpSize < count ? first + warpSize : count;
        for (size_t i = first; i < end; i++) {
            if (fibers[i].where != at::warp)
                continue;
            const fiber &f = fibers[i];
            bool all = true;
            for (size_t k = first; k < end; k++)
                if (f.mask >> (k - first) & 1)
                    all &= fibers[k].where == at::warp && fibers[k].line == f.line &&
                           fibers[k].file == f.file;
            if (!all)
                continue;
            unsigned mask = f.mask;
            any = true;
            for (size_t k : turn)
                if (k >= first && k < end && (mask >> (k - first) & 1))
                    resume(k);
        }
    }
    return any;
}

/* One block, to its end or its first fault. */
void run_block(const std::vector<size_t> &turn) {
    for (size_t i : turn)
        resume(i);
    while (fault.empty()) {
        if (release_warps(turn))
            continue;
        size_t done = 0, waiting = 0, waits = 0;
        for (size_t i = 0; i < count; i++) {
            done += fibers[i].where == at::done;
            if (fibers[i].where == at::warp) {
                fault = "lanes of a warp do not meet at " + place(fibers[i]);
                return;
            }
            if (fibers[i].where == at::block && waiting++ == 0)
                waits = i;
        }
        if (waiting == 0)
            return;
        if (done > 0) {
            fault = "a barrier is not reached by all threads of the block: " + place(fibers[waits]);
            return;
        }
        for (size_t i = 0; i < count; i++)
            if (fibers[i].line != fibers[waits].line || fibers[i].file != fibers[waits].file) {
                fault = "threads of a block wait at different barriers: " + place(fibers[waits]) +
                        " and " + place(fibers[i]);
                return;
            }
        for (size_t i : turn)
            resume(i);
    }
}

} // namespace

void run_kernel(dim3 grid, dim3 block, const std::function<void()> &what) {
    std::lock_guard<std::mutex> lock(one_kernel);
    count = (size_t)block.x * block.y * block.z;
    if (count == 0 || count > 1024 || (size_t)grid.x * grid.y * grid.z == 0) {
        fault = "a launch with no block, no thread, or more than 1024 threads in a block";
        return;
    }
    if (fibers.size() < count)
        fibers.resize(count);
    body = &what;
    gridDim = grid;
    blockDim = block;
    std::vector<size_t> blocks = sequence((size_t)grid.x * grid.y * grid.z, 7);
    for (size_t k = 0; k < blocks.size() && fault.empty(); k++) {
        size_t b = blocks[k];
        blockIdx = dim3((unsigned)(b % grid.x), (unsigned)(b / grid.x % grid.y),
                        (unsigned)(b / grid.x / grid.y));
        begin_block(block);
        run_block(sequence(count, (unsigned)k));
    }
}

bool take_fault(std::string *text) {
    if (fault.empty())
        return false;
    *text = fault;
    fault.clear();
    return true;
}

void barrier(bool warp, unsigned mask, const char *file, int line) {
    size_t me = current;
    fiber &f = fibers[me];
    f.where = warp ? at::warp : at::block;
    f.mask = mask;
    f.file = file;
    f.line = line;
    if (warp) { /* lanes beyond the block do not exist */
        size_t first = me / warpSize * warpSize;
        if (count - first < (size_t)warpSize)
            f.mask &= (1u << (count - first)) - 1;
    }
    leave(f);
}

void lane_put(const void *value, size_t size) {
    memcpy(fibers[current].lane_value, value, size);
}

void lane_get(int lane, void *value, size_t size) {
    size_t from = current / warpSize * warpSize + (size_t)lane;
    if (from < count)
        memcpy(value, fibers[from].lane_value, size);
}

int lane() {
    return (int)(current % warpSize);
}

} // namespace emulation

extern "C" void emulation_order(int new_order) {
    emulation::order = new_order;
}
