/*
 * described.h - GPUs that are not there, described to cuDNN (9.8 and later).
 */
#ifndef TESTS_CUDA_DESCRIBED_H
#define TESTS_CUDA_DESCRIBED_H

#include <cudnn_graph.h>

/* A descriptor of a GPU of compute capability `capability` / 10, with so many multiprocessors and
 * bytes of shared memory a block. Fails the running test if cuDNN does not take it. */
cudnnBackendDescriptor_t described_gpu(const char *name, int capability, int multiprocessors,
                                       int shared);

/* Without a driver cuDNN opens and closes NVRTC at every question: held open, it is much faster. */
void described_hasten(void);

#endif
