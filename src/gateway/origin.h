/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_ORIGIN_H
#define STAGECOACH_GATEWAY_ORIGIN_H
/*
 * origin - what browsers say of the page that asks: the header fields Host and Origin.
 * Any page that a person opens can make the browser send requests to a server on the same machine.
 * - Host: a page can give its own name the address 127.0.0.1 ("DNS rebinding"), and then counts as
 *   the server itself. Such a request names the page's host, not this machine.
 * - Origin: a page of another site may send simple requests without asking, but cannot read the
 *   answers unless CORS header fields allow it (Fetch standard, "HTTP-CORS protocol").
 * Thread: any. Allocates nothing.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Does a Host field ("localhost:8080") name this machine, or a name of the list? Names in list have
 * commas between them and no port; "*" allows any. An empty host is allowed, because no browser
 * sends it. */
bool host_is_allowed(const char *host, const char *list);

/* Is the page of this origin ("http://localhost:8080") the server that a Host field names? */
bool origin_is_host(const char *origin, const char *host);

/* Is origin in the list, with commas between its origins? "*" allows any. */
bool origin_is_listed(const char *origin, const char *list);

/* Could each item of the list be an origin: SCHEME://HOST[:PORT], "null" or "*"? err quotes the first
 * that could not. SC_E_CONFIG. */
must_check enum sc_status origin_list_check(const char *list, struct error *err);

/* Can a page of any site send a body of this type without being asked for permission first? NULL or
 * "": it has no type. */
bool content_type_is_simple(const char *type);

/* Is text safe to repeat in Access-Control-Allow-Headers: names with commas between them? */
bool is_header_list(const char *text);

#endif
