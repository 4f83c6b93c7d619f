/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_OPENAI_H
#define STAGECOACH_OPENAI_OPENAI_H
/*
 * openai - the endpoints of OpenAI's API over HTTP, with what vLLM and llama.cpp add to it, and
 * their common state. It is the context of the sessions that serve openai_routes.
 * Thread: the loop's thread only. Nothing blocks.
 */
#include "engine/engine.h"
#include "http/http_call.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chat_format;
struct loop;
struct work_pool;

/* Bytes of one whole answer. */
#define OPENAI_MAX_REPLY ((size_t)16 << 20)

/* Names that the model goes by, the first of them in answers. */
#define OPENAI_MAX_NAMES 16

struct openai_config {
	struct loop *loop;		/* borrowed */
	struct engine *engine;		/* borrowed */
	const struct chat_format *chat;	/* borrowed; NULL: the model cannot chat */
	const char *names;		/* with commas between them; NULL or "": the model's name */
	unsigned ping_ms;		/* silence after which a stream gets a comment; 0: none */
	unsigned n_slots;		/* sequences that run at once, for /props */
};

struct openai {
	struct loop *loop;
	struct engine *engine;
	struct work_pool *pool;
	const struct chat_format *chat;
	unsigned ping_ms;
	unsigned n_slots;
	uint64_t created;		/* Unix time in seconds */
	char *names[OPENAI_MAX_NAMES];	/* owned; the first n_told are listed, and with them the
					 * model's own name and its file are known */
	unsigned n_names;
	unsigned n_told;
	bool is_draining;
};

must_check enum sc_status openai_create(const struct openai_config *config,
					struct openai **openai_out, struct error *err);
/* Long requests and answers go to these helper threads, borrowed until destroy. Before: they are
 * handled at once. */
void openai_use_pool(struct openai *openai, struct work_pool *pool);
/* When no call is left. Accepts NULL. */
void openai_destroy(struct openai *openai);
/* Call when the engine takes no more jobs: /health answers 503 from then on. */
void openai_drain(struct openai *openai);

/* The name in answers. */
const char *openai_model_name(const struct openai *openai);
/* Does a request's "model" mean this one? "" and "default" do. Thread: any. */
bool openai_is_model(const struct openai *openai, const char *name);

extern const struct http_route openai_routes[];
extern const size_t openai_n_routes;

/* --- endpoints, by the files that have them --- */

/* models.c */
extern const struct http_call_ops openai_models;
extern const struct http_call_ops openai_model;
/* completions.c */
extern const struct http_call_ops openai_completions;
extern const struct http_call_ops openai_chat_completions;
/* tokens.c */
extern const struct http_call_ops openai_tokenize;
extern const struct http_call_ops openai_detokenize;
extern const struct http_call_ops openai_apply_template;
extern const struct http_call_ops openai_tokenizer_info;
/* status.c */
extern const struct http_call_ops openai_health;
extern const struct http_call_ops openai_live;
extern const struct http_call_ops openai_version;
extern const struct http_call_ops openai_props;
/* routes.c */
extern const struct http_call_ops openai_missing;

#endif
