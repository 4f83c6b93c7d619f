/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/jinja/rendering.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { NOW = 1753318923 };	/* 2025-07-24 01:02:03 UTC, a Thursday */

const char rich_template[] =
	"{% macro m(a, b=[1, 2]) %}{{ a|upper }}{{ b[::-1] }}{{ caller(a) }}{% endmacro %}"
	"{% set ns = namespace(n=0, t='') %}"
	"{% for k, v in d|dictsort if v %}{% set ns.n = ns.n + v %}{% set ns.t = ns.t ~ k * 300 %}"
	"{{ loop.index }}{{ loop.last }}{{ '%s-%03d' % (k, v) }}{% else %}none{% endfor %}"
	"{% call(x) m('p') %}{{ x.replace('p', 'q').split('q')|tojson }}{% endcall %}"
	"{% set b %}{{ d|tojson(indent=1)|length }}{{ ns.t|length }}{% endset %}{{ b|trim }}"
	"{{ l|sort|unique|map('string')|join(',') }}{{ '{:>3}'.format(ns.n) }}"
	"{{ l|groupby('x')|length if false else l|batch(2)|list }}{{ undefined_one|default('u') }}";
const char rich_variables[] = "{\"d\": {\"b\": 2, \"a\": 1, \"z\": 0}, \"l\": [3, 1, 3]}";
const char rich_text[] = "1Falsea-0012Trueb-002P[2, 1][\"\", \"\"]296001,3  3[[3, 1], [3]]u";

struct rendering render_text(const char *source, const char *variables,
			     const struct jinja_limits *limits)
{
	struct rendering rendering = { .status = SC_OK };
	json_t *constants = json_pack("{s:s, s:s}", "bos_token", "<s>", "eos_token", "</s>");
	json_t *json = json_loads(variables ? variables : "{}", JSON_ALLOW_NUL, NULL);
	struct jinja_template *tmpl = NULL;

	assert_non_null(json);
	rendering.status = jinja_parse(source, strlen(source), &tmpl, &rendering.err);
	if (!rendering.status)
		rendering.status = jinja_render(tmpl, json, constants, NOW,
						limits ? limits : &jinja_default_limits,
						&rendering.output, &rendering.err);
	jinja_destroy(tmpl);
	json_decref(json);
	json_decref(constants);
	return rendering;
}

void rendering_deinit(struct rendering *rendering)
{
	if (!rendering->status)
		jinja_output_deinit(&rendering->output);
}

void assert_renders(const char *source, const char *variables, const char *text)
{
	struct rendering rendering = render_text(source, variables, NULL);

	if (rendering.status)
		fail_msg("%s: %s", source, rendering.err.text);
	if (strcmp(rendering.output.text.data, text) != 0)
		fail_msg("%s: expected \"%s\", got \"%s\"", source, text,
			 rendering.output.text.data);
	assert_int_equal(rendering.output.text.length, rendering.output.from_template.length);
	rendering_deinit(&rendering);
}

void assert_fails(const char *source, const char *variables, enum sc_status status,
		  const char *message)
{
	struct rendering rendering = render_text(source, variables, NULL);

	if (!rendering.status)
		fail_msg("%s: rendered \"%s\"", source, rendering.output.text.data);
	if (rendering.status != status || !strstr(rendering.err.text, message))
		fail_msg("%s: expected status %d and \"%s\", got %d and \"%s\"", source, status,
			 message, rendering.status, rendering.err.text);
}
