/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool parse_i64(const char *text, int64_t *value_out)
{
	char *end;
	long long value;

	if (!isdigit((unsigned char)text[text[0] == '-' || text[0] == '+']))
		return false;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || *end)
		return false;
	*value_out = value;
	return true;
}

bool parse_u64(const char *text, uint64_t *value_out)
{
	char *end;
	unsigned long long value;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end)
		return false;
	*value_out = value;
	return true;
}

bool parse_f64(const char *text, double *value_out)
{
	char *end;
	double value;

	/* strtod also accepts blanks, hexadecimal numbers, "inf" and "nan". None of them is a
	 * sensible setting. */
	if (!*text || strspn(text, "+-.0123456789eE") != strlen(text))
		return false;
	errno = 0;
	value = strtod(text, &end);
	if (*end || end == text || (errno && fabs(value) > 1.0) || !isfinite(value))
		return false;
	*value_out = value;
	return true;
}

bool parse_bool(const char *text, bool *value_out)
{
	static const char *const words[][2] = {
		{ "off", "on" }, { "false", "true" }, { "no", "yes" }, { "0", "1" },
	};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		for (int value = 0; value < 2; value++) {
			if (!strcasecmp(text, words[i][value])) {
				*value_out = value;
				return true;
			}
		}
	}
	return false;
}

bool parse_bytes(const char *text, uint64_t *value_out)
{
	static const char suffixes[] = "KMGT";
	const char *suffix;
	unsigned long long value;
	unsigned shift = 0;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end) {
		suffix = strchr(suffixes, toupper((unsigned char)*end));
		if (!suffix || end[1])
			return false;
		shift = 10 * (unsigned)(suffix - suffixes + 1);
	}
	if (value > UINT64_MAX >> shift)
		return false;
	*value_out = (uint64_t)value << shift;
	return true;
}
