/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/serve_http.h"

#include "base/log.h"
#include "chat/chat.h"
#include "config/config.h"
#include "model/model.h"
#include "openai/openai.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAX_TEMPLATE ((size_t)1 << 20)

static enum sc_status read_file(const char *path, struct buf *text, struct error *err)
{
	FILE *file = fopen(path, "re");
	char chunk[4096];
	enum sc_status status = SC_OK;
	size_t n;

	if (!file)
		return error_errno(err, errno == ENOENT ? SC_E_NOT_FOUND : SC_E_IO, errno,
				   "chat-template: %s", path);
	while (status == SC_OK && (n = fread(chunk, 1, sizeof chunk, file)) > 0) {
		if (text->length + n > MAX_TEMPLATE)
			status = error_set(err, SC_E_CONFIG, "chat-template: %s: longer than %zu "
					   "bytes", path, MAX_TEMPLATE);
		else if (buf_add(text, chunk, n) != SC_OK)
			status = error_set(err, SC_E_NOMEM, "chat-template: out of memory");
	}
	if (status == SC_OK && ferror(file))
		status = error_errno(err, SC_E_IO, errno, "chat-template: %s", path);
	fclose(file);
	return status;
}

/* A text with a brace is a template; without one it could say nothing of the messages. */
static bool is_file(const char *setting)
{
	return !strchr(setting, '{');
}

static enum sc_status read_template(const char *setting, struct buf *text, struct error *err)
{
	if (is_file(setting))
		return read_file(setting, text, err);
	if (buf_add_string(text, setting) != SC_OK)
		return error_set(err, SC_E_NOMEM, "chat-template: out of memory");
	return SC_OK;
}

enum sc_status serve_http_read_chat(const struct config *config, const struct opened_model *opened,
				    struct chat_format **chat_out, struct error *err)
{
	const char *setting = config->chat_template;
	struct chat_format *chat = NULL;
	struct buf text = BUF_INIT;
	enum sc_status status = SC_OK;

	if (*setting)
		status = read_template(setting, &text, err);
	if (status == SC_OK)
		status = chat_format_create(opened->model->gguf, opened->tokenizer,
					    *setting ? text.data : NULL, &chat, err);
	if (status == SC_OK && *setting && chat_format_check(chat, err) != SC_OK) {
		if (is_file(setting))
			error_prefix(err, "%s", setting);
		error_prefix(err, "chat-template");
		status = err->status = SC_E_CONFIG;
	}
	buf_deinit(&text);
	if (status == SC_OK)
		*chat_out = chat;
	else
		chat_format_destroy(chat);
	return status;
}

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
	enum sc_status status = serve_http_read_chat(config, serve->opened, &http->chat, err);

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
