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

/* The end of "http://host:port", or NULL if target does not begin so. */
static char *skip_authority(char *target)
{
	char *host = NULL;

	if (!strncasecmp(target, "http://", 7))
		host = target + 7;
	else if (!strncasecmp(target, "https://", 8))
		host = target + 8;
	if (!host || !strcspn(host, "/?"))
		return NULL;
	return host + strcspn(host, "/?");
}

enum sc_status http_target_parse(char *target, struct http_target *parts_out,
				 struct http_fault *fault)
{
	const bool is_origin_form = target[0] == '/';
	char *path = is_origin_form ? target : skip_authority(target);
	char *query;

	if (!strcmp(target, "*")) {
		*parts_out = (struct http_target){ .path = target, .query = "" };
		return SC_OK;
	}
	if (!path || strchr(target, '\t'))
		return http_fault_set(fault, 400, "the request's target is neither a path nor an "
				      "http:// address");
	query = strchr(path, '?');
	if (query)
		*query = '\0';
	if (decode(path, fault) != SC_OK)
		return SC_E_INVALID;
	/* "http://host": the last byte of the host makes room for the path. */
	if (!path[0])
		*--path = '/';
	parts_out->path = path;
	parts_out->query = query ? query + 1 : "";
	return SC_OK;
}
