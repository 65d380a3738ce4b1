/*
 * asan.h - whether the address sanitizer is on (ADDRESS_SANITIZER is 1 or 0), by whatever compiler,
 * and what it has for those who keep memory and stacks of their own; poisoning does nothing
 * without.
 */
#ifndef EMULATION_ASAN_H
#define EMULATION_ASAN_H

#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif

#ifdef ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define ADDRESS_SANITIZER                 0
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#endif
