/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/device.h"

enum { THREADS = 256 };

static __global__ void swiglu(const float *gate, const float *up, size_t n, float *out)
{
	size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;

	if (i < n)
		out[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
}

void cuda_swiglu(struct cuda_device *device, const float *gate, const float *up, size_t n,
		 float *out)
{
	if (!n || !cuda_begin(device))
		return;
	swiglu<<<cuda_blocks(n, THREADS), THREADS, 0, device->stream>>>(gate, up, n, out);
	cuda_note(device, cudaGetLastError());
}
