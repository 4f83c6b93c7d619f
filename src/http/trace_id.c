/* SPDX-License-Identifier: Apache-2.0 */
#include "http/trace_id.h"

#include <stddef.h>
#include <string.h>

/* n lower-case digits; all_zero says whether all are 0. */
static bool is_hex(const char *text, size_t n, bool *all_zero)
{
	*all_zero = true;
	for (size_t i = 0; i < n; i++) {
		bool is_digit = text[i] >= '0' && text[i] <= '9';

		if (!is_digit && !(text[i] >= 'a' && text[i] <= 'f'))
			return false;
		*all_zero &= text[i] == '0';
	}
	return true;
}

bool trace_id_parse(const char *value, struct trace_id *out)
{
	const size_t length = value ? strlen(value) : 0;
	bool is_zero, is_first_version;

	out->text[0] = '\0';
	if (length < 55 || value[2] != '-' || value[35] != '-' || value[52] != '-')
		return false;
	if (!is_hex(value, 2, &is_first_version) || memcmp(value, "ff", 2) == 0)
		return false;
	if (length > 55 && (is_first_version || value[55] != '-'))
		return false;
	if (!is_hex(value + 36, 16, &is_zero) || is_zero)
		return false;
	if (!is_hex(value + 53, 2, &is_zero))
		return false;
	if (!is_hex(value + 3, 32, &is_zero) || is_zero)
		return false;
	memcpy(out->text, value + 3, 32);
	out->text[32] = '\0';
	return true;
}
