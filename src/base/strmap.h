/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_STRMAP_H
#define STAGECOACH_BASE_STRMAP_H
/*
 * strmap - from byte strings to 32-bit numbers: open addressing over XXH3.
 * Borrows the keys until destroy. Sized once, at creation: adding never moves anything.
 * Thread: one writer; any number of readers once it is filled.
 */
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strmap;

/* Room for n_max keys. */
must_check enum sc_status strmap_create(size_t n_max, struct strmap **map_out);
void strmap_destroy(struct strmap *map);

/* SC_E_EXISTS: the key is there already and keeps its value. SC_E_CAPACITY: n_max are in. */
must_check enum sc_status strmap_add(struct strmap *map, const void *key, size_t n_bytes,
				     uint32_t value);
bool strmap_find(const struct strmap *map, const void *key, size_t n_bytes, uint32_t *value_out);

#endif
