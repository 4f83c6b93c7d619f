/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strmap.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct slot {
	const void *key;	/* NULL: free */
	uint32_t n_bytes;
	uint32_t value;
};

struct strmap {
	size_t n_max;
	size_t n_used;
	size_t mask;
	struct slot slots[];	/* [mask + 1], at most half used */
};

enum sc_status strmap_create(size_t n_max, struct strmap **map_out)
{
	size_t n_slots = 16;
	struct strmap *map;

	if (n_max > UINT32_MAX)
		return SC_E_TOO_LARGE;
	while (n_slots < 2 * n_max)
		n_slots *= 2;
	map = calloc(1, sizeof *map + n_slots * sizeof map->slots[0]);
	if (!map)
		return SC_E_NOMEM;
	map->n_max = n_max;
	map->mask = n_slots - 1;
	*map_out = map;
	return SC_OK;
}

void strmap_destroy(struct strmap *map)
{
	free(map);
}

/* Returns the slot that holds the key, or the free slot where the key belongs. */
static size_t find_slot(const struct strmap *map, const void *key, size_t n_bytes)
{
	size_t at = XXH3_64bits(key, n_bytes) & map->mask;

	while (map->slots[at].key && (map->slots[at].n_bytes != n_bytes ||
				      memcmp(map->slots[at].key, key, n_bytes)))
		at = (at + 1) & map->mask;
	return at;
}

enum sc_status strmap_add(struct strmap *map, const void *key, size_t n_bytes, uint32_t value)
{
	struct slot *slot;

	if (n_bytes > UINT32_MAX)
		return SC_E_TOO_LARGE;
	slot = &map->slots[find_slot(map, key, n_bytes)];
	if (slot->key)
		return SC_E_EXISTS;
	if (map->n_used == map->n_max)
		return SC_E_CAPACITY;
	*slot = (struct slot){ .key = key, .n_bytes = (uint32_t)n_bytes, .value = value };
	map->n_used++;
	return SC_OK;
}

bool strmap_find(const struct strmap *map, const void *key, size_t n_bytes, uint32_t *value_out)
{
	const struct slot *slot = &map->slots[find_slot(map, key, n_bytes)];

	if (!slot->key)
		return false;
	*value_out = slot->value;
	return true;
}
