/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_QUANTIZE_H
#define STAGECOACH_QUANT_QUANTIZE_H
/*
 * quantize - writes a model to a file, with smaller tensors or with the same. All metadata except the
 * file type is kept, and split files become one. The same input gives the same bytes with any number of
 * threads and on every instruction set.
 */
#include "quant/encode.h"
#include "quant/mix.h"

struct quantize_options {
	const char *to;
	const struct quant_mix *mix;	/* NULL: every tensor keeps its type */
	const struct quant_kernels *kernels;
	unsigned n_threads;
	bool allows_requantize;	/* also convert tensors that are already quantised */
	/* Called from time to time on the calling thread, with bytes of the input. Returning false
	 * cancels. May be NULL. */
	bool (*on_progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};

struct quantize_result {
	uint64_t n_elements;
	uint64_t tensor_bytes;	/* of the new tensors, without padding */
	uint64_t file_bytes;
	unsigned n_fallbacks;	/* tensors whose rows did not fit the
				 * mix's type and got another type */
};

/* Blocks until the new file is complete and on the disk; a failure leaves nothing behind, and a
 * file that was there before as it was. `from` stays the caller's.
 * SC_E_INVALID: the place is the input's. SC_E_UNSUPPORTED: a quantised tensor, and requantising
 * is not allowed. SC_E_FORMAT: no tensors, or a weight that is not finite or too large for the
 * type. SC_E_CANCELLED: on_progress said so. SC_E_IO, SC_E_NOMEM. */
must_check enum sc_status quantize(const struct gguf *from, const struct quantize_options *options,
				   struct quantize_result *result_out, struct error *err);

#endif
