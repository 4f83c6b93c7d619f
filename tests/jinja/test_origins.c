/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/jinja/rendering.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const char variables[] = "{\"u\": \"a-B\", \"v\": \" xyz \", \"l\": [\"p\", \"q\"],"
				" \"d\": {\"k\": \"<>\"}}";

/* origins: T where the template wrote the byte, v where it comes from a variable. */
static void assert_origins(const char *source, const char *text, const char *origins)
{
	struct rendering rendering = render_text(source, variables, NULL);

	assert_int_equal(rendering.status, SC_OK);
	assert_string_equal(rendering.output.text.data, text);
	assert_int_equal(rendering.output.from_template.length, strlen(origins));
	for (size_t i = 0; origins[i]; i++)
		if ((origins[i] == 'T') != rendering.output.from_template.data[i])
			fail_msg("%s: byte %zu of %s", source, i, text);
	rendering_deinit(&rendering);
}

static void text_and_literals_are_the_templates(void **state)
{
	(void)state;
	assert_origins("<|{{ 'x' }}{{ 1 + 1 }}", "<|x2", "TTTT");
	assert_origins("{{ u }}|{{ v }}", "a-B| xyz ", "vvvTvvvvv");
}

static void constants_count_as_the_templates(void **state)
{
	(void)state;
	assert_origins("{{ bos_token + u + eos_token }}", "<s>a-B</s>", "TTTvvvTTTT");
}

static void each_byte_keeps_its_origin_through_operations(void **state)
{
	(void)state;
	assert_origins("{{ ('<' + u + '>') }}", "<a-B>", "TvvvT");
	assert_origins("{{ '<' ~ u ~ '>' }}", "<a-B>", "TvvvT");
	assert_origins("{{ ('<' ~ u)[1:] ~ ('<' ~ u)[0] }}", "a-B<", "vvvT");
	assert_origins("{{ ('<' ~ u)[::-1] }}", "B-a<", "vvvT");
	assert_origins("{{ ('<' ~ u)|upper }}", "<A-B", "Tvvv");
	assert_origins("{{ ('<' ~ v).strip() ~ v|trim }}", "< xyzxyz", "Tvvvvvvv");
	assert_origins("{{ u.replace('-', '<|') }}", "a<|B", "vTTv");
	assert_origins("{{ 'a-b'.replace('-', v) }}", "a xyz b", "TvvvvvT");
	assert_origins("{{ u.split('-')|join('+') }}", "a+B", "vTv");
	assert_origins("{{ '+'.join(l) }}", "p+q", "vTv");
	assert_origins("{{ '<%s>' % u }}{{ '({})'.format(u) }}", "<a-B>(a-B)", "TvvvTTvvvT");
	assert_origins("{{ ('{:' ~ l[0] ~ '>3}').format('x') }}", "ppx", "vvT");
	assert_origins("{{ ('\n' ~ u)|indent(1) }}", "\n a-B", "TTvvv");
	assert_origins("{% set x %}<{{ u }}>{% endset %}{{ x }}", "<a-B>", "TvvvT");
	assert_origins("{% macro m(a) %}<{{ a }}{% endmacro %}{{ m(u) }}", "<a-B", "Tvvv");
	assert_origins("{% set ns = namespace(t='') %}{% for c in u %}"
		       "{% set ns.t = ns.t ~ c ~ '.' %}{% endfor %}{{ ns.t }}", "a.-.B.", "vTvTvT");
}

/* A user could write what looks like the punctuation of JSON. */
static void json_of_variables_is_not_the_templates(void **state)
{
	(void)state;
	assert_origins("{{ d|tojson }}", "{\"k\": \"<>\"}", "vvvvvvvvvvv");
	assert_origins("{{ d }}", "{'k': '<>'}", "vvvvvvvvvvv");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_literals_are_the_templates),
		cmocka_unit_test(constants_count_as_the_templates),
		cmocka_unit_test(each_byte_keeps_its_origin_through_operations),
		cmocka_unit_test(json_of_variables_is_not_the_templates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
