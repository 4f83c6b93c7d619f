/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/device.h"

enum { THREADS = 128 };

struct rotation {
	float *x;
	const uint32_t *positions;
	const float *inverse_frequency;
	float scale;
	unsigned n_heads;
	unsigned head_dim;
	unsigned n_angles;
	bool is_interleaved;
};

/* A block per row, a thread per pair. */
static __global__ void rope(struct rotation r)
{
	float *row = r.x + (size_t)blockIdx.x * r.n_heads * r.head_dim;
	float position = (float)r.positions[blockIdx.x];

	for (unsigned i = threadIdx.x; i < r.n_heads * r.n_angles; i += THREADS) {
		unsigned angle = i % r.n_angles;
		float *head = row + (size_t)(i / r.n_angles) * r.head_dim;
		float *a = head + (r.is_interleaved ? 2 * angle : angle);
		float *b = r.is_interleaved ? a + 1 : a + r.n_angles;
		float x = *a, y = *b, sine, cosine;

		sincosf(position * r.inverse_frequency[angle], &sine, &cosine);
		cosine *= r.scale;
		sine *= r.scale;
		*a = x * cosine - y * sine;
		*b = y * cosine + x * sine;
	}
}

void cuda_rope(struct cuda_device *device, int is_interleaved, unsigned dim,
	       const float *inverse_frequency, float scale, float *x, const uint32_t *positions,
	       unsigned n_rows, unsigned n_heads, unsigned head_dim)
{
	uint32_t *frequencies = device->scratch + n_rows;
	struct rotation r = { x, device->scratch, (float *)frequencies, scale, n_heads, head_dim,
			      dim / 2, is_interleaved != 0 };

	if (!n_rows || !cuda_begin(device))
		return;
	if ((size_t)n_rows + dim / 2 > device->n_scratch) {
		cuda_note(device, cudaErrorInvalidValue);
		return;
	}
	cuda_note(device, cudaMemcpyAsync(device->scratch, positions, n_rows * sizeof *positions,
					  cudaMemcpyHostToDevice, device->stream));
	cuda_note(device, cudaMemcpyAsync(frequencies, inverse_frequency, dim / 2 * sizeof(float),
					  cudaMemcpyHostToDevice, device->stream));
	rope<<<n_rows, THREADS, 0, device->stream>>>(r);
	cuda_note(device, cudaGetLastError());
}
