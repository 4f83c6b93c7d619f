/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_PROMPT_FORMS_H
#define STAGECOACH_OPENAI_PROMPT_FORMS_H
/*
 * prompt_forms - the prompts of a completion: a text, token ids, or an array of texts and of arrays
 * of token ids.
 * Thread: any; one at a time.
 */
#include "base/buf.h"
#include "model/tokenizer.h"
#include "openai/json_reader.h"

#define PROMPT_FORMS_MAX 64

struct prompt_form {
	struct token_list tokens;
	struct buf text;	/* as the request has it, or the text of its tokens; only with
				 * keeps_text */
};

struct prompt_forms {
	struct prompt_form prompts[PROMPT_FORMS_MAX];
	uint32_t n;
};

struct prompt_options {
	const struct tokenizer *tokenizer;
	uint32_t max_context;
	bool adds_bos;		/* in front of texts, if the vocabulary asks for it */
	bool parses_special;
	bool keeps_text;
};

/* Reads the field. Faults are in the reader: SC_E_TOO_LARGE for a prompt that leaves no room in
 * the context. Time grows with the prompts. deinit also after a fault. */
void prompt_forms_read(struct prompt_forms *forms, struct json_reader *reader, const char *name,
		       const struct prompt_options *options);
void prompt_forms_deinit(struct prompt_forms *forms);

#endif
