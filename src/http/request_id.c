/* SPDX-License-Identifier: Apache-2.0 */
#include "http/request_id.h"

#include <string.h>

bool request_id_copy(char out[REQUEST_ID_MAX + 1], const char *value, size_t n_bytes)
{
	if (!n_bytes || n_bytes > REQUEST_ID_MAX)
		return false;
	for (size_t i = 0; i < n_bytes; i++)
		if (value[i] <= ' ' || value[i] > '~' || strchr("\"\\,;<>", value[i]))
			return false;
	memcpy(out, value, n_bytes);
	out[n_bytes] = '\0';
	return true;
}
