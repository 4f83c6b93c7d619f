/* SPDX-License-Identifier: Apache-2.0 */
#include "chat/call_id.h"

#include <string.h>
#include <xxhash.h>

static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

uint64_t call_id_seed(uint64_t number, const char *prompt, size_t n_bytes)
{
	return XXH3_64bits_withSeed(prompt, n_bytes, number);
}

void call_id_write(uint64_t seed, uint32_t i, char out[CALL_ID_BYTES + 1])
{
	uint64_t hash = XXH3_64bits_withSeed(&i, sizeof i, seed);

	for (size_t k = 0; k < CALL_ID_BYTES; k++) {
		out[k] = letters[hash % (sizeof letters - 1)];
		hash /= sizeof letters - 1;
	}
	out[CALL_ID_BYTES] = '\0';
}

bool call_id_is_plain(const char *id)
{
	return strlen(id) == CALL_ID_BYTES && strspn(id, letters) == CALL_ID_BYTES;
}
