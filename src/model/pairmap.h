/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_PAIRMAP_H
#define STAGECOACH_MODEL_PAIRMAP_H
/*
 * pairmap - a hash map from pairs of 32-bit numbers to 64-bit values (open addressing). The size is
 * fixed at creation. The first number of a pair must not be 2^32 - 1.
 * Thread: one thread adds; afterwards any number of threads may search.
 */
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pairmap;

/* Makes a map with room for n_max pairs. */
must_check enum sc_status pairmap_create(size_t n_max, struct pairmap **map_out);
void pairmap_destroy(struct pairmap *map);

/* SC_E_EXISTS: the pair is already there and keeps its value. SC_E_CAPACITY: the map already has
 * n_max pairs. */
must_check enum sc_status pairmap_add(struct pairmap *map, uint32_t first, uint32_t second,
				      uint64_t value);
bool pairmap_find(const struct pairmap *map, uint32_t first, uint32_t second,
		  uint64_t *value_out);

#endif
