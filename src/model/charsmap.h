/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_CHARSMAP_H
#define STAGECOACH_MODEL_CHARSMAP_H
/*
 * charsmap - SentencePiece's compiled rules of normalization: each replaces a short text by another
 * (ligatures, full-width letters, control characters). Models carry them as one block of bytes:
 * - u32: bytes of the double array that follows;
 * - u32 each: units of a double array as darts-clone builds it. Node s has a child for byte c at
 *   offset(s) ^ c if that unit's label is c. If bit 8 of a unit is set, a rule ends at its node,
 *   and the unit at the node's offset holds the place of the replacement in bits 0 to 30;
 * - the replacements, each with a NUL behind it.
 * A walk checks every index, so that a block that lies can do no harm: a rule that leads out of the
 * block does not exist.
 * Thread: read-only; borrows the block.
 * Source: normalizer.cc of SentencePiece.
 */
#include "base/buf.h"
#include "base/error.h"
#include "model/gguf.h"
#include "model/masked_text.h"

#define CHARSMAP_MAX_KEY 256		/* bytes of a rule's left side */
#define CHARSMAP_MAX_REPLACEMENT 1024

struct charsmap {
	const uint8_t *units;	/* unaligned; NULL: no rules */
	size_t n_units;
	const char *texts;
	size_t n_texts;
};

/* SC_E_FORMAT: the sizes contradict each other, a replacement is too long or has no end. err does
 * not name the file. No bytes: no rules. */
must_check enum sc_status charsmap_init(struct charsmap *map, const void *data, size_t n_bytes,
					struct error *err);

/* The rules of a file, from KEY_CHARSMAP. Borrows from gguf. No key: no rules. SC_E_FORMAT. */
#define KEY_CHARSMAP "tokenizer.ggml.precompiled_charsmap"
must_check enum sc_status charsmap_load(struct charsmap *map, const struct gguf *gguf,
					struct error *err);

/* Returns the length of the longest rule that text starts with, and its replacement, which may be
 * empty. 0: there is none. */
size_t charsmap_longest(const struct charsmap *map, const char *text, size_t n_bytes,
			struct gguf_string *replacement_out);

/* Appends text as the normalizer "Precompiled" of the tokenizers package writes it, which differs
 * from SentencePiece in the order of its steps:
 * - A grapheme cluster of at most 5 bytes that starts with a rule becomes the replacement of the
 *   shortest such rule; the rest of the cluster is lost.
 * - Otherwise each character that starts with a rule is replaced.
 * Bytes that are no UTF-8 are copied. SC_E_NOMEM; SC_E_TOO_LARGE: more than 2^31 bytes. */
must_check enum sc_status charsmap_add_clusters(const struct charsmap *map,
						struct masked_text text, struct masked_buf *out);

#endif
