/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/backend.h"

#include "backend/cuda/cuda.h"

#include <stdlib.h>

/* The C side of the table. Missing operations are NULL, so backend_is_complete returns false. */

struct cuda_backend {
	struct backend base;
	struct cuda_device *device;
};

extern const struct backend_ops backend_cuda;

static struct cuda_device *device_of(struct backend *backend)
{
	return ((struct cuda_backend *)backend)->device;
}

static void close_backend(struct backend *backend)
{
	struct cuda_backend *cuda = (struct cuda_backend *)backend;

	if (!cuda)
		return;
	cuda_device_close(cuda->device);
	free(cuda);
}

static enum sc_status open_backend(unsigned device, const struct backend_config *config,
				   struct backend **backend_out, struct error *err)
{
	unsigned n = cuda_device_count();
	const char *reason = "out of memory";
	struct cuda_backend *cuda;

	if (device >= n)
		return error_set(err, SC_E_DEVICE, "cuda device %u does not exist: found %u "
				 "devices", device, n);
	if (!config->max_rows || !config->max_width)
		return error_set(err, SC_E_INVALID, "cuda device %u: out of range: %u rows of %u",
				 device, config->max_rows, config->max_width);
	cuda = calloc(1, sizeof *cuda);
	if (cuda) {
		cuda->base.ops = &backend_cuda;
		/* Positions of a step and the frequencies of a head. */
		cuda->device = cuda_device_open(device, (size_t)config->max_rows +
						config->max_width, &reason);
	}
	if (!cuda || !cuda->device) {
		close_backend(cuda ? &cuda->base : NULL);
		return error_set(err, SC_E_DEVICE, "cuda device %u: %s", device, reason);
	}
	*backend_out = &cuda->base;
	return SC_OK;
}

static enum sc_status alloc(struct backend *backend, size_t n_bytes, void **out)
{
	void *memory = cuda_alloc(device_of(backend), n_bytes);

	if (!memory)
		return SC_E_CAPACITY;
	*out = memory;
	return SC_OK;
}

static void release(struct backend *backend, void *memory)
{
	cuda_release(device_of(backend), memory);
}

static void upload(struct backend *backend, void *device, const void *host, size_t n_bytes)
{
	cuda_upload(device_of(backend), device, host, n_bytes);
}

static void download(struct backend *backend, void *host, const void *device, size_t n_bytes)
{
	cuda_download(device_of(backend), host, device, n_bytes);
}

static void norm(struct backend *backend, const struct norm *norm, const float *x,
		 unsigned n_rows, unsigned n, float *y)
{
	cuda_norm(device_of(backend), norm, x, n_rows, n, y);
}

static void rope(struct backend *backend, const struct rope_table *table, float *x,
		 const uint32_t *positions, unsigned n_rows, unsigned n_heads, unsigned head_dim)
{
	if (table->layout != ROPE_NONE)
		cuda_rope(device_of(backend), table->layout == ROPE_INTERLEAVED, table->dim,
			  table->inverse_frequency, table->scale, x, positions, n_rows, n_heads,
			  head_dim);
}

static void activate(struct backend *backend, const struct activation *activation,
		     const float *gate, const float *up, size_t n, float *out)
{
	cuda_activate(device_of(backend), activation, gate, up, n, out);
}

static void add(struct backend *backend, float *x, const float *y, float scale, size_t n)
{
	cuda_add(device_of(backend), x, y, scale, n);
}

static void cap(struct backend *backend, float *x, float scale, float largest, size_t n)
{
	cuda_cap(device_of(backend), x, scale, largest, n);
}

static void clamp(struct backend *backend, float *x, float limit, size_t n)
{
	cuda_clamp(device_of(backend), x, limit, n);
}

const struct backend_ops backend_cuda = {
	.name = "cuda",
	.kernel_version = 1,
	.is_host_memory = false,
	.count = cuda_device_count,
	.open = open_backend,
	.close = close_backend,
	.alloc = alloc,
	.release = release,
	.upload = upload,
	.download = download,
	.norm = norm,
	.rope = rope,
	.activate = activate,
	.add = add,
	.cap = cap,
	.clamp = clamp,
};
