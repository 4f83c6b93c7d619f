/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cuda/device.h"

#include <cstdlib>
#include <cstring>

unsigned cuda_device_count(void)
{
	int n = 0;

	if (cudaGetDeviceCount(&n) != cudaSuccess) {
		/* Clears the error, which the next call would otherwise report. */
		(void)cudaGetLastError();
		return 0;
	}
	return n > 0 ? (unsigned)n : 0;
}

struct cuda_device *cuda_device_open(unsigned index, size_t n_scratch, const char **reason_out)
{
	struct cuda_device *device = (struct cuda_device *)calloc(1, sizeof *device);
	cudaError_t error = cudaErrorMemoryAllocation;

	if (device) {
		device->index = (int)index;
		device->n_scratch = n_scratch;
		error = cudaSetDevice(device->index);
		if (error == cudaSuccess)
			error = cudaStreamCreateWithFlags(&device->stream, cudaStreamNonBlocking);
		if (error == cudaSuccess)
			error = cudaMalloc((void **)&device->scratch,
					   n_scratch * sizeof *device->scratch);
	}
	if (error == cudaSuccess)
		return device;
	(void)cudaGetLastError();
	*reason_out = cudaGetErrorString(error);
	cuda_device_close(device);
	return NULL;
}

void cuda_device_close(struct cuda_device *device)
{
	if (!device)
		return;
	if (device->scratch)
		(void)cudaFree(device->scratch);
	if (device->stream)
		(void)cudaStreamDestroy(device->stream);
	free(device);
}

void cuda_note(struct cuda_device *device, cudaError_t error)
{
	if (error != cudaSuccess)
		device->has_failed = true;
}

bool cuda_begin(struct cuda_device *device)
{
	cuda_note(device, cudaSetDevice(device->index));
	return !device->has_failed;
}

void *cuda_alloc(struct cuda_device *device, size_t n_bytes)
{
	void *memory = NULL;

	if (!cuda_begin(device))
		return NULL;
	if (cudaMalloc(&memory, n_bytes + !n_bytes) != cudaSuccess) {
		/* Running out of memory does not fail the device: the caller handles it. */
		(void)cudaGetLastError();
		return NULL;
	}
	cuda_note(device, cudaMemsetAsync(memory, 0, n_bytes, device->stream));
	cuda_note(device, cudaStreamSynchronize(device->stream));
	return memory;
}

void cuda_release(struct cuda_device *device, void *memory)
{
	(void)cuda_begin(device);
	(void)cudaFree(memory);
}

void cuda_upload(struct cuda_device *device, void *to, const void *host, size_t n_bytes)
{
	if (!cuda_begin(device))
		return;
	cuda_note(device, cudaMemcpyAsync(to, host, n_bytes, cudaMemcpyHostToDevice,
					  device->stream));
	cuda_note(device, cudaStreamSynchronize(device->stream));
}

void cuda_download(struct cuda_device *device, void *host, const void *from, size_t n_bytes)
{
	if (cuda_begin(device)) {
		cuda_note(device, cudaMemcpyAsync(host, from, n_bytes, cudaMemcpyDeviceToHost,
						  device->stream));
		cuda_note(device, cudaStreamSynchronize(device->stream));
	}
	if (device->has_failed)
		memset(host, 0xff, n_bytes);
}
