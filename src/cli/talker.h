/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_TALKER_H
#define STAGECOACH_CLI_TALKER_H
/*
 * talker - whoever answers a conversation: an engine in this process (chat_local.h), or a server
 * (chat_remote.h).
 * Thread: the main thread. send blocks; SIGINT and SIGTERM end it.
 */
#include "base/error.h"
#include "chat/chat.h"
#include "config/config.h"
#include "engine/engine.h"

/* Whom a turn is told to. */
struct turn_sink {
	chat_delta_fn *on_delta;
	/* How far the prompt is, in tokens. */
	void (*on_prompt)(void *arg, uint64_t n_done, uint64_t n_total);
	/* What a person should hear of at once: a lost stage, a warning. */
	void (*on_note)(void *arg, const char *text);
	void *arg;
};

struct turn_result {
	uint32_t n_prompt;		/* tokens */
	uint32_t n_generated;
	double first_token_seconds;	/* 0: none came */
	double total_seconds;
	double tokens_per_second;	/* after the first token; 0: unknown */
	uint32_t n_context;		/* tokens that a conversation may have; 0: unknown */
	enum finish_reason finish;
};

struct talker_ops {
	/* Has the model answer messages, an array as conversation.h has it. config says how, and may
	 * differ from turn to turn. *result_out is as far as the turn came, also on failure.
	 * SC_E_TOO_LARGE: messages do not fit into the context. SC_E_UNSUPPORTED: the model cannot
	 * chat. SC_E_CANCELLED: a signal came, or somebody cancelled the job. SC_E_UNAVAILABLE,
	 * SC_E_CLOSED: no server; the next turn may find one. What on_delta returned. */
	enum sc_status (*send)(void *self, const json_t *messages, const struct config *config,
			       const struct turn_sink *sink, struct turn_result *result_out,
			       struct error *err);
	/* The signal that ended the last turn, which is forgotten; 0: none. */
	int (*take_signal)(void *self);
	void (*destroy)(void *self);
};

struct talker {
	const struct talker_ops *ops;
	void *self;
};

#endif
