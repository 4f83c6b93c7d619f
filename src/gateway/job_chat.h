/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_JOB_CHAT_H
#define STAGECOACH_GATEWAY_JOB_CHAT_H
/*
 * job_chat - a conversation of a GenerateRequest: the prompt that the chat template makes of it,
 * and what is needed to read the job's output as an answer. The job keeps it, so that any client
 * can watch the answer.
 * Thread: any. After engine_submit it is only read.
 */
#include "chat/chat.h"
#include "engine/engine.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

struct job_chat {
	struct job_annex annex;
	const struct chat_format *format;	/* borrowed while output is read */
	struct chat_request request;	/* without messages; borrows from the following */
	json_t *tools;			/* owned; NULL: none */
	char *tool_name;		/* owned; NULL: no tool is named */
	struct chat_prompt prompt;
	bool has_prompt;		/* prompt was made */
};

/* Renders the prompt. format: NULL if the server has none. is_brief: as chat_request has it, with
 * SC_AGAIN. SC_E_INVALID: err names the field.
 * SC_E_UNSUPPORTED: the model cannot chat, or not with tools. SC_E_TOO_LARGE: the JSON of the
 * request would take too much memory. SC_E_NOMEM. */
must_check enum sc_status job_chat_create(const Stagecoach__V1__Chat *message,
					  const struct chat_format *format, bool is_brief,
					  struct job_chat **chat_out, struct error *err);
/* Accepts NULL. Not for one that a job has taken. */
void job_chat_destroy(struct job_chat *chat);

/* Sets prompt, control tokens, and where stop strings are not looked for. job borrows from chat;
 * engine_submit takes chat. */
void job_chat_set_up(struct job_chat *chat, struct job_request *job);

/* NULL: the job's prompt was no chat of this kind. Borrowed while the job is held. */
const struct job_chat *job_chat_of(const struct job *job);

/* The job has taken chat, and has its tokens. */
void job_chat_settle(struct job_chat *chat);

/* A parser of the output of one of the job's sequences, as chat_parser_create. *request_out lives
 * as long as the parser. */
must_check enum sc_status job_chat_parser(const struct job *job, uint32_t sequence,
					  chat_delta_fn *fn, void *arg,
					  struct chat_request *request_out,
					  struct chat_parser **parser_out);

#endif
