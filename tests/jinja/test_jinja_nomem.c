/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing and rendering with each of their allocations failing in turn. */
#include "jinja/jinja.h"

#include "tests/jinja/rendering.h"
#include "tests/model/failing_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static bool parse_with_failure(long n)
{
	const long n_before = failing_alloc_n_live();
	struct jinja_template *tmpl = NULL;
	struct error err = { .text = "" };
	enum sc_status status;
	bool has_failed;

	failing_alloc_arm(n);
	status = jinja_parse(rich_template, strlen(rich_template), &tmpl, &err);
	has_failed = failing_alloc_disarm();
	assert_int_equal(status, has_failed ? SC_E_NOMEM : SC_OK);
	if (has_failed)
		assert_non_null(strstr(err.text, "no memory"));
	jinja_destroy(tmpl);
	assert_int_equal(failing_alloc_n_live(), n_before);
	return has_failed;
}

static void parsing_without_memory_is_a_clean_error(void **state)
{
	long n = 0;

	(void)state;
	if (!has_failing_alloc)
		skip();
	while (parse_with_failure(n))
		n++;
	assert_true(n > 1);
}

static bool render_with_failure(const struct jinja_template *tmpl, const json_t *variables, long n)
{
	const long n_before = failing_alloc_n_live();
	struct jinja_output output;
	struct error err = { .text = "" };
	enum sc_status status;
	bool has_failed;

	failing_alloc_arm(n);
	status = jinja_render(tmpl, variables, NULL, 0, &jinja_default_limits, &output, &err);
	has_failed = failing_alloc_disarm();
	if (status) {
		assert_int_equal(status, SC_E_NOMEM);
		assert_non_null(strstr(err.text, "no memory"));
	} else {
		assert_string_equal(output.text.data, rich_text);
		jinja_output_deinit(&output);
	}
	assert_int_equal(failing_alloc_n_live(), n_before);
	return has_failed;
}

static void rendering_without_memory_is_a_clean_error(void **state)
{
	struct jinja_template *tmpl;
	json_t *variables = json_loads(rich_variables, 0, NULL);
	long n = 0;

	(void)state;
	if (!has_failing_alloc)
		skip();
	assert_int_equal(jinja_parse(rich_template, strlen(rich_template), &tmpl, NULL), SC_OK);
	while (render_with_failure(tmpl, variables, n))
		n++;
	assert_true(n > 3);
	jinja_destroy(tmpl);
	json_decref(variables);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsing_without_memory_is_a_clean_error),
		cmocka_unit_test(rendering_without_memory_is_a_clean_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
