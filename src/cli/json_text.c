/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/json_text.h"

#include "base/utf8.h"

#include <stdint.h>
#include <unistd.h>

json_t *json_text(const void *bytes, size_t n_bytes)
{
	const uint8_t *at = bytes;
	json_t *array;

	if (utf8_valid_length(bytes, n_bytes) == n_bytes)
		return json_stringn_nocheck(n_bytes ? bytes : "", n_bytes);
	array = json_array();
	for (size_t i = 0; array && i < n_bytes; i++) {
		if (json_array_append_new(array, json_integer(at[i]))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

size_t json_text_flags(void)
{
	return isatty(STDOUT_FILENO) ? JSON_ENSURE_ASCII : 0;
}
