/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_ARCH_H
#define STAGECOACH_MODEL_ARCH_H
/*
 * arch - what distinguishes one family of transformers from another, as a row of options.
 * One forward pass reads the row; a new family is a new row and a test.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum arch_rope {
	ROPE_NONE,
	ROPE_INTERLEAVED,	/* pairs (2i, 2i+1): GGUF's llama files are permuted to this */
	ROPE_HALVES,		/* pairs (i, i + n/2), "NEOX" */
};

struct arch {
	const char *name;	/* general.architecture; also the prefix of its keys */
	enum arch_rope rope;
	bool has_qkv_bias;	/* blk.N.attn_{q,k,v}.bias must be there; else they may be */
};

/* SC_E_UNSUPPORTED: err lists the names that are known. */
must_check enum sc_status arch_find(const char *name, size_t length, const struct arch **arch_out,
				    struct error *err);

#endif
