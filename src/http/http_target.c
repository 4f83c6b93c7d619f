/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_target.h"

#include <string.h>
#include <strings.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

/* Decodes %XX in place. The result is never longer. */
static enum sc_status decode(char *path, struct http_fault *fault)
{
	char *to = path;

	for (const char *from = path; *from; from++) {
		int high, low;

		*to = *from;
		if (*from == '%') {
			high = hex_digit(from[1]);
			low = high < 0 ? -1 : hex_digit(from[2]);
			if (low < 0)
				return http_fault_set(fault, 400, "the path has a %% without two "
						      "hexadecimal digits after it");
			*to = (char)(high << 4 | low);
			from += 2;
		}
		if (is_control((unsigned char)*to++))
			return http_fault_set(fault, 400,
					      "the path encodes a control character");
	}
	*to = '\0';
	return SC_OK;
}

/* The end of "http://host:port", or NULL if target does not begin so. The authority moves over the
 * two slashes in front of it, which leaves room for its end and for a path. */
static char *take_authority(char *target, const char **authority_out)
{
	char *host = NULL, *moved;
	size_t n;

	if (!strncasecmp(target, "http://", 7))
		host = target + 7;
	else if (!strncasecmp(target, "https://", 8))
		host = target + 8;
	n = host ? strcspn(host, "/?") : 0;
	if (!n)
		return NULL;
	moved = host - 2;
	memmove(moved, host, n);
	moved[n] = '\0';
	*authority_out = moved;
	return host + n;
}

enum sc_status http_target_parse(char *target, struct http_target *parts_out,
				 struct http_fault *fault)
{
	const bool is_origin_form = target[0] == '/';
	const char *authority = NULL;
	char *path, *query;

	if (!strcmp(target, "*")) {
		*parts_out = (struct http_target){ .path = target, .query = "" };
		return SC_OK;
	}
	if (strchr(target, '\t'))
		path = NULL;
	else
		path = is_origin_form ? target : take_authority(target, &authority);
	if (!path)
		return http_fault_set(fault, 400, "the request's target is neither a path nor an "
				      "http:// address");
	query = strchr(path, '?');
	if (query)
		*query = '\0';
	if (decode(path, fault) != SC_OK)
		return SC_E_INVALID;
	if (!path[0])
		*--path = '/';
	*parts_out = (struct http_target){
		.path = path, .query = query ? query + 1 : "", .authority = authority,
	};
	return SC_OK;
}
