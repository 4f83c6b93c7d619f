/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/render.h"

#include "base/utf8.h"
#include "jinja/ast.h"
#include "jinja/codepoint.h"
#include "jinja/dict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	STEP_BYTES = 32,	/* bytes whose handling counts as a step */
	STEP_CHARS = 4,
	FIRST_VALUES = 4,
	TAIL_MIN = 1024,	/* bytes of a string that gets a tail */
};

const struct str str_empty = { .bytes = "", .is_own = true };

/* --- failures and limits --- */

static void fail_status(struct render *r, enum sc_status status, const char *text)
{
	if (r->status)
		return;
	r->status = error_set(r->err, status, "%s", text);
}

struct value render_fail(struct render *r, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	fail_status(r, SC_E_FORMAT, text);
	return UNDEFINED;
}

struct value render_fail_undefined(struct render *r, struct value value)
{
	const struct str *name = value.string ? value.string : &str_empty;
	const int n = str_shown(name);

	if (value.of == OF_NOTHING)
		return render_fail(r, "'%.*s' is undefined", n, name->bytes);
	return render_fail(r, "'%s object' has no attribute '%.*s'",
			   value.of == VALUE_NONE ? "None" : value_kind_type(value.of), n,
			   name->bytes);
}

void render_place(struct render *r, const struct node *node)
{
	if (!r->status || r->is_placed)
		return;
	error_prefix(r->err, "line %u, column %u", node->line, node->column);
	r->is_placed = true;
}

void render_raise(struct render *r, const struct str *text)
{
	if (r->status)
		return;
	r->is_placed = true;
	r->status = error_set(r->err, SC_E_INVALID, "%.*s",
			      codepoint_fit(text->bytes, text->n_bytes, ERROR_TEXT_MAX),
			      text->bytes);
}

static bool fail_limit(struct render *r, const char *what, unsigned long long limit)
{
	char text[ERROR_TEXT_MAX];

	snprintf(text, sizeof text, "the template needs more than %llu %s", limit, what);
	fail_status(r, SC_E_TOO_LARGE, text);
	return false;
}

bool render_step(struct render *r, uint64_t n_steps)
{
	if (r->status)
		return false;
	if (n_steps > r->limits->max_steps - r->n_steps)
		return fail_limit(r, "steps", r->limits->max_steps);
	r->n_steps += n_steps;
	return true;
}

bool render_count_bytes(struct render *r, size_t n_bytes)
{
	return render_step(r, n_bytes / STEP_BYTES);
}

bool render_count_chars(struct render *r, size_t n_bytes)
{
	return render_step(r, n_bytes / STEP_CHARS);
}

bool render_enter(struct render *r)
{
	if (r->status)
		return false;
	if (r->depth >= r->limits->max_depth)
		return fail_limit(r, "levels of nesting", r->limits->max_depth);
	r->depth++;
	return true;
}

void *render_alloc(struct render *r, size_t n_bytes)
{
	void *memory;

	if (r->status)
		return NULL;
	memory = arena_alloc(&r->arena, n_bytes);
	if (!memory && r->arena.is_full)
		fail_limit(r, "bytes of memory", r->limits->max_memory);
	else if (!memory)
		fail_status(r, SC_E_NOMEM, "no memory for the rendering");
	return memory;
}

void *render_alloc_array(struct render *r, size_t n, size_t bytes_each)
{
	size_t n_bytes;

	if (__builtin_mul_overflow(n, bytes_each, &n_bytes))
		n_bytes = SIZE_MAX;
	return render_alloc(r, n_bytes);
}

/* --- text --- */

void text_add(struct render *r, const char *bytes, size_t n_bytes, bool is_own)
{
	struct jinja_output *output = r->output;

	if (!n_bytes || !render_step(r, 1 + n_bytes / STEP_BYTES))
		return;
	if (n_bytes > r->limits->max_output - output->text.length) {
		fail_limit(r, "bytes of output", r->limits->max_output);
		return;
	}
	if (buf_reserve(&output->from_template, n_bytes) ||
	    buf_add(&output->text, bytes, n_bytes)) {
		fail_status(r, SC_E_NOMEM, "no memory for the rendering");
		return;
	}
	memset(output->from_template.data + output->from_template.length, is_own, n_bytes);
	output->from_template.length += n_bytes;
	output->from_template.data[output->from_template.length] = '\0';
}

void text_add_own(struct render *r, const char *string)
{
	text_add(r, string, strlen(string), true);
}

void text_add_foreign(struct render *r, const char *string)
{
	text_add(r, string, strlen(string), false);
}

void text_add_char(struct render *r, uint32_t codepoint, bool is_own)
{
	char bytes[UTF8_MAX_BYTES];

	text_add(r, bytes, codepoint_write(codepoint, bytes), is_own);
}

void text_add_part(struct render *r, const struct str *str, size_t begin, size_t end)
{
	size_t at = r->output->text.length;

	text_add(r, str->bytes + begin, end - begin, str->is_own);
	if (str->origins && render_goes_on(r))
		memcpy(r->output->from_template.data + at, str->origins + begin, end - begin);
}

void text_add_str(struct render *r, const struct str *str)
{
	text_add_part(r, str, 0, str->n_bytes);
}

void text_drop(struct render *r, size_t begin)
{
	buf_truncate(&r->output->text, begin);
	buf_truncate(&r->output->from_template, begin);
}

const struct str *text_end(struct render *r, size_t begin)
{
	size_t n_bytes = r->output->text.length - begin;
	const char *text = r->output->text.data + begin;
	const char *origins = r->output->from_template.data + begin;
	bool is_mixed = n_bytes > 1 && memcmp(origins, origins + 1, n_bytes - 1);
	struct str *str = render_alloc(r, sizeof *str + n_bytes * (is_mixed ? 2 : 1));

	if (!str) {
		text_drop(r, begin);
		return &str_empty;
	}
	str->bytes = memcpy(str + 1, text, n_bytes);
	if (is_mixed)
		str->origins = memcpy((char *)(str + 1) + n_bytes, origins, n_bytes);
	str->n_bytes = n_bytes;
	str->n_chars = codepoint_count(text, n_bytes);
	str->is_own = !n_bytes || *origins;
	text_drop(r, begin);
	return str;
}

/* --- strings --- */

const struct str *str_borrow(struct render *r, const char *bytes, size_t n_bytes, bool is_own)
{
	struct str *str = render_alloc(r, sizeof *str);

	if (!str || !render_count_bytes(r, n_bytes))
		return &str_empty;
	*str = (struct str){ .bytes = bytes, .n_bytes = n_bytes, .is_own = is_own,
			     .n_chars = codepoint_count(bytes, n_bytes) };
	return str;
}

const struct str *str_part(struct render *r, const struct str *str, size_t begin, size_t end)
{
	struct str *part;

	if (begin == 0 && end == str->n_bytes)
		return str;
	part = render_alloc(r, sizeof *part);
	if (!part || !render_count_bytes(r, end - begin))
		return &str_empty;
	*part = *str;
	part->bytes += begin;
	part->n_bytes = end - begin;
	part->n_chars = str->n_chars == str->n_bytes ? part->n_bytes :
			codepoint_count(part->bytes, part->n_bytes);
	if (part->origins)
		part->origins += begin;
	return part;
}

/* --- strings that grow --- */

static void write_tail(struct tail *tail, const struct str *str)
{
	memcpy(tail->bytes + tail->n_used, str->bytes, str->n_bytes);
	if (str->origins)
		memcpy(tail->origins + tail->n_used, str->origins, str->n_bytes);
	else
		memset(tail->origins + tail->n_used, str->is_own, str->n_bytes);
	tail->n_used += str->n_bytes;
}

static bool has_room(const struct str *str, size_t n_bytes)
{
	const struct tail *tail = str->tail;

	return tail && str->bytes + str->n_bytes == tail->bytes + tail->n_used &&
	       n_bytes <= tail->capacity - tail->n_used;
}

/* str at the beginning of a new tail with room for n_bytes more, and for as much again. */
static struct tail *make_tail(struct render *r, const struct str *str, size_t n_bytes)
{
	const size_t capacity = 2 * (str->n_bytes + n_bytes);
	struct tail *tail = render_alloc(r, sizeof *tail);

	if (!tail || !render_count_bytes(r, str->n_bytes))
		return NULL;
	tail->bytes = render_alloc(r, capacity);
	tail->origins = render_alloc(r, capacity);
	tail->capacity = capacity;
	if (!tail->bytes || !tail->origins)
		return NULL;
	write_tail(tail, str);
	return tail;
}

static const struct str *joined_in_tail(struct render *r, const struct str *a, const struct str *b)
{
	const bool is_in_place = has_room(a, b->n_bytes);
	struct tail *tail = is_in_place ? a->tail : make_tail(r, a, b->n_bytes);
	struct str *sum = tail ? render_alloc(r, sizeof *sum) : NULL;

	if (!sum || !render_count_bytes(r, b->n_bytes))
		return &str_empty;
	write_tail(tail, b);
	*sum = (struct str){
		.bytes = is_in_place ? a->bytes : tail->bytes,
		.n_bytes = a->n_bytes + b->n_bytes, .n_chars = a->n_chars + b->n_chars,
		.tail = tail,
	};
	sum->origins = tail->origins + (sum->bytes - tail->bytes);
	return sum;
}

const struct str *str_joined(struct render *r, const struct str *a, const struct str *b)
{
	size_t begin = text_begin(r);

	if (!b->n_bytes && !a->is_safe)
		return a;
	if (a->n_bytes >= TAIL_MIN && a->n_bytes >= b->n_bytes)
		return joined_in_tail(r, a, b);
	text_add_str(r, a);
	text_add_str(r, b);
	return text_end(r, begin);
}

/* --- short ways --- */

const struct str *str_unsafe(struct render *r, const struct str *str)
{
	struct str *copy = render_alloc(r, sizeof *copy);

	if (!copy)
		return &str_empty;
	*copy = *str;
	copy->is_safe = false;
	return copy;
}

const struct str *str_own(struct render *r, const char *string)
{
	size_t begin = text_begin(r);

	text_add_own(r, string);
	return text_end(r, begin);
}

/* --- arrays and dicts --- */

struct array *array_create(struct render *r, size_t capacity)
{
	struct array *array = render_alloc(r, sizeof *array);

	/* After a failure nothing is added to an array any more: all can be this one. */
	static struct array none;

	if (!array)
		return &none;
	if (capacity)
		array->values = render_alloc_array(r, capacity, sizeof *array->values);
	array->capacity = array->values ? capacity : 0;
	return array;
}

void array_add(struct render *r, struct array *array, struct value value)
{
	if (!render_goes_on(r))
		return;
	if (array->n == array->capacity) {
		size_t capacity = array->capacity ? 2 * array->capacity : FIRST_VALUES;
		struct value *values = render_alloc_array(r, capacity, sizeof *values);

		if (!values)
			return;
		if (array->n)
			memcpy(values, array->values, array->n * sizeof *values);
		array->values = values;
		array->capacity = capacity;
	}
	array->values[array->n++] = value;
}

struct dict *dict_create(struct render *r)
{
	static struct dict none;
	struct dict *dict = render_alloc(r, sizeof *dict);

	return dict ? dict : &none;
}

/* Tuples can share their items: such a key can have many more nodes than memory has. */
static bool count_key(struct render *r, struct value key, unsigned depth)
{
	if (key.kind == VALUE_STRING)
		return render_count_bytes(r, key.string->n_bytes);
	if (key.kind != VALUE_TUPLE || depth == TUPLES_MAX)
		return render_goes_on(r);
	for (size_t i = 0; i < key.array->n && render_step(r, 1); i++)
		count_key(r, key.array->values[i], depth + 1);
	return render_goes_on(r);
}

bool dict_key_is_fine(struct render *r, struct value key)
{
	return count_key(r, key, 0) && dict_can_have(key);
}

void dict_set(struct render *r, struct dict *dict, struct value key, struct value value)
{
	if (!render_step(r, 1))
		return;
	if (!dict_key_is_fine(r, key)) {
		render_fail(r, "unhashable type: '%s'", value_type(key));
		return;
	}
	if (dict_put(dict, &r->arena, key, value))
		return;
	if (r->arena.is_full)
		fail_limit(r, "bytes of memory", r->limits->max_memory);
	else
		fail_status(r, SC_E_NOMEM, "no memory for the rendering");
}

struct value value_pair(struct render *r, struct value first, struct value second)
{
	struct array *pair = array_create(r, 2);

	array_add(r, pair, first);
	array_add(r, pair, second);
	return value_tuple(pair);
}
