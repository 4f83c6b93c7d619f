/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/chat_job.h"

void chat_job_set_prompt(struct job_request *job, const struct chat_format *format,
			 const struct chat_prompt *prompt)
{
	job->prompt_tokens = prompt->tokens.ids;
	job->n_prompt_tokens = prompt->tokens.n;
	/* The parser of the answer looks for control tokens. */
	job->special = SPECIAL_MARKED;
	job->hidden_open = chat_format_reasoning_open(format);
	job->hidden_close = chat_format_reasoning_close(format);
	job->starts_hidden = prompt->starts_in_reasoning;
}
