/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/texts.h"

#include <stdlib.h>
#include <string.h>

size_t texts_bytes(const char *const *texts, uint32_t n)
{
	size_t n_bytes = n * sizeof texts[0];

	for (uint32_t i = 0; i < n; i++)
		n_bytes += strlen(texts[i]) + 1;
	return n_bytes;
}

char **texts_copy(const char *const *texts, uint32_t n)
{
	char **copy = malloc(texts_bytes(texts, n));
	char *text;

	if (!copy)
		return NULL;
	text = (char *)(copy + n);
	for (uint32_t i = 0; i < n; i++) {
		copy[i] = text;
		text = stpcpy(text, texts[i]) + 1;
	}
	return copy;
}
