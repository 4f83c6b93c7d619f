/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/device.h"

enum { THREADS = 256 };

static __global__ void add(float *x, const float *y, float scale, size_t n)
{
	size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;

	if (i < n)
		x[i] = fmaf(scale, y[i], x[i]);
}

void cuda_add(struct cuda_device *device, float *x, const float *y, float scale, size_t n)
{
	if (!n || !cuda_begin(device))
		return;
	add<<<cuda_blocks(n, THREADS), THREADS, 0, device->stream>>>(x, y, scale, n);
	cuda_note(device, cudaGetLastError());
}
