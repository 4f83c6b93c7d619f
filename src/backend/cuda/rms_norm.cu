/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/device.h"

enum { THREADS = 256 };

/* One block per row. Each thread sums every 256th square; then halves are added. The order is the
 * same for every number of rows. */
static __global__ void rms_norm(const float *x, const float *gain, float eps, unsigned n, float *y)
{
	__shared__ float sums[THREADS];
	size_t row = (size_t)blockIdx.x * n;
	float sum = 0, scale;

	for (unsigned i = threadIdx.x; i < n; i += THREADS)
		sum += x[row + i] * x[row + i];
	sums[threadIdx.x] = sum;
	__syncthreads();
	for (unsigned half = THREADS / 2; half; half /= 2) {
		if (threadIdx.x < half)
			sums[threadIdx.x] += sums[threadIdx.x + half];
		__syncthreads();
	}
	scale = 1 / sqrtf(sums[0] / (float)n + eps);
	for (unsigned i = threadIdx.x; i < n; i += THREADS)
		y[row + i] = x[row + i] * scale * gain[i];
}

void cuda_rms_norm(struct cuda_device *device, const float *x, const float *gain, float eps,
		   unsigned n_rows, unsigned n, float *y)
{
	if (!n_rows || !cuda_begin(device))
		return;
	rms_norm<<<n_rows, THREADS, 0, device->stream>>>(x, gain, eps, n, y);
	cuda_note(device, cudaGetLastError());
}
