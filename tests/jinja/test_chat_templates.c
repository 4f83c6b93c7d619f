/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole chat templates against jinja2: those of $SRCDIR/tests/data/chat_templates, or of
 * $CHAT_TEMPLATES; see tools/make_chat_template_vectors.py.
 */
#include "jinja/jinja.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { NOW = 1753318923 };	/* what the script says, too */

static char directory[4096];
static json_t *expected, *conversations;
static json_t *constants;

static json_t *load(const char *name)
{
	char path[sizeof directory + 64];
	json_error_t err;
	json_t *json;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	json = json_load_file(path, 0, &err);
	if (!json)
		fail_msg("%s: line %d: %s", path, err.line, err.text);
	return json;
}

static int load_all(void **state)
{
	const char *source = getenv("SRCDIR"), *other = getenv("CHAT_TEMPLATES");

	(void)state;
	if (other)
		snprintf(directory, sizeof directory, "%s", other);
	else
		snprintf(directory, sizeof directory, "%s/tests/data/chat_templates",
			 source ? source : ".");
	expected = load("expected.json");
	conversations = load("conversations.json");
	constants = json_pack("{s:s, s:s, s:s, s:s}", "bos_token", "<s>", "eos_token", "</s>",
			      "pad_token", "<pad>", "unk_token", "<unk>");
	assert_non_null(constants);
	return 0;
}

static int free_all(void **state)
{
	(void)state;
	json_decref(expected);
	json_decref(conversations);
	json_decref(constants);
	return 0;
}

static struct jinja_template *parse(const char *name)
{
	char path[sizeof directory + 256], *source = NULL;
	struct jinja_template *tmpl;
	struct error err;
	size_t n = 0;
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	file = fopen(path, "r");
	if (!file)
		fail_msg("cannot open %s", path);
	n = getdelim(&source, &n, '\0', file) < 0 ? 0 : strlen(source);
	fclose(file);
	if (jinja_parse(source, n, &tmpl, &err))
		fail_msg("%s: %s", name, err.text);
	free(source);
	return tmpl;
}

/* text: a string, or null where jinja2 refuses. */
static void compare(const struct jinja_template *tmpl, const json_t *variables, const json_t *text,
		    const char *name, const char *conversation)
{
	struct jinja_output output;
	struct error err = { .text = "" };
	enum sc_status status = jinja_render(tmpl, variables, constants, NOW,
					     &jinja_default_limits, &output, &err);

	if (json_is_null(text)) {
		if (!status)
			fail_msg("%s, %s: is not refused: \"%s\"", name, conversation,
				 output.text.data);
		return;
	}
	if (status)
		fail_msg("%s, %s: %s", name, conversation, err.text);
	if (strcmp(output.text.data, json_string_value(text)) != 0)
		fail_msg("%s, %s: expected\n%s\ngot\n%s", name, conversation,
			 json_string_value(text), output.text.data);
	assert_int_equal(output.text.length, output.from_template.length);
	jinja_output_deinit(&output);
}

static void compare_all(const char *name, json_t *of_template)
{
	struct jinja_template *tmpl = parse(name);
	const char *conversation;
	json_t *texts;

	json_object_foreach(of_template, conversation, texts) {
		json_t *given = json_object_get(conversations, conversation);

		assert_true(json_is_object(given));
		for (size_t prompt = 0; prompt < 2; prompt++) {
			json_t *variables = json_copy(given);

			json_object_set_new(variables, "add_generation_prompt",
					    json_boolean(prompt));
			compare(tmpl, variables, json_array_get(texts, prompt), name, conversation);
			json_decref(variables);
		}
	}
	jinja_destroy(tmpl);
}

static void templates_give_what_jinja2_gives(void **state)
{
	const char *name;
	json_t *of_template;

	(void)state;
	assert_true(json_object_size(expected) > 0);
	json_object_foreach(expected, name, of_template)
		compare_all(name, of_template);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(templates_give_what_jinja2_gives),
	};

	return cmocka_run_group_tests(tests, load_all, free_all);
}
