/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_STRMAP_H
#define STAGECOACH_BASE_STRMAP_H
/*
 * strmap - a hash map from byte strings to 32-bit numbers (open addressing, XXH3).
 * Ownership: the map borrows the keys until strmap_destroy. Its size is fixed at creation, so slots
 * never move.
 * Thread: one thread adds; afterwards any number of threads may search.
 */
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strmap;

/* Makes a map with room for n_max keys. */
must_check enum sc_status strmap_create(size_t n_max, struct strmap **map_out);
void strmap_destroy(struct strmap *map);

/* SC_E_EXISTS: the key is already there and keeps its value. SC_E_CAPACITY: the map already has
 * n_max keys. */
must_check enum sc_status strmap_add(struct strmap *map, const void *key, size_t n_bytes,
				     uint32_t value);
bool strmap_find(const struct strmap *map, const void *key, size_t n_bytes, uint32_t *value_out);

#endif
