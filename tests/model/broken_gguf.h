/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_MODEL_BROKEN_GGUF_H
#define STAGECOACH_TESTS_MODEL_BROKEN_GGUF_H
/*
 * broken_gguf - the corpus of broken files: one for each thing that the reader checks, made in
 * memory. Also where the fuzzer starts from.
 */
#include "base/buf.h"

struct broken_gguf {
	const char *name;		/* what is wrong, in words_with_underscores */
	void (*make)(struct buf *file);
	enum sc_status status;
	const char *error;		/* a part of the text that must come */
};

extern const struct broken_gguf broken_ggufs[];
extern const size_t n_broken_ggufs;

#endif
