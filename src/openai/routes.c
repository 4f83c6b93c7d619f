/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/openai.h"

/* Each path with and without /v1. */
#define BOTH(path, ...) { "/v1" path, __VA_ARGS__ }, { path, __VA_ARGS__ }
#define GET(path, ops, ...) BOTH(path, HTTP_GET, &ops, __VA_ARGS__)
#define POST(path, ops) BOTH(path, HTTP_POST, &ops, false, false)
/* What other servers have there and this one has not. */
#define MISSING(path) BOTH(path, HTTP_GET | HTTP_POST | HTTP_DELETE, &openai_missing, false, false)

const struct http_route openai_routes[] = {
	GET("/models", openai_models, true, false),
	GET("/models/*", openai_model, true, false),
	POST("/completions", openai_completions),
	POST("/chat/completions", openai_chat_completions),
	POST("/tokenize", openai_tokenize),
	POST("/detokenize", openai_detokenize),
	GET("/tokenizer_info", openai_tokenizer_info, false, false),
	POST("/apply-template", openai_apply_template),
	GET("/health", openai_health, true, true),
	GET("/readyz", openai_health, true, true),
	GET("/livez", openai_live, true, true),
	GET("/version", openai_version, false, false),
	GET("/props", openai_props, false, false),
	MISSING("/embeddings"),
	MISSING("/embedding"),
	MISSING("/responses"),
	MISSING("/responses/*"),
	MISSING("/messages"),
	MISSING("/messages/count_tokens"),
	MISSING("/rerank"),
	MISSING("/reranking"),
	MISSING("/score"),
	MISSING("/pooling"),
	MISSING("/moderations"),
	MISSING("/completion"),
	MISSING("/infill"),
	MISSING("/slots"),
	MISSING("/slots/*"),
	MISSING("/lora-adapters"),
	MISSING("/load_lora_adapter"),
	MISSING("/unload_lora_adapter"),
	MISSING("/audio/transcriptions"),
	MISSING("/audio/translations"),
	MISSING("/audio/speech"),
	MISSING("/images/generations"),
	MISSING("/files"),
	MISSING("/files/*"),
	MISSING("/batches"),
	MISSING("/batches/*"),
	MISSING("/fine_tuning/jobs"),
	MISSING("/api/tags"),
	MISSING("/api/chat"),
	MISSING("/api/generate"),
	MISSING("/api/show"),
	MISSING("/api/version"),
};
const size_t openai_n_routes = sizeof openai_routes / sizeof openai_routes[0];

static void start_missing(struct http_call *call)
{
	http_call_refuse(call, 501, "this server does not have this endpoint: it has /v1/models, "
			 "/v1/completions, /v1/chat/completions, /tokenize, /detokenize, "
			 "/tokenizer_info, /apply-template, /health, /version, /props and /metrics",
			 NULL);
}

const struct http_call_ops openai_missing = { .start = start_missing };
