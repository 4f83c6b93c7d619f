/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for what src/chat does not have yet: chat templates. The linker takes this file only as
 * long as libchat.a lacks a function. A model then counts as one without a template. */
#include "chat/chat.h"

static const char absent[] = "this build does not read chat templates";

enum sc_status chat_format_create(const struct gguf *gguf, const struct tokenizer *tokenizer,
				  const char *override, struct chat_format **format_out,
				  struct error *err)
{
	(void)gguf;
	(void)tokenizer;
	*format_out = NULL;
	return override ? error_set(err, SC_E_UNSUPPORTED, "%s", absent) : SC_OK;
}

void chat_format_destroy(struct chat_format *format)
{
	(void)format;
}

enum sc_status chat_format_check(const struct chat_format *format, struct error *err)
{
	(void)format;
	return error_set(err, SC_E_UNSUPPORTED, "%s", absent);
}

const char *chat_format_template(const struct chat_format *format)
{
	(void)format;
	return "";
}

const char *chat_format_reasoning_open(const struct chat_format *format)
{
	(void)format;
	return NULL;
}

const char *chat_format_reasoning_close(const struct chat_format *format)
{
	(void)format;
	return NULL;
}

void chat_prompt_deinit(struct chat_prompt *prompt)
{
	(void)prompt;
}

enum sc_status chat_render(const struct chat_format *format, const struct chat_request *request,
			   struct chat_prompt *prompt_out, const char **param_out,
			   struct error *err)
{
	(void)format;
	(void)request;
	(void)prompt_out;
	(void)param_out;
	return error_set(err, SC_E_UNSUPPORTED, "%s", absent);
}
