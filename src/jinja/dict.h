/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_DICT_H
#define STAGECOACH_JINJA_DICT_H
/*
 * dict - Python's dict: a hash map that remembers in which order keys came.
 */
#include "jinja/arena.h"
#include "jinja/value.h"

struct dict_entry {
	struct value key;
	struct value value;
	uint64_t hash;
};

struct dict {
	struct dict_entry *entries;
	uint32_t *slots;	/* 1 + entry; 0: empty. NULL while there are few entries */
	size_t n;
	size_t capacity;
	size_t n_slots;
};

enum { TUPLES_MAX = 16 };	/* nested tuples in a key */

/* False: such a key cannot be in a dict (lists, dicts). */
bool dict_can_have(struct value key);
/* The entry, or NULL. key: one that a dict can have. */
struct dict_entry *dict_find(const struct dict *dict, struct value key);
struct dict_entry *dict_find_name(const struct dict *dict, const char *name);
/* Adds or replaces. Returns false if the arena refuses. */
bool dict_put(struct dict *dict, struct arena *arena, struct value key, struct value value);
void dict_remove(struct dict *dict, struct dict_entry *entry);

#endif
