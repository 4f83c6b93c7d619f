/* SPDX-License-Identifier: Apache-2.0 */
#include "model/visible_text.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define HIDDEN_BYTE 0x1A	/* replaces a byte that is not UTF-8 */

enum sc_status visible_text_init(struct visible_text *visible, const char *text, size_t n_bytes)
{
	size_t at = utf8_valid_length(text, n_bytes);

	*visible = (struct visible_text){ .data = text };
	if (at == n_bytes)
		return SC_OK;
	visible->copy = malloc(n_bytes);
	if (!visible->copy)
		return SC_E_NOMEM;
	memcpy(visible->copy, text, n_bytes);
	while (at < n_bytes) {
		visible->copy[at++] = HIDDEN_BYTE;
		at += utf8_valid_length(visible->copy + at, n_bytes - at);
	}
	visible->data = visible->copy;
	return SC_OK;
}

void visible_text_deinit(struct visible_text *visible)
{
	free(visible->copy);
}
