/* SPDX-License-Identifier: Apache-2.0 */
/* Formats, prompts and parsers with each of their allocations failing in turn: a clean error or the
 * right result, and nothing is left behind. */
#include "chat/chat.h"

#include "tests/model/failing_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/model/tiny_vocab.h"

static const char template[] =
	"{# <tool_call></think> #}{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ "
	"m.content }}"
	"{% for c in m.tool_calls or [] %}{{ c.function.arguments | tojson }}{% endfor %}\n"
	"{% endfor %}{% for t in tools or [] %}{{ t | tojson }}{% endfor %}<think>";
static const char request_json[] =
	"{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": "
	"\"a\"}]}, "
	"{\"role\": \"assistant\", \"content\": null, \"reasoning\": \"r\", \"tool_calls\": "
	"[{\"id\": "
	"\"1\", \"function\": {\"name\": \"f\", \"arguments\": \"{\\\"x\\\": 1}\"}}]}, {\"role\": "
	"\"tool\", \"tool_call_id\": \"1\", \"content\": \"c\"}, {\"role\": \"system\", "
	"\"content\": "
	"\"s\"}], \"tools\": [{\"function\": {\"name\": \"f\"}}]}";
static const char output[] = "f\", \"arguments\": \"{\\\"y\\\": 2}\"}\n</tool_call> ok";

static enum sc_status count(void *arg, const struct chat_delta *delta)
{
	size_t *n = arg;

	*n += delta->kind == CHAT_TOOL_BEGIN ? 100 : delta->n_bytes;
	return SC_OK;
}

static enum sc_status parse(const struct chat_format *format, const struct chat_request *request,
			    const struct chat_prompt *prompt)
{
	struct chat_parser *parser;
	size_t n = 0;
	enum sc_status status = chat_parser_create(format, request, prompt, count, &n, &parser);

	if (status)
		return status;
	status = chat_parser_add(parser, output, sizeof output - 1);
	if (!status)
		status = chat_parser_finish(parser);
	if (!status)
		assert_int_equal(n, 100 + strlen("{\"y\": 2}") + strlen(" ok"));
	chat_parser_destroy(parser);
	return status;
}

static enum sc_status converse(const struct tiny_tokenizer *tiny, const json_t *json)
{
	struct chat_request request = {
		.messages = json_object_get(json, "messages"),
		.tools = json_object_get(json, "tools"), .tool_choice = CHAT_TOOLS_REQUIRED,
	};
	struct chat_format *format;
	struct chat_prompt prompt;
	struct error err;
	enum sc_status status = chat_format_create(tiny->gguf, tiny->tokenizer, template, &format,
						   &err);

	if (status)
		return status;
	status = chat_format_check(format, &err);
	if (!status)
		status = chat_render(format, &request, &prompt, NULL, &err);
	if (!status) {
		status = parse(format, &request, &prompt);
		chat_prompt_deinit(&prompt);
	}
	chat_format_destroy(format);
	return status;
}

static void every_allocation_may_fail(void **state)
{
	struct gguf_writer w;
	struct tiny_tokenizer tiny;
	struct error err;
	json_t *json = json_loads(request_json, 0, NULL);
	enum sc_status status;

	(void)state;
	gguf_writer_init(&w);
	tiny_vocab_spm(&w, NULL, 0);
	assert_int_equal(tiny_tokenizer_create(&tiny, &w, &err), SC_OK);
	assert_non_null(json);
	assert_int_equal(converse(&tiny, json), SC_OK);
	for (long n = 0; has_failing_alloc; n++) {
		const long n_before = failing_alloc_n_live();
		bool has_failed;

		failing_alloc_arm(n);
		status = converse(&tiny, json);
		has_failed = failing_alloc_disarm();
		/* Jansson may take a failed allocation for a fault in the text. */
		if (status && status != SC_E_NOMEM && status != SC_E_INVALID)
			fail_msg("allocation %ld: %s", n, sc_status_name(status));
		if (failing_alloc_n_live() != n_before)
			fail_msg("allocation %ld: %ld blocks are left", n,
				 failing_alloc_n_live() - n_before);
		if (!has_failed)
			break;
	}
	json_decref(json);
	tiny_tokenizer_destroy(&tiny);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
