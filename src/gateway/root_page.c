/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/root_page.h"

#include <stdio.h>
#include <string.h>

void root_page_init(struct root_page *page, const char *flag, const char *address)
{
	snprintf(page->text, sizeof page->text,
		 "This is a Stagecoach server. At this address it speaks\n\n"
		 "- HTTP/1.1 with OpenAI's API, for example\n"
		 "      curl http://HOST:PORT/v1/models\n"
		 "- gRPC (HTTP/2), for example\n"
		 "      stagecoach generate %s %.700s -p 'Once upon a time'\n"
		 "  or a gRPC client for the service stagecoach.v1.Stagecoach "
		 "(stagecoach.proto)\n", flag, address);
}

static void start(struct http_call *call)
{
	const struct root_page *page = http_call_context(call);

	http_call_answer(call, 200, "text/plain; charset=utf-8", page->text, strlen(page->text));
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
