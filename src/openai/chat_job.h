/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_CHAT_JOB_H
#define STAGECOACH_OPENAI_CHAT_JOB_H
/* chat_job - a rendered chat as the prompt of a job, over HTTP and over gRPC. Thread: any. */
#include "chat/chat.h"
#include "engine/engine.h"

/* Sets the prompt, how control tokens are written in the output, and where reasoning is, which the
 * client does not see. job borrows from format and prompt. */
void chat_job_set_prompt(struct job_request *job, const struct chat_format *format,
			 const struct chat_prompt *prompt);

#endif
