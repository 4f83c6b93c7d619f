/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/serve_event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* In memory that ends where the text does. */
static enum sc_status parse(const char *text, size_t n, struct completion_event *event,
			    struct error *err)
{
	char *copy = malloc(n ? n : 1);
	enum sc_status status;

	assert_non_null(copy);
	memcpy(copy, text, n);
	status = completion_event_parse(copy, n, event, err);
	free(copy);
	return status;
}

static void members_are_found_among_others(void **state)
{
	const char *partial = "{\"index\":0,\"content\":\" \\\"stop\\\":true}\",\"tokens\":[17],"
			      "\"stop\":false,\"id_slot\":-1,\"tokens_predicted\":3,"
			      "\"tokens_evaluated\":200}";
	const char *last = " { \"timings\" : {\"stop\":[{\"tokens_predicted\":9}]}, \"x\" : null,"
			   "\"tokens_predicted\" : 64 , \"stop\" : true } \n";
	struct completion_event event;

	(void)state;
	assert_int_equal(parse(partial, strlen(partial), &event, NULL), SC_OK);
	assert_false(event.is_last);
	assert_int_equal(event.n_predicted, 3);
	assert_int_equal(event.n_evaluated, 200);
	assert_int_equal(parse(last, strlen(last), &event, NULL), SC_OK);
	assert_true(event.is_last);
	assert_int_equal(event.n_predicted, 64);
	assert_int_equal(event.n_evaluated, 0);
}

static void a_chunk_of_openai_has_a_token_until_its_choice_ends(void **state)
{
	const char *token = "{\"id\":\"cmpl-1\",\"choices\":[{\"index\":0,\"text\":\"a\","
			    "\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}";
	const char *end = "{\"choices\":[{\"text\":\"\",\"finish_reason\":\"length\"}]}";
	const char *usage = "{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,"
			    "\"prompt_tokens_details\":{\"cached_tokens\":0}}}";
	struct completion_event event;

	(void)state;
	assert_int_equal(parse(token, strlen(token), &event, NULL), SC_OK);
	assert_true(event.has_token && !event.is_last && !event.n_predicted);
	assert_int_equal(parse(end, strlen(end), &event, NULL), SC_OK);
	assert_true(!event.has_token && !event.is_last);
	assert_int_equal(parse(usage, strlen(usage), &event, NULL), SC_OK);
	assert_true(!event.has_token && event.is_last);
	assert_int_equal(event.n_predicted, 4);
	assert_int_equal(event.n_evaluated, 3);
}

static void an_error_is_quoted(void **state)
{
	const char *text = "{\"error\":{\"code\":400,\"message\":\"too long\"}}";
	struct completion_event event;
	struct error err;

	(void)state;
	assert_int_equal(parse(text, strlen(text), &event, &err), SC_E_UNAVAILABLE);
	assert_non_null(strstr(err.text, "too long"));
}

static void an_object_that_is_cut_anywhere_is_refused(void **state)
{
	const char *text = "{\"content\":\"a\\\\\\\"b\",\"tokens\":[1,{\"x\":[]}],\"stop\":false,"
			   "\"tokens_predicted\":3}";
	struct completion_event event;
	struct error err;

	(void)state;
	for (size_t n = 0; n < strlen(text); n++)
		assert_int_equal(parse(text, n, &event, &err), SC_E_PROTOCOL);
	assert_int_equal(parse(text, strlen(text), &event, NULL), SC_OK);
}

static void what_is_no_such_object_is_refused(void **state)
{
	static const char *const bad[] = {
		"[1]", "null", "{}", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}",
		"{\"a\":[}]}", "{\"a\":[1}", "{\"a\":1}x", "{\"a\":1}{\"b\":1}",
		"{\"stop\":1}", "{\"stop\":\"true\"}", "{\"tokens_predicted\":-1}",
		"{\"tokens_predicted\":1.5}", "{\"tokens_predicted\":\"1\"}",
		"{\"tokens_predicted\":4294967296}", "{\"tokens_predicted\":99999999999999999999}",
	};
	char deep[200] = "{\"a\":";
	struct completion_event event;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (parse(bad[i], strlen(bad[i]), &event, &err) != SC_E_PROTOCOL)
			fail_msg("accepted: %s", bad[i]);
	}
	memset(deep + 5, '[', 65);
	memset(deep + 70, ']', 65);
	strcpy(deep + 135, "}");
	assert_int_equal(parse(deep, strlen(deep), &event, &err), SC_E_PROTOCOL);
	assert_int_equal(parse("{\"a\":\0}", 7, &event, &err), SC_E_PROTOCOL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_found_among_others),
		cmocka_unit_test(a_chunk_of_openai_has_a_token_until_its_choice_ends),
		cmocka_unit_test(an_error_is_quoted),
		cmocka_unit_test(an_object_that_is_cut_anywhere_is_refused),
		cmocka_unit_test(what_is_no_such_object_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
