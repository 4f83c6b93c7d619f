/* SPDX-License-Identifier: Apache-2.0 */
#include "model/pairmap.h"

#include <assert.h>
#include <stdlib.h>

struct slot {
	uint64_t key;		/* the pair plus 1; 0: free */
	uint64_t value;
};

struct pairmap {
	size_t n_max;
	size_t n_used;
	size_t mask;
	unsigned shift;
	struct slot slots[];	/* [mask + 1], at most half used */
};

enum sc_status pairmap_create(size_t n_max, struct pairmap **map_out)
{
	unsigned n_bits = 4;
	struct pairmap *map;

	if (n_max > UINT32_MAX)
		return SC_E_TOO_LARGE;
	while ((size_t)1 << n_bits < 2 * n_max)
		n_bits++;
	map = calloc(1, sizeof *map + ((size_t)1 << n_bits) * sizeof map->slots[0]);
	if (!map)
		return SC_E_NOMEM;
	map->n_max = n_max;
	map->mask = ((size_t)1 << n_bits) - 1;
	map->shift = 64 - n_bits;
	*map_out = map;
	return SC_OK;
}

void pairmap_destroy(struct pairmap *map)
{
	free(map);
}

static uint64_t key_of(uint32_t first, uint32_t second)
{
	assert(first != UINT32_MAX);
	return ((uint64_t)first << 32 | second) + 1;
}

/* Returns the slot that holds the pair, or the free slot where the pair belongs. */
static size_t find_slot(const struct pairmap *map, uint64_t key)
{
	/* Two rounds of multiply and shift, as in splitmix64: ids are small and regular. */
	uint64_t hash = (key ^ key >> 30) * 0xBF58476D1CE4E5B9u;
	size_t at = (size_t)((hash ^ hash >> 27) * 0x94D049BB133111EBu >> map->shift);

	while (map->slots[at].key && map->slots[at].key != key)
		at = (at + 1) & map->mask;
	return at;
}

enum sc_status pairmap_add(struct pairmap *map, uint32_t first, uint32_t second, uint64_t value)
{
	uint64_t key = key_of(first, second);
	struct slot *slot = &map->slots[find_slot(map, key)];

	if (slot->key)
		return SC_E_EXISTS;
	if (map->n_used == map->n_max)
		return SC_E_CAPACITY;
	*slot = (struct slot){ .key = key, .value = value };
	map->n_used++;
	return SC_OK;
}

bool pairmap_find(const struct pairmap *map, uint32_t first, uint32_t second, uint64_t *value_out)
{
	const struct slot *slot = &map->slots[find_slot(map, key_of(first, second))];

	if (!slot->key)
		return false;
	*value_out = slot->value;
	return true;
}
