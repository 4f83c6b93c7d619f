/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_MODEL_SOURCED_GGUF_H
#define STAGECOACH_TESTS_MODEL_SOURCED_GGUF_H
/*
 * sourced_gguf - a model whose tensors have no data, only sources. The sources copy the elements of
 * another model, so both must give the same results everywhere.
 */
#include "model/gguf.h"
#include "model/tensor_source.h"

/* What was asked of the sources, and how they fail. */
struct sourced_count {
	uint64_t n_reads, n_expects, n_releases;
	uint64_t max_elements;		/* of one read */
	unsigned n_checks, n_closed;
	bool fails;			/* every read */
	bool is_changed;		/* what the check for changes finds */
	bool is_odd;			/* a read was not of whole rows of a matrix */
};

/* The same head, in memory. Borrows `of` and count until gguf_close. Aborts when memory runs out. */
struct gguf *sourced_gguf_open(const struct gguf *of, struct sourced_count *count);

#endif
