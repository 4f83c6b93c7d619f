/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CUDA_CUDA_H
#define STAGECOACH_BACKEND_CUDA_CUDA_H
/*
 * cuda - the functions of the .cu files that the C side of the CUDA backend calls; one file per
 * kernel.
 * All work of a backend goes into one stream, so an operation's output is ready for the next
 * operation without waiting. Copies block.
 * Errors: an operation cannot report a failure. After a failure the device stays failed and
 * downloads deliver NaN, so that nobody mistakes the data for a result.
 * Thread: the backend's.
 */
#include "backend/row_ops.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cuda_device;

/* Returns 0 without a driver or a device. */
unsigned cuda_device_count(void);

/* Opens a device with n_scratch words of scratch memory. The caller closes it. Returns NULL on
 * failure; *reason_out then says why (static storage). */
struct cuda_device *cuda_device_open(unsigned index, size_t n_scratch, const char **reason_out);
void cuda_device_close(struct cuda_device *device);

/* Allocates zeroed device memory. Returns NULL if there is not enough. */
void *cuda_alloc(struct cuda_device *device, size_t n_bytes);
void cuda_release(struct cuda_device *device, void *memory);
void cuda_upload(struct cuda_device *device, void *to, const void *host, size_t n_bytes);
void cuda_download(struct cuda_device *device, void *host, const void *from, size_t n_bytes);

/* Operations: as in backend.h. */
void cuda_norm(struct cuda_device *device, const struct norm *norm, const float *x,
	       unsigned n_rows, unsigned n, float *y);
void cuda_rope(struct cuda_device *device, int is_interleaved, unsigned dim,
	       const float *inverse_frequency, float scale, float *x, const uint32_t *positions,
	       unsigned n_rows, unsigned n_heads, unsigned head_dim);
void cuda_activate(struct cuda_device *device, const struct activation *activation,
		   const float *gate, const float *up, size_t n, float *out);
void cuda_add(struct cuda_device *device, float *x, const float *y, float scale, size_t n);
void cuda_cap(struct cuda_device *device, float *x, float scale, float cap, size_t n);
void cuda_clamp(struct cuda_device *device, float *x, float limit, size_t n);

#ifdef __cplusplus
}
#endif

#endif
