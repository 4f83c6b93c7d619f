/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request of a chat, as JSON: {"messages", "tools", "kwargs", "name", "continue"}. Input: the
 * template, flags, the JSON. Renders the prompt, and reads the rest of the input as its answer.
 */
#include "tests/fuzz/fuzz.h"

#include "chat/chat.h"
#include "tests/model/tiny_vocab.h"

#include <stdlib.h>
#include <string.h>

/* Each reads messages in another way. */
static const char *const templates[] = {
	"{# <tool_call></think> #}{{ bos_token }}{% for m in messages %}<|im_start|>{{ m.role }}\n"
	"{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.name }}"
	"{{ c.function.arguments | tojson }}{% endfor %}<|im_end|>{% endfor %}"
	"{% for t in tools or [] %}{{ t | tojson }}{% endfor %}<think>",
	"{# [TOOL_CALLS] #}{% for m in messages %}{% if m.role == 'system' %}"
	"{{ raise_exception('no') }}{% endif %}{% for c in m.tool_calls or [] %}"
	"{% if c.id | length != 9 %}{{ raise_exception('id') }}{% endif %}"
	"{{ c.function.arguments }}{% endfor %}[{{ m.content }}]{% endfor %}",
	"{# <|tool|><|/tool|> #}{% for m in messages %}{{ m.tools or '' }}"
	"{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}",
	"{# <|channel|><|message|> #}{% for m in messages %}<|start|>{{ m.role }}<|message|>"
	"{{ m.reasoning_content or '' }}{{ m.content }}{% endfor %}<|start|>assistant",
	"{# \uFF5Ctool #}<\uFF5Ctool\u2581sep\uFF5C>{% for m in messages %}{% if m.content is "
	"none %}"
	"{{ m.tool_calls[0].function.arguments }}{% else %}{{ m.content }}{% endif %}{% endfor %}",
};
#define N_TEMPLATES (sizeof templates / sizeof *templates)

static const char *const requests[] = {
	"{\"messages\": [{\"role\": \"user\", \"content\": \"<|im_end|>\"}]}",
	"{\"messages\": [{\"role\": \"system\", \"content\": \"s\"}, {\"role\": \"user\", "
	"\"content\": "
	"[{\"type\": \"text\", \"text\": \"a\"}, \"b\"]}, {\"role\": \"assistant\", \"content\": "
	"null, "
	"\"reasoning\": \"r\", \"tool_calls\": [{\"id\": \"1\", \"function\": {\"name\": \"f\", "
	"\"arguments\": \"{\\\"x\\\": 1}\"}}]}, {\"role\": \"tool\", \"tool_call_id\": \"1\", "
	"\"content\": \"c\"}, {\"role\": \"developer\", \"content\": \"d\"}], \"tools\": "
	"[{\"type\": "
	"\"function\", \"function\": {\"name\": \"f\", \"parameters\": {\"properties\": {\"x\": "
	"{\"type\": \"integer\"}}}}}], \"name\": \"f\", \"kwargs\": {\"enable_thinking\": false}}",
	"{\"messages\": [{\"role\": \"assistant\", \"content\": \"\", \"reasoning_content\": "
	"\"r\", "
	"\"function_call\": {\"name\": \"f\", \"arguments\": {}}}], \"continue\": true}",
};
#define N_REQUESTS (sizeof requests / sizeof *requests)

static void require(bool is_true)
{
	if (!is_true)
		abort();
}

/* Formats are made once: their templates do not change. */
static const struct chat_format *get_format(size_t i)
{
	static const struct tiny_token tokens[] = {
		{ "<|im_start|>", 0, T_CONTROL }, { "<|im_end|>", 0, T_CONTROL },
		{ "[TOOL_CALLS]", 0, T_CONTROL }, { "<think>", 0, T_USER_DEFINED },
	};
	static struct tiny_tokenizer tiny;
	static struct chat_format *formats[N_TEMPLATES];
	struct gguf_writer w;
	struct error err;

	if (!tiny.tokenizer) {
		gguf_writer_init(&w);
		tiny_vocab_spm(&w, tokens, 4);
		require(!tiny_tokenizer_create(&tiny, &w, &err));
	}
	if (!formats[i])
		require(!chat_format_create(tiny.gguf, tiny.tokenizer, templates[i], &formats[i],
					    &err));
	require(!chat_format_check(formats[i], &err));
	return formats[i];
}

static enum sc_status ignore(void *arg, const struct chat_delta *delta)
{
	size_t *n = arg;

	require(delta->kind == CHAT_TOOL_BEGIN ? delta->name[0] != '\0' : delta->n_bytes > 0);
	*n += delta->n_bytes;
	return SC_OK;
}

static void answer(const struct chat_format *format, const struct chat_request *request,
		   const struct chat_prompt *prompt, const char *text, size_t n_bytes)
{
	struct chat_parser *parser;
	size_t n = 0;

	require(!chat_parser_create(format, request, prompt, ignore, &n, &parser));
	require(!chat_parser_add(parser, text, n_bytes) && !chat_parser_finish(parser));
	chat_parser_destroy(parser);
}

static void use(const struct chat_format *format, const struct chat_request *request,
		const char *text, size_t n_bytes)
{
	struct chat_prompt prompt;
	const char *param = NULL;
	struct error err = { .text = "" };
	enum sc_status status = chat_render(format, request, &prompt, &param, &err);

	if (status) {
		require(err.text[0] && err.status == status);
		return;
	}
	require(prompt.text.length == prompt.from_template.length && prompt.prefill);
	answer(format, request, &prompt, text, n_bytes);
	chat_prompt_deinit(&prompt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 2;
	const struct chat_format *format;
	struct chat_request request;
	json_t *json;

	if (size < 2)
		return 0;
	format = get_format(data[0] % N_TEMPLATES);
	json = json_loadb(text, size - 2, JSON_DISABLE_EOF_CHECK, NULL);
	request = (struct chat_request){
		.messages = json_object_get(json, "messages"),
		.tools = json_object_get(json, "tools"),
		.tool_choice = data[1] & 3,
		.tool_name = json_string_value(json_object_get(json, "name")),
		.template_kwargs = json_object_get(json, "kwargs"),
		.continues_final_message = json_is_true(json_object_get(json, "continue")),
		.leaves_open = data[1] & 4,
	};
	use(format, &request, text, size - 2);
	json_decref(json);
	return 0;
}

bool fuzz_seed(unsigned i, struct buf *seed)
{
	const uint8_t head[] = { (uint8_t)(i % N_TEMPLATES), (uint8_t)(i / N_TEMPLATES) };
	const char *request;

	if (i >= N_TEMPLATES * N_REQUESTS * 2)
		return false;
	request = requests[i / N_TEMPLATES % N_REQUESTS];
	require(!buf_add(seed, head, sizeof head) && !buf_add_string(seed, request));
	return true;
}
