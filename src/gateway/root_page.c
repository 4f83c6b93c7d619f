/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/root_page.h"

#include "gateway/connections.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_HOST 255

/* Returns true if the text may stand in a command that people copy. */
static bool is_host(const char *text)
{
	const size_t n = text ? strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789.:-_[]") : 0;

	return n && n <= MAX_HOST && !text[n];
}

static void start(struct http_call *call)
{
	const struct root_page *page = http_call_context(call);
	const bool is_unix = !strcmp(http_call_peer(call), CONNECTIONS_UNIX_PEER);
	const char *host = http_call_header(call, "host");
	const char *address = is_host(host) ? host : page->address;
	char option[512] = "", text[2048];

	if (is_unix)
		snprintf(option, sizeof option, "--unix-socket %s ", page->socket_path);
	snprintf(text, sizeof text,
		 "This is a Stagecoach server. At this address it speaks\n\n"
		 "- OpenAI's API (HTTP/1.1), for example\n"
		 "      curl %shttp://%s/v1/models\n"
		 "- gRPC (HTTP/2), for example\n"
		 "      stagecoach generate %s %.400s -p 'Once upon a time'\n"
		 "  or a gRPC client for the service stagecoach.v1.Stagecoach "
		 "(stagecoach.proto)\n",
		 option, is_unix ? "localhost" : address,
		 is_unix ? "--socket" : "--listen", is_unix ? page->socket_path : address);
	http_call_answer(call, 200, "text/plain; charset=utf-8", text, strlen(text));
}

struct http_routes root_page_routes(struct root_page *page)
{
	static const struct http_call_ops ops = { .start = start };
	static const struct http_route routes[] = {
		{ .path = "/", .methods = HTTP_GET, .ops = &ops, .is_public = true,
		  .is_vital = true },
	};

	return (struct http_routes){ .routes = routes, .n = 1, .context = page };
}
