/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/jinja/rendering.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct jinja_limits small = {
	.max_steps = 20000, .max_output = 4096, .max_memory = 64 << 10, .max_depth = 60,
};

static void assert_is_limited(const char *source, const char *message)
{
	struct rendering rendering = render_text(source, "{\"x\": \"abcdefgh\"}", &small);

	if (rendering.status != SC_E_TOO_LARGE || !strstr(rendering.err.text, message))
		fail_msg("%s: status %d, %s", source, rendering.status,
			 rendering.status ? rendering.err.text : "");
	rendering_deinit(&rendering);
}

static void loops_end_at_the_limit_of_steps(void **state)
{
	(void)state;
	assert_is_limited("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
			  "{% endfor %}", "steps");
	assert_is_limited("{% for a in range(99999) %}{{ 'x'|upper|lower is none }}{% endfor %}",
			  "line 1");
	assert_is_limited("{% set l = [1] %}{% for a in l %}{% do l.append(1) %}{% endfor %}", "");
	assert_is_limited("{{ [1] * 100000000 }}", "");
	assert_is_limited("{{ 'x'.center(1000000000) }}", "");
}

static void output_and_memory_end_at_their_limits(void **state)
{
	(void)state;
	assert_is_limited("{% for a in range(999) %}{{ x }}{% endfor %}", "bytes of output");
	assert_is_limited("{{ x * 1000000 }}", "bytes of output");
	assert_is_limited("{% set ns = namespace(l=[]) %}{% for a in range(900) %}"
			  "{% set ns.l = ns.l + [a, a] %}{% endfor %}", "bytes of memory");
}

/* Templates put the whole prompt into one variable. Copies of each step would need 50 MiB here. */
static void a_text_of_many_pieces_needs_no_copies(void **state)
{
	static const struct jinja_limits limits = {
		.max_steps = 100000, .max_output = 1 << 20, .max_memory = 2 << 20, .max_depth = 60,
	};
	struct rendering rendering =
		render_text("{% set ns = namespace(t='', u='') %}{% for i in range(3000) %}"
			    "{% set ns.t = ns.t ~ x ~ '.' %}{% set ns.u = ns.u + x %}{% endfor %}"
			    "{{ ns.t|length }} {{ ns.u|length }} {{ ns.t[-2:] }} {{ ns.u[:3] }}",
			    "{\"x\": \"\u00e9bcdefgh\"}", &limits);

	(void)state;
	assert_int_equal(rendering.status, SC_OK);
	assert_string_equal(rendering.output.text.data, "27000 24000 h. \u00e9bc");
	assert_memory_equal(rendering.output.from_template.data + 12, "\0\1\1\0\0\0\0", 7);
	rendering_deinit(&rendering);
}

/* What was put behind a text does not show in the text. */
static void pieces_do_not_change_the_text_that_they_follow(void **state)
{
	(void)state;
	assert_renders("{% set a = 'x' * 2000 %}{% set b = a + 'y' %}{% set c = b + '1' %}"
		       "{% set d = b + '2' %}{{ b[1999:] }} {{ c[1999:] }} {{ d[1999:] }} "
		       "{{ (c[1:] + 'z')[1998:] }} {{ (d[1000:] + d[:1000])|length }}", NULL,
		       "xy xy1 xy2 xy1z 2002");
}

static void assert_clean(const struct jinja_limits *limits)
{
	struct rendering rendering = render_text(rich_template, rich_variables, limits);

	if (rendering.status)
		assert_int_equal(rendering.status, SC_E_TOO_LARGE);
	else
		assert_string_equal(rendering.output.text.data, rich_text);
	rendering_deinit(&rendering);
}

static void each_limit_ends_a_rendering_cleanly(void **state)
{
	struct jinja_limits limits = jinja_default_limits;

	(void)state;
	assert_renders(rich_template, rich_variables, rich_text);
	for (limits.max_steps = 0; limits.max_steps < 600; limits.max_steps++)
		assert_clean(&limits);
	limits = jinja_default_limits;
	for (limits.max_memory = 0; limits.max_memory < 30000; limits.max_memory += 48)
		assert_clean(&limits);
	limits = jinja_default_limits;
	for (limits.max_output = 0; limits.max_output < 700; limits.max_output++)
		assert_clean(&limits);
	limits = jinja_default_limits;
	for (limits.max_depth = 0; limits.max_depth < 40; limits.max_depth++)
		assert_clean(&limits);
}

static void depth_is_limited(void **state)
{
	(void)state;
	assert_is_limited("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "levels of nesting");
	assert_is_limited("{% set l = [] %}{% do l.append(l) %}{{ l }}", "levels of nesting");
	assert_is_limited("{% set l = [] %}{% do l.append(l) %}{{ l|tojson }}",
			  "levels of nesting");
	assert_is_limited("{% set l = [] %}{% do l.append(l) %}{{ l == [l] }}",
			  "levels of nesting");
	assert_is_limited("{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
			  "levels of nesting");
}

/* Chains are no nesting for the parser, but some of them are for the rendering. */
static void chains_do_not_exhaust_the_stack(void **state)
{
	enum { N_BYTES = 900 << 10 };
	static const char *const parts[][3] = {
		{ "{% filter e", "|e", "%}{% endfilter %}" }, { "{{ x", "|e", "}}" },
		{ "{{ x", ".x", "}}" }, { "{{ x", "+x", "}}" }, { "{{ x", " and x", "}}" },
		{ "{% if 0 %}", "{% elif 0 %}", "{% endif %}" }, { "{{ x", "~x", "}}" },
		{ "{{ 1", "<2", "}}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		char *source = malloc(64 + N_BYTES), *end;
		struct rendering rendering;

		assert_non_null(source);
		end = stpcpy(source, parts[i][0]);
		while (end < source + N_BYTES)
			end = stpcpy(end, parts[i][1]);
		stpcpy(end, parts[i][2]);
		rendering = render_text(source, "{\"x\": \"a\"}", NULL);
		assert_true(rendering.status == SC_OK || rendering.status == SC_E_TOO_LARGE);
		rendering_deinit(&rendering);
		free(source);
	}
}

/* The default depth fits into a small stack, and is enough for what templates do. */
static void the_default_depth_is_enough_for_recursive_macros(void **state)
{
	(void)state;
	assert_renders("{% macro m(n) %}{% if n %}{% for i in [1] %}{{ m(n - 1) }}{% endfor %}"
		       "{% else %}end{% endif %}{% endmacro %}{{ m(40) }}", NULL, "end");
	assert_fails("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", NULL, SC_E_TOO_LARGE,
		     "levels of nesting");
}

static void templates_cannot_be_nested_without_end(void **state)
{
	enum { N = 100000 };
	static const char *const openers[] = { "(", "[", "{", "not ", "-", "x[", "x(", "x if " };

	(void)state;
	for (size_t i = 0; i < sizeof openers / sizeof *openers; i++) {
		struct jinja_template *tmpl;
		struct error err;
		char *source = malloc(3 + N * strlen(openers[i])), *end = source;

		assert_non_null(source);
		end = stpcpy(end, "{{");
		for (int k = 0; k < N; k++)
			end = stpcpy(end, openers[i]);
		assert_int_not_equal(jinja_parse(source, (size_t)(end - source), &tmpl, &err),
				     SC_OK);
		assert_int_equal(strncmp(err.text, "line 1, column ", 15), 0);
		free(source);
	}
}

static void too_long_and_invalid_sources_are_refused(void **state)
{
	const size_t n = (1 << 20) + 1;
	char *source = calloc(n, 1);
	struct jinja_template *tmpl;
	struct error err;

	(void)state;
	assert_non_null(source);
	assert_int_equal(jinja_parse(source, n, &tmpl, &err), SC_E_TOO_LARGE);
	assert_int_equal(jinja_parse("a\xff", 2, &tmpl, &err), SC_E_FORMAT);
	free(source);
}

/* Each of these handles long texts or many items again and again, in a few hundred steps of the
 * template. */
static void long_values_count_by_their_length(void **state)
{
	static const struct jinja_limits limits = {
		.max_steps = 20000, .max_output = 8192, .max_memory = 1 << 20, .max_depth = 60,
	};
	static const char *const bodies[] = {
		"{% if a == b %}{% endif %}", "{% if d == e %}{% endif %}", "{% do d.get(k) %}",
		"{% do d.get(t) %}", "{% do {t: 1} %}", "{% if k in d %}{% endif %}",
		"{{ [k, k]|unique|first is none }}", "{{ u|truncate(3000, false, '', 0) }}",
		"{{ [x]|map(attribute=n)|first }}", "{{ ns|attr(t) }}", "{{ ns[t] }}",
		"{% do t.removeprefix(p) %}", "{% do t.removesuffix(q) %}", "{% do s|int %}",
		"{% do s|float %}", "{% do t.replace(t, '') %}", "{% if t is sameas p %}{% endif %}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		char source[1024];
		struct rendering rendering;

		snprintf(source, sizeof source,
			 "{%% set a = [0] * 400 %%}{%% set b = [0] * 400 %%}{%% set d = {} %%}"
			 "{%% set e = {} %%}{%% for i in range(200) %%}{%% do d.setdefault(i, 0) %%}"
			 "{%% do e.setdefault(i, 0) %%}{%% endfor %%}{%% set k = (1,) * 100 %%}"
			 "{%% set k = (k, k) %%}{%% set t = 'x' * 3000 %%}"
			 "{%% set u = ' ' ~ t ~ 'y' %%}{%% set n = '1' * 3000 %%}"
			 "{%% set p = t[1:] ~ 'y' %%}{%% set q = 'y' ~ t[1:] %%}"
			 "{%% set s = ' ' * 3000 %%}{%% set ns = namespace() %%}"
			 "{%% for i in range(300) %%}%s{%% endfor %%}", bodies[i]);
		rendering = render_text(source, "{\"x\": \"abcdefgh\"}", &limits);
		if (rendering.status != SC_E_TOO_LARGE || !strstr(rendering.err.text, "steps"))
			fail_msg("%s: status %d, %s", bodies[i], rendering.status,
				 rendering.status ? rendering.err.text : "");
		rendering_deinit(&rendering);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loops_end_at_the_limit_of_steps),
		cmocka_unit_test(long_values_count_by_their_length),
		cmocka_unit_test(output_and_memory_end_at_their_limits),
		cmocka_unit_test(a_text_of_many_pieces_needs_no_copies),
		cmocka_unit_test(pieces_do_not_change_the_text_that_they_follow),
		cmocka_unit_test(each_limit_ends_a_rendering_cleanly),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(chains_do_not_exhaust_the_stack),
		cmocka_unit_test(the_default_depth_is_enough_for_recursive_macros),
		cmocka_unit_test(templates_cannot_be_nested_without_end),
		cmocka_unit_test(too_long_and_invalid_sources_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
