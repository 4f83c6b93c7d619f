/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/device.h"

enum { THREADS = 256 };

static __device__ float activated(const struct activation *a, float x)
{
	float positive = x > 0 ? x : 0;

	switch (a->kind) {
	case ACTIVATION_GELU_TANH:
		return x / (1 + expf(x * (-0.07135482f * x * x - 1.5957691f)));
	case ACTIVATION_GELU_ERF:
		return x * normcdff(x);
	case ACTIVATION_RELU:
		return x != x ? x : positive;
	case ACTIVATION_RELU2:
		return x != x ? x : positive * positive;
	case ACTIVATION_XIELU:
		return x > 0 ? x * (a->alpha_p * x + a->beta) :
			       a->alpha_n * (expm1f(fminf(x, a->eps)) - x) + a->beta * x;
	default:
		return x / (1 + expf(-x));
	}
}

static __global__ void activate(struct activation a, const float *gate, const float *up, size_t n,
				float *out)
{
	size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;

	if (i < n)
		out[i] = activated(&a, gate[i]) * (up ? up[i] : 1);
}

void cuda_activate(struct cuda_device *device, const struct activation *activation,
		   const float *gate, const float *up, size_t n, float *out)
{
	if (!n || !cuda_begin(device))
		return;
	activate<<<cuda_blocks(n, THREADS), THREADS, 0, device->stream>>>(*activation, gate, up, n,
									  out);
	cuda_note(device, cudaGetLastError());
}
