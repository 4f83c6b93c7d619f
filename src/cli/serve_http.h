/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_SERVE_HTTP_H
#define STAGECOACH_CLI_SERVE_HTTP_H
/*
 * serve_http - what the daemon serves over HTTP/1.1: the endpoints of OpenAI's API, with the chat
 * format of its model.
 * Thread: the loop's.
 */
#include "cli/serve.h"
#include "http/http_call.h"

struct chat_format;
struct config;
struct openai;
struct work_pool;

struct serve_http {
	struct chat_format *chat;
	struct openai *openai;
	struct http_routes routes;	/* for the gateway */
};

/* Reads the chat template (chat_template.h, whose errors it has) and makes the routes. A model
 * without a template is no failure: its chat endpoints then say so. SC_E_NOMEM. close also after a
 * failure. */
must_check enum sc_status serve_http_open(struct serve_http *http, const struct serve_config *serve,
					  struct engine *engine, struct error *err);
/* Call when the gateway is there, with its helper threads. */
void serve_http_use_pool(struct serve_http *http, struct work_pool *pool);
/* Call when the engine takes no more jobs. */
void serve_http_drain(struct serve_http *http);
/* After the gateway is gone. */
void serve_http_close(struct serve_http *http);

#endif
