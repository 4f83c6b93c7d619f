/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_GENERATE_REQUEST_H
#define STAGECOACH_GATEWAY_GENERATE_REQUEST_H
/* generate_request - converts a client's GenerateRequest to a job_request. Thread: any. */
#include "base/error.h"
#include "engine/engine.h"
#include "gateway/job_chat.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

/* A job_request, and what it borrows that the message has in another form. */
struct generate_request {
	struct job_request job;		/* borrows from the message, too */
	struct token_bias *biases;	/* owned */
	struct job_chat *chat;		/* owned until a job takes it; NULL: the prompt is no chat */
};

/* Unset fields get defaults; the seed is random then. deinit also after a failure. format: for
 * chats; NULL: the server has none. is_brief: as chat_request has it.
 * SC_E_INVALID: there is no prompt, or a name of a sampler is unknown. SC_E_NOMEM. Of a chat: as
 * job_chat_create. engine_submit checks the rest. */
must_check enum sc_status generate_request_read(const Stagecoach__V1__GenerateRequest *message,
						const struct chat_format *format,
						bool is_brief,
						struct generate_request *request_out,
						struct error *err);
/* Accepts a struct of zeros. */
void generate_request_deinit(struct generate_request *request);

#endif
