/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_FUNCTIONS_H
#define STAGECOACH_JINJA_FUNCTIONS_H
/*
 * functions - filters, tests, methods and global functions: tables of what C functions do.
 */
#include "jinja/render.h"

enum { PARAMETERS_MAX = 6 };

/* What a call passes. */
struct arguments {
	const struct value *values;
	size_t n;
	const struct dict *named;	/* NULL: none */
};

/* self: the value before the | or `is`, or the object of a method. args: one value per parameter,
 * VALUE_MISSING where none was given. all: what was passed, for functions that take any number. */
typedef struct value builtin_fn(struct render *r, struct value self, const struct value *args,
				const struct arguments *all);

/* Begins the definition of a builtin_fn. */
#define BUILTIN(name)                                                                      \
	static struct value name(struct render *r, struct value self, const struct value *args, \
				 const struct arguments *all)

struct builtin {
	const char *name;
	const char *parameters;	/* their names with spaces between; NULL: any number of arguments */
	unsigned n_required;
	builtin_fn *fn;
};

/* Tables end with a row without a name. */
const struct builtin *builtin_find(const struct builtin *table, const struct str *name);
const struct builtin *filter_find(const struct str *name);
const struct builtin *test_find(const struct str *name);
const struct builtin *global_find(const struct str *name);
/* A method of object's type. */
const struct builtin *method_find(struct value object, const struct str *name);

extern const struct builtin text_filters[], sequence_filters[], select_filters[], number_filters[];
extern const struct builtin string_methods[], string_tests[], list_methods[], tuple_methods[],
	dict_methods[], cycler_methods[];
extern const struct builtin test_table[], global_table[];

/* Calls fn with all arguments sorted to its parameters. */
struct value builtin_call(struct render *r, const struct builtin *builtin, struct value self,
			  const struct arguments *all);

/* --- what functions ask of their arguments --- */

/* Text of value, as filters see it: "" of what is undefined. */
const struct str *text_of(struct render *r, struct value value);
/* The string; fails if value is none. */
const struct str *string_of(struct render *r, struct value value, const char *what);
/* The integer, or otherwise if value is missing; fails if value is none. */
int64_t integer_arg(struct render *r, struct value value, int64_t otherwise);
static inline bool truth_arg(struct value value, bool otherwise)
{
	return is_given(value) ? value_is_true(value) : otherwise;
}

/* Whether the test says so of value. */
bool test_holds(struct render *r, const struct builtin *test, struct value value,
		const struct arguments *args);

#endif
