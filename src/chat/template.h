/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CHAT_TEMPLATE_H
#define STAGECOACH_CHAT_TEMPLATE_H
/*
 * template - a chat template: its text, the parsed form, and what it can do. The names of BOS and
 * EOS count as what the template writes, so that they become control tokens. Private to chat.
 * Thread: read-only once initialised.
 */
#include "base/error.h"
#include "chat/abilities.h"
#include "jinja/jinja.h"

/* A zeroed one is a template that is missing. */
struct chat_template {
	struct jinja_template *parsed;	/* NULL: there is none */
	char *text;			/* as the file has it; NUL-terminated */
	json_t *constants;		/* bos_token, eos_token */
	struct chat_abilities abilities;
};

/* Parses n_bytes of text, and finds out the abilities. bos, eos: names of these tokens, or "".
 * SC_E_FORMAT, SC_E_TOO_LARGE: err names line and column of the fault. SC_E_NOMEM. */
must_check enum sc_status chat_template_init(struct chat_template *tmpl, const char *text,
					     size_t n_bytes, const char *bos, const char *eos,
					     struct error *err);
void chat_template_deinit(struct chat_template *tmpl);

/* As jinja_render. */
must_check enum sc_status chat_template_render(const struct chat_template *tmpl,
					       const json_t *variables, int64_t now_unix,
					       const struct jinja_limits *limits,
					       struct jinja_output *output, struct error *err);

#endif
