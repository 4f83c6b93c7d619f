/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_VALUE_H
#define STAGECOACH_JINJA_VALUE_H
/*
 * value - what expressions of a template yield: Python's objects, as far as templates see them.
 * Values live in an arena, and nothing frees one alone. Numbers and truth are held by value;
 * everything else is a pointer, so that two names can mean one list.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct array;
struct arguments;
struct builtin;
struct cycler;
struct dict;
struct joiner;
struct loop;
struct macro;
struct method;
struct range;
struct render;
struct str;

enum value_kind {
	VALUE_UNDEFINED,
	VALUE_NONE,
	VALUE_BOOL,
	VALUE_INT,
	VALUE_FLOAT,
	VALUE_STRING,
	VALUE_LIST,
	VALUE_TUPLE,
	VALUE_DICT,
	VALUE_VIEW,		/* of a dict: its keys, values or items */
	VALUE_RANGE,
	VALUE_GENERATOR,	/* can be walked through once */
	VALUE_NAMESPACE,
	VALUE_LOOP,		/* the variable `loop` */
	VALUE_MACRO,
	VALUE_FUNCTION,
	VALUE_METHOD,		/* a function with its object */
	VALUE_CYCLER,
	VALUE_JOINER,
	VALUE_MISSING,		/* an argument that was not given; templates never see it */
};

enum { VIEW_KEYS, VIEW_VALUES, VIEW_ITEMS };
enum { OF_NOTHING = 0xff };
enum { TUPLE_PLAIN, TUPLE_GROUP };	/* of groupby: has the attributes grouper and list */

struct value {
	uint8_t kind;
	uint8_t of;	/* VIEW: which. TUPLE: which. UNDEFINED: the kind of the object that has no
			 * such member, or OF_NOTHING: there is no such variable */
	union {
		bool is_true;
		int64_t integer;
		double real;
		const struct str *string;	/* of UNDEFINED: the name, or NULL */
		struct array *array;		/* LIST, TUPLE, GENERATOR */
		struct dict *dict;		/* DICT, VIEW, NAMESPACE */
		const struct range *range;
		struct loop *loop;
		const struct macro *macro;
		const struct builtin *function;
		const struct method *method;
		struct cycler *cycler;
		struct joiner *joiner;
	};
};

/* Room behind a string. Templates put long texts together piece by piece (`text = text ~ piece`); a
 * piece is written behind the bytes that are there, so that all of them together cost one pass. */
struct tail {
	char *bytes;
	uint8_t *origins;
	size_t n_used, capacity;
};

/* A string never changes. Parts of it share its bytes. */
struct str {
	const char *bytes;
	const uint8_t *origins;	/* a byte per byte, as jinja_output has it; NULL: all are alike */
	size_t n_bytes;
	size_t n_chars;
	struct tail *tail;	/* where more can be written behind the bytes, or NULL */
	bool is_own;		/* without origins: the template wrote it */
	bool is_safe;		/* Markup of Python: what is added to it is escaped */
};

struct array {
	struct value *values;
	size_t n;
	size_t capacity;
	size_t at;		/* of GENERATOR: the next one */
};

struct range {
	int64_t start, stop, step;
	uint64_t n;
};

struct method {
	struct value object;
	const struct builtin *function;
};

#define NONE ((struct value){ .kind = VALUE_NONE })
#define MISSING ((struct value){ .kind = VALUE_MISSING })
#define UNDEFINED ((struct value){ .kind = VALUE_UNDEFINED, .of = OF_NOTHING })

static inline struct value value_bool(bool is_true)
{
	return (struct value){ .kind = VALUE_BOOL, .is_true = is_true };
}

static inline struct value value_int(int64_t integer)
{
	return (struct value){ .kind = VALUE_INT, .integer = integer };
}

static inline struct value value_float(double real)
{
	return (struct value){ .kind = VALUE_FLOAT, .real = real };
}

static inline struct value value_string(const struct str *string)
{
	return (struct value){ .kind = VALUE_STRING, .string = string };
}

static inline struct value value_list(struct array *array)
{
	return (struct value){ .kind = VALUE_LIST, .array = array };
}

static inline struct value value_tuple(struct array *array)
{
	return (struct value){ .kind = VALUE_TUPLE, .array = array };
}

static inline struct value value_generator(struct array *array)
{
	return (struct value){ .kind = VALUE_GENERATOR, .array = array };
}

static inline struct value value_dict(struct dict *dict)
{
	return (struct value){ .kind = VALUE_DICT, .dict = dict };
}

static inline bool is_given(struct value value)
{
	return value.kind != VALUE_MISSING;
}

/* Numbers of Python's arithmetic: True is 1. */
static inline bool is_integer(struct value value)
{
	return value.kind == VALUE_INT || value.kind == VALUE_BOOL;
}

static inline bool is_number(struct value value)
{
	return is_integer(value) || value.kind == VALUE_FLOAT;
}

static inline int64_t integer_of(struct value value)
{
	return value.kind == VALUE_BOOL ? value.is_true : value.integer;
}

static inline double real_of(struct value value)
{
	return value.kind == VALUE_FLOAT ? value.real : (double)integer_of(value);
}

/* How much of str an error shows: see codepoint_fit. */
enum { SHOWN_MAX = 100 };
int str_shown(const struct str *str);
bool str_equals(const struct str *a, const struct str *b);
bool str_is(const struct str *a, const char *text);
/* -1, 0 or 1; the order of UTF-8 is that of code points. */
int str_compare(const struct str *a, const struct str *b);

bool value_is_true(struct value value);
/* Python's name of the type: "str", "list". */
const char *value_type(struct value value);
const char *value_kind_type(enum value_kind kind);
/* Whether both are one object: Python's `is`. */
bool value_is_same(struct value a, struct value b);

#endif
