/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_ARCH_H
#define STAGECOACH_MODEL_ARCH_H
/*
 * arch - the differences between families of transformers, as a table of options. The single
 * forward pass (stage/forward.c) reads its row. A new family needs a new row and a test.
 * Thread: any; the table is constant.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum arch_rope {
	ROPE_NONE,
	ROPE_INTERLEAVED,	/* pairs (2i, 2i+1); GGUF's llama
				 * files are permuted to this order */
	ROPE_HALVES,		/* pairs (i, i + n/2), "NEOX" */
};

struct arch {
	const char *name;	/* general.architecture; also the prefix of its keys */
	enum arch_rope rope;
	/* Sets of slots: bit i is slot i of model/slots.h. A tensor of neither set is refused. */
	uint64_t layer_required, layer_optional;
	uint64_t outer_required, outer_optional;
};

/* Finds a row by name. SC_E_UNSUPPORTED: err lists the known names. */
must_check enum sc_status arch_find(const char *name, size_t length, const struct arch **arch_out,
				    struct error *err);

#endif
