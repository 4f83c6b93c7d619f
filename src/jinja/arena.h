/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_ARENA_H
#define STAGECOACH_JINJA_ARENA_H
/*
 * arena - memory that is given back as a whole: that of a parsed template, and that of the values
 * of one rendering. It has a limit.
 * Thread: one at a time.
 */
#include <stdbool.h>
#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
	char *at, *end;		/* what is left of the newest chunk */
	size_t n_bytes;		/* handed out */
	size_t max_bytes;
	bool is_full;		/* the limit, not the machine, refused the last request */
};

void arena_init(struct arena *arena, size_t max_bytes);
void arena_deinit(struct arena *arena);
/* Memory of n_bytes, aligned for every type, filled with zeros. NULL: the limit is reached, or
 * there is no memory. */
void *arena_alloc(struct arena *arena, size_t n_bytes);

#endif
