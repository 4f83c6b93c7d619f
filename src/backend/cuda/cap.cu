/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/device.h"

enum { THREADS = 256 };

static __global__ void cap_all(float *x, float scale, float cap, size_t n)
{
	size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;

	if (i < n)
		x[i] = cap > 0 ? cap * tanhf(scale * x[i] / cap) : scale * x[i];
}

void cuda_cap(struct cuda_device *device, float *x, float scale, float cap, size_t n)
{
	if (!n || !cuda_begin(device))
		return;
	cap_all<<<cuda_blocks(n, THREADS), THREADS, 0, device->stream>>>(x, scale, cap, n);
	cuda_note(device, cudaGetLastError());
}

static __global__ void clamp_all(float *x, float limit, size_t n)
{
	size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;

	if (i < n && fabsf(x[i]) > limit)
		x[i] = copysignf(limit, x[i]);
}

void cuda_clamp(struct cuda_device *device, float *x, float limit, size_t n)
{
	if (!n || !cuda_begin(device))
		return;
	clamp_all<<<cuda_blocks(n, THREADS), THREADS, 0, device->stream>>>(x, limit, n);
	cuda_note(device, cudaGetLastError());
}
