/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/device.h"

enum { THREADS = 256 };

/* Adds the threads' numbers, by halves. All threads get the sum. */
static __device__ float sum_of_block(float *sums, float mine)
{
	float sum;

	sums[threadIdx.x] = mine;
	__syncthreads();
	for (unsigned half = THREADS / 2; half; half /= 2) {
		if (threadIdx.x < half)
			sums[threadIdx.x] += sums[threadIdx.x + half];
		__syncthreads();
	}
	sum = sums[0];
	__syncthreads();
	return sum;
}

/* One block per vector. Each thread sums every 256th element; then halves are added. The order is
 * the same for every number of vectors. */
static __global__ void normalise(struct norm norm, const float *x, unsigned n, float *y)
{
	__shared__ float sums[THREADS];
	size_t vector = (size_t)blockIdx.x * n;
	size_t at = norm.is_per_group ? (size_t)(blockIdx.x % norm.n_groups) * n : 0;
	float sum = 0, mean = 0, scale;

	for (unsigned i = threadIdx.x; norm.kind == NORM_LAYER && i < n; i += THREADS)
		sum += x[vector + i];
	if (norm.kind == NORM_LAYER)
		mean = sum_of_block(sums, sum) / (float)n;
	sum = 0;
	for (unsigned i = threadIdx.x; i < n; i += THREADS)
		sum += (x[vector + i] - mean) * (x[vector + i] - mean);
	scale = 1 / sqrtf(sum_of_block(sums, sum) / (float)n + norm.eps);
	for (unsigned i = threadIdx.x; i < n; i += THREADS)
		y[vector + i] = (x[vector + i] - mean) * scale *
				(norm.gain ? norm.gain[at + i] : 1) +
				(norm.bias ? norm.bias[at + i] : 0);
}

void cuda_norm(struct cuda_device *device, const struct norm *norm, const float *x,
	       unsigned n_rows, unsigned n, float *y)
{
	if (!n_rows || !cuda_begin(device))
		return;
	normalise<<<n_rows * norm->n_groups, THREADS, 0, device->stream>>>(*norm, x, n, y);
	cuda_note(device, cudaGetLastError());
}
