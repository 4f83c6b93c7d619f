/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_CHAT_ANSWER_H
#define STAGECOACH_GATEWAY_CHAT_ANSWER_H
/*
 * chat_answer - the output of one sequence of a chat's job as a message of the assistant.
 * Thread: any; one at a time.
 */
#include "base/buf.h"
#include "engine/engine.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

struct chat_answer {
	Stagecoach__V1__ChatMessage message;	/* points to the following */
	struct buf content;
	struct buf reasoning;
	struct chat_answer_call *calls;		/* [n_calls] */
	Stagecoach__V1__ToolCall **call_list;	/* [n_calls] */
	size_t n_calls;
};

/* Reads the output so far; job_chat_of is not NULL. SC_E_NOMEM. deinit also after a failure. */
must_check enum sc_status chat_answer_init(struct chat_answer *answer, const struct job *job,
					   uint32_t sequence);
void chat_answer_deinit(struct chat_answer *answer);

#endif
