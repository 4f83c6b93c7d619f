/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_CHAT_BODY_H
#define STAGECOACH_OPENAI_CHAT_BODY_H
/*
 * chat_body - what the body of POST /v1/chat/completions says, with its messages rendered to a
 * prompt.
 * Ownership: holds references to the values that it needs later; the rest of the JSON may go after
 * read. deinit also after a fault.
 * Thread: any; one at a time.
 */
#include "chat/chat.h"
#include "openai/generation.h"

struct chat_body {
	struct generation generation;
	const struct chat_format *format;	/* borrowed */
	struct chat_request request;	/* without messages after read */
	struct chat_prompt prompt;
	bool has_prompt;		/* prompt was made */
	bool has_logprobs;
	bool inlines_reasoning;		/* as a part of content */

	json_t *kept[2];		/* tools and tool_choice, held for request */
};

/* is_brief: as chat_request has it; the reader's status is then SC_AGAIN. */
void chat_body_init(struct chat_body *body, const struct chat_format *format, bool is_brief);
void chat_body_deinit(struct chat_body *body);

/* Reads the fields about messages and renders them. Faults are in the reader. format NULL: the
 * model cannot chat. */
void chat_body_read_messages(struct chat_body *body, struct json_reader *reader);

/* Reads all fields. The field "model" is not read here. */
void chat_body_read(struct chat_body *body, struct json_reader *reader,
		    const struct tokenizer *tokenizer, uint32_t max_context);

/* Borrows from body. */
struct job_request chat_body_job(const struct chat_body *body);

#endif
