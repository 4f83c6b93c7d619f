/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chat template, with small limits. Input: the template. The variables are a conversation with
 * everything that one can have.
 */
#include "tests/fuzz/fuzz.h"

#include "jinja/jinja.h"

#include <stdlib.h>
#include <string.h>

enum { NOW = 1753318923 };

static const char conversation[] =
	"{\"messages\": [{\"role\": \"system\", \"content\": \"Be \\u00e9 \\\"kind\\\".\\n\"},"
	"{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \" a<|x|> b "
	"\\ud83d\\ude00\"}]},"
	"{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"id\": \"abc123def\","
	" \"type\": \"function\", \"function\": {\"name\": \"add\", \"arguments\": {\"a\": 1,"
	" \"b\": -2.5e10, \"items\": [true, null]}}}]},"
	"{\"role\": \"tool\", \"content\": \"3\\u0000\", \"tool_call_id\": \"abc123def\"}],"
	"\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"add\", \"parameters\":"
	" {\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}}}}}],"
	"\"add_generation_prompt\": true, \"n\": 3, \"s\": \"a,b,,c\", \"l\": [3, 1, 2]}";

static const struct jinja_limits limits = {
	.max_steps = 20000, .max_output = 16 << 10, .max_memory = 1 << 20, .max_depth = 80,
};

static void require(bool is_true)
{
	if (!is_true)
		abort();
}

static bool is_allowed(enum sc_status status)
{
	return status == SC_OK || status == SC_E_FORMAT || status == SC_E_INVALID ||
	       status == SC_E_TOO_LARGE;
}

static void render(const struct jinja_template *tmpl)
{
	static json_t *variables, *constants;
	struct jinja_output output;
	struct error err = { .status = SC_OK };
	enum sc_status status;

	if (!variables) {
		variables = json_loads(conversation, JSON_ALLOW_NUL, NULL);
		constants = json_pack("{s:s}", "bos_token", "<s>");
		require(variables && constants);
	}
	status = jinja_render(tmpl, variables, constants, NOW, &limits, &output, &err);
	require(is_allowed(status));
	if (status) {
		require(status == err.status);
		return;
	}
	require(output.text.length == output.from_template.length);
	require(output.text.length <= limits.max_output);
	for (size_t i = 0; i < output.from_template.length; i++)
		require((unsigned char)output.from_template.data[i] <= 1);
	/* What came out is text again: no half of a character. */
	if (output.text.length) {
		json_t *text = json_stringn(output.text.data, output.text.length);

		require(text);
		json_decref(text);
	}
	jinja_output_deinit(&output);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct jinja_template *tmpl;
	struct error err = { .status = SC_OK };
	enum sc_status status = jinja_parse((const char *)data, size, &tmpl, &err);

	require(is_allowed(status) && status != SC_E_INVALID);
	if (status) {
		require(status == err.status && err.text[0]);
		return 0;
	}
	render(tmpl);
	jinja_destroy(tmpl);
	return 0;
}

static const char *const seeds[] = {
	"{{ bos_token }}{% for m in messages %}{{ '<|' + m.role + '|>' }}\n{{ "
	"m['content'] | trim }}"
	"{%- if m.tool_calls is defined %}{% for c in m.tool_calls %}{{ c.function | "
	"tojson(indent=2) }}"
	"{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}x{% endif %}",
	"{%- set ns = namespace(a=0, s='') -%}{% for i in range(n) %}{% set ns.a = ns.a + i %}"
	"{% set ns.s = ns.s ~ i ~ loop.last %}{% if loop.index is even %}{% continue %}{% endif %}"
	"{{ loop.cycle('a', 'b') }}{{ loop.previtem }}{{ loop.revindex }}{% else %}-{% "
	"endfor %}{{ ns }}",
	"{% macro m(a, b='x', *c) %}{% endmacro %}",
	"{% macro m(a, b=1) %}{{ a }}{{ b }}{{ caller(a) }}{{ varargs }}{{ kwargs }}{% endmacro %}"
	"{% call(x) m('p', 2, 3, k=4) %}{{ x }}{% endcall %}{{ m is callable }}",
	"{% for t in l recursive %}{{ t }}{% if t > 1 %}{{ loop([t - 1]) }}{% endif %}{% endfor %}",
	"{{ s.split(',')[::-1] | join('|') }}{{ s[1:-1:2] }}{{ s.replace(',', '') | upper "
	"| title }}"
	"{{ s.rsplit(',', 1) }}{{ s.partition(',') }}{{ s.splitlines() }}{{ s.find('b') }}"
	"{{ s.strip('a').center(20, '.') }}{{ s.zfill(9) }}{{ s.expandtabs(2) }}",
	"{{ '%s %05.2f %-4d %x %r %%' % (s, n, 4, 255, l) }}{{ '{} {0!r:>9} {x[0]}"
	"'.format(s, x=l) }}",
	"{{ messages | selectattr('role', 'in', ['user']) | "
	"map(attribute='content.0.text') | list }}"
	"{{ messages | groupby('role') }}{{ l | sort(reverse=true) | unique | list }}{{ l | sum }}"
	"{{ l | batch(2, 0) | list }}{{ l | slice(2) | list }}{{ l | min }}{{ l | max }}"
	"{{ tools[0].function | dictsort | items if false else {'a': 1} | items | list }}",
	"{{ 1 + 2 * 3 ** 2 // 4 % 5 - 6 / 7 }}{{ 1 < 2 <= 3 != 4 }}{{ not n and 1 or l is "
	"not none }}"
	"{{ 'a' in s and 3 not in l }}{{ (1, 'x', none, true, 1.5, [], {}) }}{{ -n ** 2 | abs }}",
	"{% filter upper %}a{% endfilter %}{% with a = 1 %}{{ a }}{% endwith %}{% raw %}"
	"{{{% endraw %}"
	"{# c #}{%+ set a, b = 1, 2 +%}{% set x %}y{% endset %}{% generation %}z{% "
	"endgeneration %}",
	"{{ strftime_now('%Y-%m-%d %H:%M') }}{{ dict(a=1) }}{% set j = joiner() %}{{ j() }"
	"}{{ j() }}"
	"{% set c = cycler(1, 2) %}{{ c.next() }}{{ c.current }}{{ 2.675 | round(2) }}{{ "
	"'1_0' | int }}"
	"{{ s | indent(2, true) }}{{ s | wordcount }}{{ s | truncate(3) }}{{ s | urlencode | e }}",
	"{{ raise_exception('no ' ~ n) }}",
	"{{ x.y }}",
	"{% set l2 = [] %}{% do l2.append(l2) %}{% do l2.extend(l) %}{% do l2.insert(0, "
	"l2.pop()) %}"
	"{% set d = {} %}{% do d.update({'k': d}) %}{{ d.keys() }}{{ d.pop('k', 0) }}{{ l2 }}",
};

bool fuzz_seed(unsigned i, struct buf *seed)
{
	if (i >= sizeof seeds / sizeof *seeds)
		return false;
	require(!buf_add_string(seed, seeds[i]));
	return true;
}
