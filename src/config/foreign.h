/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CONFIG_FOREIGN_H
#define STAGECOACH_CONFIG_FOREIGN_H
/*
 * foreign - flags of llama.cpp, vLLM and others that people type out of habit: what they are, and
 * what to use here. Only names that no flag of ours has. To add one: a row in foreign.c.
 * Thread: any.
 */
#include <stddef.h>

struct foreign_flag {
	const char *names;	/* with their dashes and blanks between them */
	const char *owner;	/* "llama.cpp" */
	const char *meaning;	/* what it does there */
	const char *advice;	/* what to do here: a sentence */
};

/* The row of a name such as "-ngl" or "--n-gpu-layers"; n: its length. '_' counts as '-'. NULL:
 * unknown. */
const struct foreign_flag *foreign_flag_find(const char *name, size_t n);

extern const struct foreign_flag foreign_flags[];
extern const unsigned n_foreign_flags;

#endif
