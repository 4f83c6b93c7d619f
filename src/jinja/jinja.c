/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rendering from its beginning to its end.
 */
#include "jinja/jinja.h"

#include "jinja/ast.h"
#include "jinja/evaluate.h"

#include <string.h>

const struct jinja_limits jinja_default_limits = {
	.max_steps = 20 * 1000 * 1000,
	.max_output = 64 << 20,
	.max_memory = 256 << 20,
	.max_depth = 500,
};

void jinja_output_deinit(struct jinja_output *output)
{
	buf_deinit(&output->text);
	buf_deinit(&output->from_template);
}

/* --- variables --- */

static struct value from_json(struct render *r, const json_t *json, bool is_own);

static struct value object_from_json(struct render *r, const json_t *json, bool is_own)
{
	struct dict *dict = dict_create(r);
	const char *name;
	size_t n_name;
	json_t *member;

	/* The macro asks for a pointer to what can change, but changes nothing. */
	json_object_keylen_foreach((json_t *)json, name, n_name, member) {
		const struct str *key = str_borrow(r, name, n_name, is_own);

		if (!render_goes_on(r))
			break;
		dict_set(r, dict, value_string(key), from_json(r, member, is_own));
	}
	return value_dict(dict);
}

static struct value array_from_json(struct render *r, const json_t *json, bool is_own)
{
	const size_t n = json_array_size(json);
	struct array *array = array_create(r, n);

	for (size_t i = 0; i < n && render_goes_on(r); i++)
		array_add(r, array, from_json(r, json_array_get(json, i), is_own));
	return value_list(array);
}

static struct value from_json(struct render *r, const json_t *json, bool is_own)
{
	struct value value;

	if (!render_step(r, 1))
		return UNDEFINED;
	switch (json_typeof(json)) {
	case JSON_STRING:
		return value_string(str_borrow(r, json_string_value(json), json_string_length(json),
					       is_own));
	case JSON_INTEGER:
		return value_int(json_integer_value(json));
	case JSON_REAL:
		return value_float(json_real_value(json));
	case JSON_TRUE:
	case JSON_FALSE:
		return value_bool(json_is_true(json));
	case JSON_NULL:
		return NONE;
	default:
		if (!render_enter(r))
			return UNDEFINED;
		value = json_is_object(json) ? object_from_json(r, json, is_own) :
					       array_from_json(r, json, is_own);
		render_leave(r);
		return value;
	}
}

/* Variables that the template does not mention cost nothing. */
static void add_variables(struct render *r, const json_t *variables, bool is_own)
{
	const char *name;
	size_t n_name;
	json_t *member;

	json_object_keylen_foreach((json_t *)variables, name, n_name, member) {
		const struct str str = { .bytes = name, .n_bytes = n_name };
		const struct dict_entry *entry = dict_find(&r->tmpl->names, value_string(&str));

		if (entry)
			r->globals[entry->value.integer] = from_json(r, member, is_own);
	}
}

static void add_globals(struct render *r)
{
	const struct jinja_template *tmpl = r->tmpl;

	r->globals = render_alloc_array(r, tmpl->n_names, sizeof *r->globals);
	for (uint32_t i = 0; r->globals && i < tmpl->n_names; i++)
		r->globals[i] = !tmpl->globals[i] ? MISSING :
				(struct value){ .kind = VALUE_FUNCTION,
						.function = tmpl->globals[i] };
}

enum sc_status jinja_render(const struct jinja_template *tmpl, const json_t *variables,
			    const json_t *constants, int64_t now_unix,
			    const struct jinja_limits *limits, struct jinja_output *output,
			    struct error *err)
{
	struct error own_err;
	struct render r = {
		.tmpl = tmpl, .limits = limits, .output = output, .now_unix = now_unix,
		.err = err ? err : &own_err,
	};

	*output = (struct jinja_output){ .text = BUF_INIT, .from_template = BUF_INIT };
	arena_init(&r.arena, limits->max_memory);
	add_globals(&r);
	if (r.globals) {
		add_variables(&r, variables, false);
		add_variables(&r, constants, true);
	}
	if (render_goes_on(&r))
		execute(&r, tmpl->body);
	arena_deinit(&r.arena);
	if (r.status)
		jinja_output_deinit(output);
	return r.status;
}
