/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The language. Expected texts are those of jinja2 3.1.
 */
#include "tests/jinja/rendering.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void white_space_goes_as_with_trim_and_lstrip_blocks(void **state)
{
	(void)state;
	assert_renders("a\n  {% if true %}\n  b\n  {% endif %}\nc\n", NULL, "a\n  b\nc");
	assert_renders("a\n  {{ 1 }}\n b", NULL, "a\n  1\n b");
	assert_renders("a \n {%- if true -%} \n b {%- endif %} c", NULL, "ab c");
	assert_renders("  {%+ if true +%}\n b{% endif %}", NULL, "  \n b");
	assert_renders(" {# c #}\n d", NULL, " d");
	assert_renders("x {# c #}\n d", NULL, "x  d");
	assert_renders("a {{- 1 -}} b", NULL, "a1b");
	assert_renders("{% raw %} {{ x }} {% endraw %}\n.", NULL, " {{ x }} .");
	assert_renders("a\r\nb\rc\n\n", NULL, "a\nb\nc\n");
	assert_renders("{{ {'a': {'b': 1}}}}", NULL, "{'a': {'b': 1}}");
}

static void operators_bind_as_in_jinja2(void **state)
{
	(void)state;
	assert_renders("{{ 1 + 2 * 3 ** 2 // 4 % 3 - -1 }}", NULL, "3");
	assert_renders("{{ 2 ** 3 ** 2 }} {{ 7 / 2 }} {{ -7 // 2 }} {{ -7 % 3 }}", NULL,
		       "64 3.5 -4 2");
	assert_renders("{{ 2 ** 53 + 1 == 2.0 ** 53 }} {{ 2.0 ** 53 < 2 ** 53 + 1 }} "
		       "{{ 2 ** 62 > 1e300 }} {{ {2: 'a'}[2.0] }} {{ 1 == 1.5 }}", NULL,
		       "False True False a False");
	assert_fails("{{ 9223372036854775807|round(-1) }}", NULL, SC_E_FORMAT, "64 bits");
	assert_renders("{{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ 1 in [1] }} {{ 'b' not in 'abc' }}",
		       NULL, "True False True False");
	assert_renders("{{ not 1 == 2 and 0 or 'x' }}", NULL, "x");
	assert_renders("{{ 'a' if false }}|{{ 'a' if 0 else 'b' if 0 else 'c' }}", NULL, "|c");
	assert_renders("{{ 'a' ~ 1 ~ none ~ 1.0 ~ [1] }}", NULL, "a1None1.0[1]");
	assert_renders("{{ -1|abs }} {{ (-1)|abs }}", NULL, "1 1");
	assert_renders("{{ x is defined and x.y is not none }}", "{\"x\": {\"y\": 1}}", "True");
	assert_renders("{{ 4 is divisibleby 2 }} {{ 3 is odd }} {{ 'a' is in ['a'] }}", NULL,
		       "True True True");
}

static void slices_and_indexes_are_pythons(void **state)
{
	(void)state;
	assert_renders("{{ [1,2,3][::-1] }} {{ [1,2,3][-1] }} {{ 'h\u00e9llo'[1:-1] }} "
		       "{{ 'abc'[::-2] }}", NULL, "[3, 2, 1] 3 \u00e9ll ca");
	assert_renders("{{ x.0.1 }} {{ x[0][5] is defined }} {{ (1, 2)[:1] }}", "{\"x\": [[1, 2]]}",
		       "2 False (1,)");
	assert_renders("{{ 'abc'.5 is undefined }} {{ {'a': 1}['b'] }}.", NULL, "True .");
}

static void loops_know_where_they_are(void **state)
{
	(void)state;
	assert_renders("{% for x in 'abc' %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}"
		       "{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}", NULL,
		       "103TrueFalse3 212FalseFalse3 321FalseTrue3 ");
	assert_renders("{% for x in [1,2,2,3] %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }}"
		       "{{ loop.changed(x) }}{{ loop.cycle('a', 'b') }} {% endfor %}", NULL,
		       "<1>2Truea 1<2>2Trueb 2<2>3Falsea 2<3>Trueb ");
	assert_renders("{% for x in [] %}a{% else %}b{% endfor %}{% for k, v in {'a': 1}.items() %}"
		       "{{ k }}{{ v }}{% endfor %}", NULL, "ba1");
	assert_renders("{% for x in range(9) if x % 2 %}{% if x == 7 %}{% break %}{% endif %}"
		       "{% if x == 3 %}{% continue %}{% endif %}{{ x }}{% endfor %}", NULL, "15");
	assert_renders("{% for t in x recursive %}{{ t.n }}({{ loop(t.c) }}){{ loop.depth }}"
		       "{% endfor %}", "{\"x\": [{\"n\": 1, \"c\": [{\"n\": 2, \"c\": []}]}]}",
		       "1(2()2)1");
	assert_renders("{% for i in [1, 2] %}{{ i }}{% continue %}{% else %}e{% endfor %}", NULL,
		       "12e");
	assert_renders("{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}"
		       "{{ x }}", NULL, "231");
	assert_renders("{% set ns = namespace(f=false) %}{% for i in [1, 2] if not ns.f %}"
		       "{% set ns.f = true %}{{ i }}{% endfor %}", NULL, "1");
}

static void macros_take_defaults_names_and_callers(void **state)
{
	(void)state;
	assert_renders("{% macro m(a, b='x') %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}"
		       "{{ m(b=2, a=3) }}", NULL, "1x32");
	assert_renders("{% macro m(t) %}<{{ caller(t) }}>{% endmacro %}"
		       "{% call(x) m('a') %}{{ x }}!{% endcall %}", NULL, "<a!>");
	assert_renders("{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, k=2) }}",
		       NULL, "(1,){'k': 2}");
	assert_renders("{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}"
		       "{{ f(3) }}", NULL, "3210");
	assert_fails("{% macro m() %}{% endmacro %}{% call m() %}{% endcall %}", NULL, SC_E_FORMAT,
		     "no such keyword argument");
	assert_renders("{{ range(-3) }}{{ range(1, 6, 2)|list }}", NULL, "range(0, -3)[1, 3, 5]");
	assert_fails("{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", NULL, SC_E_FORMAT,
		     "takes not more than 1 argument");
}

static void blocks_set_filter_and_shield(void **state)
{
	(void)state;
	assert_renders("{% set x | upper %}a{{ 1 }}{% endset %}{{ x }}", NULL, "A1");
	assert_renders("{% filter upper %}ab{% endfilter %}{% with a = 1, b = 2 %}{{ a + b }}"
		       "{% endwith %}{{ a }}", NULL, "AB3");
	assert_renders("{% generation %}x{% set y = 1 %}{% endgeneration %}{{ y is defined }}",
		       NULL, "xFalse");
	assert_renders("{% set a, b = 1, 'x' %}{{ a }}{{ b }}", NULL, "1x");
}

/* `.items` is the method, as in jinja2; ["items"] is the key. */
static void methods_shadow_keys_behind_a_dot(void **state)
{
	(void)state;
	assert_renders("{{ d['items'] }}{{ d.items()|list|length }}{{ d.x }}",
		       "{\"d\": {\"items\": 7, \"x\": 5}}", "725");
}

static void json_is_pythons(void **state)
{
	(void)state;
	assert_renders("{{ x|tojson }}",
		       "{\"x\": {\"b\": [1, 2.0, null, true], \"a\": \"\u00e9<'\\n\"}}",
		       "{\"b\": [1, 2.0, null, true], \"a\": \"\u00e9<'\\n\"}");
	assert_renders("{{ x|tojson(indent=2, sort_keys=true, ensure_ascii=true) }}",
		       "{\"x\": {\"b\": [], \"a\": [\"\u00e9\U0001F600\"]}}",
		       "{\n  \"a\": [\n    \"\\u00e9\\ud83d\\ude00\"\n  ],\n  \"b\": []\n}");
	assert_renders("{{ [1, {'a': 2}]|tojson(separators=(',', ':')) }}", NULL, "[1,{\"a\":2}]");
}

static void numbers_print_as_in_python(void **state)
{
	(void)state;
	assert_renders("{{ 0.1 + 0.2 }} {{ 1e16 }} {{ 1e15 }} {{ 1e-5 }} {{ 0.0001 }} {{ 100.0 }}",
		       NULL, "0.30000000000000004 1e+16 1000000000000000.0 1e-05 0.0001 100.0");
	assert_renders("{{ 5 / 2 }} {{ 2.5|round }} {{ 3.14159|round(2) }} {{ '3.7'|int }}", NULL,
		       "2.5 2.0 3.14 3");
	assert_fails("{{ 9223372036854775807 + 1 }}", NULL, SC_E_FORMAT, "64 bits");
	assert_fails("{{ 9223372036854775808 }}", NULL, SC_E_FORMAT, "64 bits");
}

static void undefined_prints_nothing_and_has_no_members(void **state)
{
	(void)state;
	assert_renders("[{{ x }}{{ x.y if x }}{{ x|default('d') }}{{ x|length }}]", NULL, "[d0]");
	assert_fails("a\n {{ x.y }}", NULL, SC_E_FORMAT, "line 2, column 7: 'x' is undefined");
	assert_fails("{{ x.y.z }}", "{\"x\": {}}", SC_E_FORMAT,
		     "'dict object' has no attribute 'y'");
	assert_fails("{{ x + 1 }}", NULL, SC_E_FORMAT, "'x' is undefined");
	assert_fails("{{ n[1:] }}", "{\"n\": 1}", SC_E_FORMAT, "'int' object is not subscriptable");
}

static void filters_work_on_sequences(void **state)
{
	static const char variables[] = "{\"m\": [{\"r\": \"u\", \"n\": 2},"
					" {\"r\": \"a\", \"n\": 1}, {\"r\": \"u\", \"n\": 3}]}";

	(void)state;
	assert_renders("{{ m|selectattr('r', 'equalto', 'u')|map(attribute='n')|list }}"
		       "{{ m|rejectattr('n', 'gt', 1)|list|length }}{{ m|sum(attribute='n') }}",
		       variables, "[2, 3]16");
	assert_renders("{{ m|sort(attribute='n')|map(attribute='r')|join('-') }} "
		       "{{ m|map(attribute='r')|unique|list }} {{ (m|last).n }}", variables,
		       "a-u-u ['u', 'a'] 3");
	assert_renders("{% for k, g in m|groupby('r') %}{{ k }}{{ g|length }}{% endfor %}"
		       "{{ {'b': 1, 'a': 2}|dictsort }}{{ [1,2,3]|batch(2)|list }}", variables,
		       "a1u2[('a', 2), ('b', 1)][[1, 2], [3]]");
	assert_renders("{% set l = ['a', 'c', 'A', 'b'] %}{{ l|max }}"
		       "{{ l|max(case_sensitive=true) }}{{ 'a' < 'c' }}{{ 'c' is gt 'a' }}", NULL,
		       "ccTrueTrue");
	assert_renders("{{ [none, none]|sort }}{{ 'Stra\u00dfe \ufb01'.casefold() }}"
		       "{{ '\u00dfx'|upper }}{{ ['b', 'A']|sort }}", NULL,
		       "[None, None]strasse fiSSX['A', 'b']");
	assert_renders("{{ none|selectattr('a')|list }}{{ x|map('upper')|list }}", NULL, "[][]");
}

static void strings_have_pythons_methods(void **state)
{
	(void)state;
	assert_renders("{{ ' a '.strip() }}{{ 'xxaxx'.strip('x') }}{{ 'a,b,c'.split(',', 1) }}"
		       "{{ ' a  b '.split() }}{{ 'a,b,c'.rsplit(',', 1)[0] }}", NULL,
		       "aa['a', 'b,c']['a', 'b']a,b");
	assert_renders("{{ 'abc'.startswith(('x', 'a')) }}{{ 'Abc'.title() }}{{ 'abc'.find('c') }}"
		       "{{ '%05.1f|%-4s|%x' % (3.14159, 'a', 255) }}", NULL,
		       "TrueAbc2003.1|a   |ff");
	assert_renders("{{ '{} {x!r:>5} {0[1]}'.format('ab', x='q') }}", NULL, "ab   'q' b");
	assert_renders("{{ \"it's\" }}{{ [\"it's\", 'a\"b', '\\n\\u00e9'] }}", NULL,
		       "it's[\"it's\", 'a\"b', '\\n\u00e9']");
}

static void failures_say_where(void **state)
{
	(void)state;
	assert_fails("a\n{% if x %}", NULL, SC_E_FORMAT, "line 2, column 11: the template ends");
	assert_fails("{{ a b }}", NULL, SC_E_FORMAT, "line 1, column 6: ");
	assert_fails("{% nonsense %}", NULL, SC_E_FORMAT, "unknown tag 'nonsense'");
	assert_fails("{% include 'x' %}", NULL, SC_E_FORMAT, "another template");
	assert_fails("{% break %}", NULL, SC_E_FORMAT, "outside of a loop");
	assert_fails("{{ 1|nonsense }}", NULL, SC_E_FORMAT, "no filter 'nonsense'");
	assert_fails("{{ raise_exception('No ' + 'way') }}", NULL, SC_E_INVALID, "No way");
}

/* A message that is cut must not end inside of a character. */
static void failures_show_whole_characters(void **state)
{
	char source[300], *end = stpcpy(source, "{{ d['");
	struct rendering rendering;
	json_t *text;

	(void)state;
	for (int i = 0; i < 60; i++)
		end = stpcpy(end, "\u4e2d");
	stpcpy(end, "'].x }}");
	rendering = render_text(source, "{\"d\": {}}", NULL);
	assert_int_equal(rendering.status, SC_E_FORMAT);
	assert_non_null(strstr(rendering.err.text, "has no attribute '\u4e2d"));
	text = json_string(rendering.err.text);
	assert_non_null(text);
	json_decref(text);
}

static void the_time_is_utc(void **state)
{
	(void)state;
	assert_renders("{{ strftime_now('%d %b %Y %H:%M:%S %A %-d %% %j %f%z') }}", NULL,
		       "24 Jul 2025 01:02:03 Thursday 24 % 205 000000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(white_space_goes_as_with_trim_and_lstrip_blocks),
		cmocka_unit_test(operators_bind_as_in_jinja2),
		cmocka_unit_test(slices_and_indexes_are_pythons),
		cmocka_unit_test(loops_know_where_they_are),
		cmocka_unit_test(macros_take_defaults_names_and_callers),
		cmocka_unit_test(blocks_set_filter_and_shield),
		cmocka_unit_test(methods_shadow_keys_behind_a_dot),
		cmocka_unit_test(json_is_pythons),
		cmocka_unit_test(numbers_print_as_in_python),
		cmocka_unit_test(undefined_prints_nothing_and_has_no_members),
		cmocka_unit_test(filters_work_on_sequences),
		cmocka_unit_test(strings_have_pythons_methods),
		cmocka_unit_test(failures_say_where),
		cmocka_unit_test(failures_show_whole_characters),
		cmocka_unit_test(the_time_is_utc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
