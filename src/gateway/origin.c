/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/origin.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#define HEADER_LIST_MAX 1024

struct text {
	const char *at;
	size_t n;
};

static bool is_equal(struct text a, struct text b)
{
	return a.n == b.n && !strncasecmp(a.at, b.at, a.n);
}

static bool is_word(struct text text, const char *word)
{
	return is_equal(text, (struct text){ word, strlen(word) });
}

static struct text trimmed(struct text text)
{
	while (text.n && isspace((unsigned char)*text.at)) {
		text.at++;
		text.n--;
	}
	while (text.n && isspace((unsigned char)text.at[text.n - 1]))
		text.n--;
	return text;
}

/* Takes the next item off a list with commas. Returns false at the end. */
static bool next_item(const char **list, struct text *item_out)
{
	const char *end = strchrnul(*list, ',');

	if (!**list)
		return false;
	*item_out = trimmed((struct text){ *list, (size_t)(end - *list) });
	*list = *end ? end + 1 : end;
	return true;
}

/* "[::1]:8080" is "[::1]" and "8080". The port is empty when there is none. A dot at the end of a
 * name means the same name. */
static void split_host(struct text whole, struct text *name_out, struct text *port_out)
{
	const char *bracket = whole.n && *whole.at == '[' ? memchr(whole.at, ']', whole.n) : NULL;
	const char *from = bracket ? bracket : whole.at;
	const char *colon = memchr(from, ':', (size_t)(whole.at + whole.n - from));

	*name_out = whole;
	*port_out = (struct text){ "", 0 };
	if (colon) {
		name_out->n = (size_t)(colon - whole.at);
		*port_out = (struct text){ colon + 1, whole.n - name_out->n - 1 };
	}
	if (name_out->n > 1 && name_out->at[name_out->n - 1] == '.')
		name_out->n--;
}

/* "localhost" and the names below it: browsers never ask a name server for them (RFC 6761). */
static bool is_localhost(struct text name)
{
	static const char suffix[] = ".localhost";
	const size_t n = sizeof suffix - 1;

	return is_word(name, suffix + 1) ||
	       (name.n > n && !strncasecmp(name.at + name.n - n, suffix, n));
}

static bool is_loopback(struct text name)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr ipv6;
	struct in_addr ipv4;
	const bool has_brackets = name.n > 2 && *name.at == '[' && name.at[name.n - 1] == ']';
	const size_t n = name.n - (has_brackets ? 2 : 0);

	if (!n || n >= sizeof text)
		return false;
	memcpy(text, name.at + has_brackets, n);
	text[n] = '\0';
	if (has_brackets)
		return inet_pton(AF_INET6, text, &ipv6) == 1 &&
		       (IN6_IS_ADDR_LOOPBACK(&ipv6) ||
			(IN6_IS_ADDR_V4MAPPED(&ipv6) && ipv6.s6_addr[12] == 127));
	return inet_pton(AF_INET, text, &ipv4) == 1 && ntohl(ipv4.s_addr) >> 24 == 127;
}

bool host_is_allowed(const char *host, const char *list)
{
	const struct text whole = trimmed((struct text){ host, strlen(host) });
	struct text name, port, item, item_name;

	split_host(whole, &name, &port);
	if (!whole.n || is_localhost(name) || is_loopback(name))
		return true;
	while (next_item(&list, &item)) {
		split_host(item, &item_name, &port);
		if (is_word(item, "*") || (item.n && is_equal(item_name, name)))
			return true;
	}
	return false;
}

/* "https://example.org:8443" without its scheme, and the port that the scheme stands for. */
static bool split_origin(struct text origin, struct text *host_out, const char **port_out)
{
	static const struct {
		const char *scheme, *port;
	} schemes[] = { { "http://", "80" }, { "https://", "443" } };

	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		const size_t n = strlen(schemes[i].scheme);

		if (origin.n <= n || strncasecmp(origin.at, schemes[i].scheme, n) != 0)
			continue;
		*host_out = (struct text){ origin.at + n, origin.n - n };
		*port_out = schemes[i].port;
		return true;
	}
	return false;
}

bool origin_is_host(const char *origin, const char *host)
{
	struct text own_name, own_port, page, name, port;
	const char *usual;

	if (!split_origin(trimmed((struct text){ origin, strlen(origin) }), &page, &usual))
		return false;
	split_host(trimmed((struct text){ host, strlen(host) }), &own_name, &own_port);
	split_host(page, &name, &port);
	if (!port.n)
		port = (struct text){ usual, strlen(usual) };
	if (!own_port.n)
		own_port = (struct text){ usual, strlen(usual) };
	return own_name.n && is_equal(name, own_name) && is_equal(port, own_port);
}

bool origin_is_listed(const char *origin, const char *list)
{
	const struct text wanted = trimmed((struct text){ origin, strlen(origin) });
	struct text item;

	while (next_item(&list, &item)) {
		/* People write the address of a page, which ends in a slash. */
		if (item.n > 1 && item.at[item.n - 1] == '/')
			item.n--;
		if (is_word(item, "*") || (item.n && is_equal(item, wanted)))
			return true;
	}
	return false;
}

static bool may_be_origin(struct text item)
{
	const char *separator = item.n ? memmem(item.at, item.n, "://", 3) : NULL;
	struct text rest;

	if (!separator)
		return is_word(item, "*") || is_word(item, "null");
	rest.at = separator + 3;
	rest.n = (size_t)(item.at + item.n - rest.at);
	if (rest.n && rest.at[rest.n - 1] == '/')
		rest.n--;
	if (separator == item.at || !rest.n)
		return false;
	for (size_t i = 0; i < rest.n; i++)
		if (isspace((unsigned char)rest.at[i]) || strchr("/?#*@", rest.at[i]))
			return false;
	return true;
}

enum sc_status origin_list_check(const char *list, struct error *err)
{
	struct text item;

	while (next_item(&list, &item))
		if (item.n && !may_be_origin(item))
			return error_set(err, SC_E_CONFIG, "cors-origins: '%.*s' is no origin: "
					 "expected SCHEME://HOST[:PORT], as in https://chat.example, "
					 "with commas between several", (int)(item.n < 80 ? item.n
					 : 80), item.at);
	return SC_OK;
}

bool content_type_is_simple(const char *type)
{
	static const char *const simple[] = {
		"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
	};
	struct text essence;

	if (!type)
		return true;
	essence = trimmed((struct text){ type, strcspn(type, ";,") });
	for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++)
		if (is_word(essence, simple[i]))
			return true;
	return false;
}

bool is_header_list(const char *text)
{
	const size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("!#$%&'*+-.^_`|~, ", text[i]))
			return false;
	return n && n <= HEADER_LIST_MAX;
}
