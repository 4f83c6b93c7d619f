/* SPDX-License-Identifier: Apache-2.0 */
#include "model/quote.h"

#include <stdio.h>

struct quote quote(const void *bytes, size_t n_bytes)
{
	const unsigned char *from = bytes;
	const size_t room = sizeof ((struct quote *)NULL)->text - 4;
	const size_t n = n_bytes < room ? n_bytes : room;
	struct quote quoted;

	for (size_t i = 0; i < n; i++)
		quoted.text[i] = (char)(from[i] >= ' ' && from[i] < 0x7f ? from[i] : '?');
	snprintf(quoted.text + n, sizeof quoted.text - n, "%s", n < n_bytes ? "..." : "");
	return quoted;
}
