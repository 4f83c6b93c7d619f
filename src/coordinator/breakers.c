/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/breakers.h"

#include <string.h>

bool breakers_has(const struct breakers *breakers, uint32_t token)
{
	size_t n_bytes;
	const char *piece;

	if (token >= tokenizer_n_vocab(breakers->tokenizer))
		return false;
	piece = tokenizer_piece(breakers->tokenizer, token, &n_bytes);
	for (uint32_t i = 0; i < breakers->n_texts; i++)
		if (memmem(piece, n_bytes, breakers->texts[i], strlen(breakers->texts[i])))
			return true;
	return false;
}
