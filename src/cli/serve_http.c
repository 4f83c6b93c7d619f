/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/serve_http.h"

#include "base/log.h"
#include "chat/chat.h"
#include "cli/chat_template.h"
#include "config/config.h"
#include "openai/openai.h"

/* A template of the model file that cannot be used is no reason to serve nothing. */
static void warn_of_fault(const struct chat_format *chat)
{
	struct error err;

	if (*chat_format_template(chat) && chat_format_check(chat, &err) != SC_OK)
		log_warning("the chat endpoints refuse all requests: %s. --chat-template sets "
			    "another template", err.text);
}

enum sc_status serve_http_open(struct serve_http *http, const struct serve_config *serve,
			       struct engine *engine, struct error *err)
{
	const struct config *config = serve->config;
	struct openai_config openai = {
		.loop = serve->loop,
		.engine = engine,
		.names = config->alias,
		.ping_ms = config->sse_ping_ms,
		.n_slots = config->max_sequences,
	};
	enum sc_status status = chat_template_open(config, serve->opened, &http->chat, err);

	if (status != SC_OK)
		return status;
	warn_of_fault(http->chat);
	openai.chat = http->chat;
	status = openai_create(&openai, &http->openai, err);
	if (status == SC_OK)
		http->routes = (struct http_routes){
			.routes = openai_routes, .n = openai_n_routes, .context = http->openai,
		};
	return status;
}

void serve_http_use_pool(struct serve_http *http, struct work_pool *pool)
{
	openai_use_pool(http->openai, pool);
}

void serve_http_drain(struct serve_http *http)
{
	openai_drain(http->openai);
}

void serve_http_close(struct serve_http *http)
{
	openai_destroy(http->openai);
	chat_format_destroy(http->chat);
}
