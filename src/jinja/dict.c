/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/dict.h"

#include "jinja/compare.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

enum {
	FIRST_CAPACITY = 4,
	FEW = 8,		/* entries that are searched one by one */
};

static bool can_have(struct value key, unsigned depth)
{
	switch (key.kind) {
	case VALUE_LIST:
	case VALUE_DICT:
	case VALUE_VIEW:
	case VALUE_MISSING:
		return false;
	case VALUE_TUPLE:
		if (depth == TUPLES_MAX)
			return false;
		for (size_t i = 0; i < key.array->n; i++)
			if (!can_have(key.array->values[i], depth + 1))
				return false;
		return true;
	default:
		return true;
	}
}

bool dict_can_have(struct value key)
{
	return can_have(key, 0);
}

static uint64_t hash_real(double real)
{
	/* Equal numbers are one key, whatever their types are. */
	if (real >= -0x1p62 && real <= 0x1p62 && real == (double)(int64_t)real) {
		int64_t integer = (int64_t)real;

		return XXH3_64bits(&integer, sizeof integer);
	}
	return XXH3_64bits(&real, sizeof real);
}

static uint64_t hash_integer(int64_t integer)
{
	if (integer > INT64_C(1) << 53 || integer < -(INT64_C(1) << 53))
		return hash_real((double)integer);
	return XXH3_64bits(&integer, sizeof integer);
}

static uint64_t hash(struct value key)
{
	uint64_t sum = 1;

	switch (key.kind) {
	case VALUE_UNDEFINED:
	case VALUE_NONE:
		return key.kind;
	case VALUE_BOOL:
	case VALUE_INT:
		return hash_integer(integer_of(key));
	case VALUE_FLOAT:
		return hash_real(key.real);
	case VALUE_STRING:
		return XXH3_64bits(key.string->bytes, key.string->n_bytes);
	case VALUE_TUPLE:
		for (size_t i = 0; i < key.array->n; i++)
			sum = sum * 31 + hash(key.array->values[i]);
		return sum;
	default:
		return (uintptr_t)key.dict;
	}
}

static bool is_at(const struct dict_entry *entry, struct value key, uint64_t key_hash)
{
	return entry->hash == key_hash && value_equals_flat(entry->key, key);
}

static struct dict_entry *find(const struct dict *dict, struct value key, uint64_t key_hash)
{
	if (!dict->slots) {
		for (size_t i = 0; i < dict->n; i++)
			if (is_at(&dict->entries[i], key, key_hash))
				return &dict->entries[i];
		return NULL;
	}
	for (size_t slot = key_hash & (dict->n_slots - 1); dict->slots[slot];
	     slot = (slot + 1) & (dict->n_slots - 1)) {
		struct dict_entry *entry = &dict->entries[dict->slots[slot] - 1];

		if (is_at(entry, key, key_hash))
			return entry;
	}
	return NULL;
}

struct dict_entry *dict_find(const struct dict *dict, struct value key)
{
	return dict->n ? find(dict, key, hash(key)) : NULL;
}

struct dict_entry *dict_find_name(const struct dict *dict, const char *name)
{
	const struct str str = { .bytes = name, .n_bytes = strlen(name) };

	return dict_find(dict, value_string(&str));
}

static void fill_slots(struct dict *dict)
{
	memset(dict->slots, 0, dict->n_slots * sizeof *dict->slots);
	for (size_t i = 0; i < dict->n; i++) {
		size_t slot = dict->entries[i].hash & (dict->n_slots - 1);

		while (dict->slots[slot])
			slot = (slot + 1) & (dict->n_slots - 1);
		dict->slots[slot] = (uint32_t)(i + 1);
	}
}

static bool grow(struct dict *dict, struct arena *arena)
{
	size_t capacity = dict->capacity ? 2 * dict->capacity : FIRST_CAPACITY;
	struct dict_entry *entries;
	uint32_t *slots = NULL;

	if (capacity > UINT32_MAX / 2)
		return false;
	entries = arena_alloc(arena, capacity * sizeof *entries);
	if (entries && capacity > FEW)
		slots = arena_alloc(arena, 2 * capacity * sizeof *slots);
	if (!entries || (capacity > FEW && !slots))
		return false;
	if (dict->n)
		memcpy(entries, dict->entries, dict->n * sizeof *entries);
	dict->entries = entries;
	dict->capacity = capacity;
	dict->slots = slots;
	dict->n_slots = slots ? 2 * capacity : 0;
	if (slots)
		fill_slots(dict);
	return true;
}

bool dict_put(struct dict *dict, struct arena *arena, struct value key, struct value value)
{
	uint64_t key_hash = hash(key);
	struct dict_entry *entry = find(dict, key, key_hash);

	assert(dict_can_have(key));
	if (entry) {
		entry->value = value;
		return true;
	}
	if (dict->n == dict->capacity && !grow(dict, arena))
		return false;
	dict->entries[dict->n] = (struct dict_entry){ key, value, key_hash };
	if (dict->slots) {
		size_t slot = key_hash & (dict->n_slots - 1);

		while (dict->slots[slot])
			slot = (slot + 1) & (dict->n_slots - 1);
		dict->slots[slot] = (uint32_t)(dict->n + 1);
	}
	dict->n++;
	return true;
}

void dict_remove(struct dict *dict, struct dict_entry *entry)
{
	size_t at = (size_t)(entry - dict->entries);

	memmove(entry, entry + 1, (dict->n - at - 1) * sizeof *entry);
	dict->n--;
	if (dict->slots)
		fill_slots(dict);
}
