/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/hf/json_memory.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static _Alignas(16) char memory[1 << 20];
static size_t used;
static unsigned n_live;

static void *take(size_t n_bytes)
{
	void *taken = memory + used;

	used += (n_bytes + 15) / 16 * 16;
	if (used > sizeof memory) {
		fprintf(stderr, "json_memory: over a megabyte of JSON\n");
		abort();
	}
	n_live++;
	return taken;
}

/* All memory is free again when the last allocation is. */
static void give(void *taken)
{
	n_live -= taken != NULL;
	if (!n_live)
		used = 0;
}

void json_memory_start(void)
{
	json_set_alloc_funcs(take, give);
}

unsigned json_memory_n_live(void)
{
	return n_live;
}
