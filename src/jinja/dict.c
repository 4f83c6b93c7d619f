/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/dict.h"

#include "base/clock.h"
#include "jinja/compare.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
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

/* A number of this process: whoever writes the names of a JSON object must not be able to choose
 * names that collide, because searches would then read all of them. */
static uint64_t hash_seed(void)
{
	static _Atomic uint64_t kept;
	uint64_t seed = atomic_load_explicit(&kept, memory_order_relaxed), found = 0;

	if (seed)
		return seed;
	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
		seed = clock_ns();
	seed |= 1;
	return atomic_compare_exchange_strong(&kept, &found, seed) ? seed : found;
}

static uint64_t hash_bytes(const void *bytes, size_t n_bytes)
{
	return XXH3_64bits_withSeed(bytes, n_bytes, hash_seed());
}

static uint64_t hash_integer(int64_t integer)
{
	return hash_bytes(&integer, sizeof integer);
}

/* Equal numbers are one key, whatever their types are. */
static uint64_t hash_real(double real)
{
	if (real >= -0x1p63 && real < 0x1p63 && real == (double)(int64_t)real)
		return hash_integer((int64_t)real);
	return hash_bytes(&real, sizeof real);
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
		return hash_bytes(key.string->bytes, key.string->n_bytes);
	case VALUE_TUPLE:
		for (size_t i = 0; i < key.array->n; i++)
			sum = sum * 31 + hash(key.array->values[i]);
		return sum;
	default:
		return hash_bytes(&key.dict, sizeof key.dict);
	}
}

static bool is_at(const struct dict_entry *entry, struct value key, uint64_t key_hash)
{
	bool are_nan = key.kind == VALUE_FLOAT && entry->key.kind == VALUE_FLOAT &&
		       isnan(key.real) && isnan(entry->key.real);

	/* Each nan that equals none would be an entry that all others have to pass by. */
	return entry->hash == key_hash && (are_nan || value_equals_flat(entry->key, key));
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
