/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CUDA_DEVICE_H
#define STAGECOACH_BACKEND_CUDA_DEVICE_H
/* device - an opened GPU, for the .cu files. */
#include "backend/cuda/cuda.h"

#include <cuda_runtime.h>

struct cuda_device {
	int index;
	bool has_failed;
	cudaStream_t stream;
	uint32_t *scratch;	/* device memory for what an operation brings from the host */
	size_t n_scratch;
};

/* Makes the device current for this thread. Returns false if it has failed. */
bool cuda_begin(struct cuda_device *device);

/* Marks the device as failed if error is a failure. */
void cuda_note(struct cuda_device *device, cudaError_t error);

/* The number of blocks of `threads` threads that cover n elements. */
static inline unsigned cuda_blocks(size_t n, unsigned threads)
{
	return (unsigned)((n + threads - 1) / threads);
}

#endif
