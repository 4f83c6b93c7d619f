/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes, items and slices.
 */
#include "jinja/codepoint.h"
#include "jinja/dict.h"
#include "jinja/evaluate.h"
#include "jinja/iterate.h"
#include "jinja/sequences.h"

static struct value no_member(struct value object, const struct str *name)
{
	return (struct value){ .kind = VALUE_UNDEFINED, .of = object.kind, .string = name };
}

static struct value bind(struct render *r, struct value object, const struct builtin *function)
{
	struct method *method = render_alloc(r, sizeof *method);

	if (!method)
		return UNDEFINED;
	*method = (struct method){ object, function };
	return (struct value){ .kind = VALUE_METHOD, .method = method };
}

/* Attributes that are no methods; MISSING: there is no such one. */
static struct value plain_attribute(struct render *r, struct value object, const struct str *name)
{
	struct dict_entry *entry;

	switch (object.kind) {
	case VALUE_NAMESPACE:
		entry = dict_find(object.dict, value_string(name));
		return entry ? entry->value : MISSING;
	case VALUE_LOOP:
		return loop_attribute(r, object.loop, name);
	case VALUE_MACRO:
		return str_is(name, "name") ? value_string(str_own(r, "macro")) : MISSING;
	case VALUE_CYCLER:
		if (str_is(name, "current"))
			return object.cycler->values[object.cycler->at];
		return MISSING;
	case VALUE_TUPLE:
		if (object.of == TUPLE_GROUP && str_is(name, "grouper"))
			return object.array->values[0];
		if (object.of == TUPLE_GROUP && str_is(name, "list"))
			return object.array->values[1];
		return MISSING;
	default:
		return MISSING;
	}
}

static struct value find_attribute(struct render *r, struct value object, const struct str *name)
{
	const struct builtin *method = method_find(object, name);

	return method ? bind(r, object, method) : plain_attribute(r, object, name);
}

struct value value_attribute(struct render *r, struct value object, const struct str *name)
{
	struct value value;

	if (object.kind == VALUE_UNDEFINED)
		return render_fail_undefined(r, object);
	render_count_bytes(r, name->n_bytes);
	value = find_attribute(r, object, name);
	if (is_given(value))
		return value;
	if (object.kind == VALUE_DICT) {
		const struct dict_entry *entry = dict_find(object.dict, value_string(name));

		if (entry)
			return entry->value;
	}
	return no_member(object, name);
}

/* i counts from the end if it is negative. False: there is no such item. */
static bool find_index(int64_t i, int64_t n, size_t *index_out)
{
	if (i < 0)
		i += n;
	*index_out = (size_t)i;
	return i >= 0 && i < n;
}

static struct value nth_char(struct render *r, const struct str *str, size_t i)
{
	size_t begin = i;

	if (str->n_chars != str->n_bytes) {
		render_count_bytes(r, str->n_bytes);
		begin = codepoint_skip(str->bytes, str->n_bytes, i);
	}
	return value_string(str_part(r, str, begin,
				     begin + codepoint_length((unsigned char)str->bytes[begin])));
}

/* MISSING: there is no such item. */
static struct value find_item(struct render *r, struct value object, struct value key)
{
	const struct dict_entry *entry;
	size_t i;

	switch (object.kind) {
	case VALUE_DICT:
		entry = dict_key_is_fine(r, key) ? dict_find(object.dict, key) : NULL;
		return entry ? entry->value : MISSING;
	case VALUE_STRING:
	case VALUE_LIST:
	case VALUE_TUPLE:
	case VALUE_RANGE:
		if (!is_integer(key) ||
		    !find_index(integer_of(key), value_length(r, object), &i))
			return MISSING;
		return object.kind == VALUE_STRING ? nth_char(r, object.string, i) :
						     value_item(object, i);
	default:
		return MISSING;
	}
}

struct value value_subscript(struct render *r, struct value object, struct value key)
{
	struct value value;

	if (object.kind == VALUE_UNDEFINED)
		return render_fail_undefined(r, object);
	value = find_item(r, object, key);
	if (is_given(value))
		return value;
	if (key.kind == VALUE_STRING) {
		render_count_bytes(r, key.string->n_bytes);
		value = find_attribute(r, object, key.string);
		return is_given(value) ? value : no_member(object, key.string);
	}
	return no_member(object, text_of(r, key));
}

/* --- slices --- */

struct bounds {
	int64_t begin, end, step;
};

static int64_t clip(int64_t i, int64_t n, int64_t step)
{
	if (i < 0)
		i += n;
	if (i < 0)
		return step < 0 ? -1 : 0;
	if (i >= n)
		return step < 0 ? n - 1 : n;
	return i;
}

/* As Python's slice.indices. */
static bool find_bounds(struct render *r, struct value begin, struct value end, struct value step,
			int64_t n, struct bounds *bounds)
{
	const struct value parts[] = { begin, end, step };

	for (int i = 0; i < 3; i++) {
		if (parts[i].kind == VALUE_NONE || is_integer(parts[i]))
			continue;
		render_fail(r, "slice indices must be integers or None");
		return false;
	}
	bounds->step = step.kind == VALUE_NONE ? 1 : integer_of(step);
	if (!bounds->step) {
		render_fail(r, "slice step cannot be zero");
		return false;
	}
	if (bounds->step < -INT64_MAX)
		bounds->step = -INT64_MAX;
	bounds->begin = begin.kind == VALUE_NONE ? (bounds->step < 0 ? n - 1 : 0) :
			clip(integer_of(begin), n, bounds->step);
	bounds->end = end.kind == VALUE_NONE ? (bounds->step < 0 ? -1 : n) :
		      clip(integer_of(end), n, bounds->step);
	return true;
}

static size_t count(const struct bounds *bounds)
{
	if (bounds->step > 0)
		return bounds->end <= bounds->begin ? 0 :
		       (size_t)((bounds->end - bounds->begin - 1) / bounds->step + 1);
	return bounds->begin <= bounds->end ? 0 :
	       (size_t)((bounds->begin - bounds->end - 1) / -bounds->step + 1);
}

static struct value slice_string(struct render *r, const struct str *str,
				 const struct bounds *bounds)
{
	const size_t n = count(bounds);
	size_t begin = text_begin(r), at, end, *places;

	render_count_bytes(r, str->n_bytes);
	if (bounds->step == 1) {
		at = codepoint_skip(str->bytes, str->n_bytes, (size_t)bounds->begin);
		end = at + codepoint_skip(str->bytes + at, str->n_bytes - at, n);
		return value_string(str_part(r, str, at, end));
	}
	places = render_alloc_array(r, str->n_chars + 1, sizeof *places);
	if (!places || !render_step(r, n))
		return UNDEFINED;
	at = 0;
	for (size_t i = 0; i < str->n_chars; i++) {
		places[i] = at;
		at += codepoint_length((unsigned char)str->bytes[at]);
	}
	places[str->n_chars] = at;
	for (size_t i = 0; i < n; i++) {
		size_t place = (size_t)(bounds->begin + (int64_t)i * bounds->step);

		text_add_part(r, str, places[place], places[place + 1]);
	}
	return value_string(text_end(r, begin));
}

static struct value slice_array(struct render *r, struct value object, const struct bounds *bounds)
{
	const size_t n = count(bounds);
	struct array *array = array_create(r, n);

	for (size_t i = 0; i < n && render_step(r, 1); i++)
		array_add(r, array, value_item(object, (size_t)(bounds->begin +
								(int64_t)i * bounds->step)));
	return object.kind == VALUE_TUPLE ? value_tuple(array) : value_list(array);
}

struct value value_slice(struct render *r, struct value object, struct value begin,
			 struct value end, struct value step)
{
	struct bounds bounds;

	if (object.kind == VALUE_UNDEFINED)
		return render_fail_undefined(r, object);
	if (object.kind == VALUE_DICT)
		return render_fail(r, "unhashable type: 'slice'");
	if (object.kind != VALUE_STRING && object.kind != VALUE_LIST &&
	    object.kind != VALUE_TUPLE && object.kind != VALUE_RANGE)
		return render_fail(r, "'%s' object is not subscriptable", value_type(object));
	if (!find_bounds(r, begin, end, step, value_length(r, object), &bounds))
		return UNDEFINED;
	if (object.kind == VALUE_STRING)
		return slice_string(r, object.string, &bounds);
	return slice_array(r, object, &bounds);
}
