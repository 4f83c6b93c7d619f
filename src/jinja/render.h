/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_RENDER_H
#define STAGECOACH_JINJA_RENDER_H
/*
 * render - one rendering of a template: its values, its output, its limits and its failure.
 * The first failure is kept, and is what jinja_render returns. Functions that may fail therefore
 * return no status: after a failure they do little, and return a value that is safe to use but
 * means nothing. Loops ask render_goes_on.
 * Thread: one.
 */
#include "jinja/arena.h"
#include "jinja/jinja.h"
#include "jinja/value.h"

struct node;
struct scope;

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

struct render {
	const struct jinja_template *tmpl;
	const struct jinja_limits *limits;
	struct jinja_output *output;	/* also the place where strings are put together */
	struct arena arena;
	struct value *globals;		/* by name; VALUE_MISSING: unset */
	struct scope *scope;		/* innermost; NULL: only globals */
	uint64_t n_steps;
	unsigned depth;
	enum flow flow;
	int64_t now_unix;
	enum sc_status status;
	struct error *err;
	bool is_placed;			/* err says where the failure was, or need not */
};

static inline bool render_goes_on(const struct render *r)
{
	return !r->status;
}

/* SC_E_FORMAT, unless something failed before. Returns UNDEFINED, for `return render_fail(...)`. */
struct value render_fail(struct render *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Says that value, which is undefined, cannot be used. */
struct value render_fail_undefined(struct render *r, struct value value);
/* The failure, if there is one, was at node, unless a more exact place is known. */
void render_place(struct render *r, const struct node *node);
/* text: what raise_exception was given. */
void render_raise(struct render *r, const struct str *text);
/* Counts steps. Returns false after a failure, also of its own. */
bool render_step(struct render *r, uint64_t n_steps);
/* Counts a loop over n_bytes bytes. */
bool render_count_bytes(struct render *r, size_t n_bytes);
/* Counts a loop over n_bytes bytes that looks up what each character is. */
bool render_count_chars(struct render *r, size_t n_bytes);
/* Calls of itself are bounded. Every render_enter that returned true has a render_leave. */
bool render_enter(struct render *r);
static inline void render_leave(struct render *r)
{
	r->depth--;
}

/* Zeros. NULL after a failure, also of its own. */
void *render_alloc(struct render *r, size_t n_bytes);
void *render_alloc_array(struct render *r, size_t n, size_t bytes_each);

/* --- text that is being put together --- */

/* Text is written to the end of the output. What is written between text_begin and text_end becomes
 * a string of its own and leaves the output again. Pairs may be nested. */
static inline size_t text_begin(const struct render *r)
{
	return r->output->text.length;
}

const struct str *text_end(struct render *r, size_t begin);
/* As text_end, but the text is dropped. */
void text_drop(struct render *r, size_t begin);
void text_add(struct render *r, const char *bytes, size_t n_bytes, bool is_own);
/* Text that the template decides, and punctuation between texts of variables. */
void text_add_own(struct render *r, const char *string);
void text_add_foreign(struct render *r, const char *string);
void text_add_char(struct render *r, uint32_t codepoint, bool is_own);
void text_add_str(struct render *r, const struct str *str);
/* Bytes [begin, end) of str. */
void text_add_part(struct render *r, const struct str *str, size_t begin, size_t end);

/* --- strings --- */

extern const struct str str_empty;

static inline bool str_byte_is_own(const struct str *str, size_t at)
{
	return str->origins ? str->origins[at] : str->is_own;
}

/* bytes are borrowed for as long as the rendering lasts. */
const struct str *str_borrow(struct render *r, const char *bytes, size_t n_bytes, bool is_own);
/* Bytes [begin, end) of str, shared. */
const struct str *str_part(struct render *r, const struct str *str, size_t begin, size_t end);
/* A copy that is no Markup. */
const struct str *str_unsafe(struct render *r, const struct str *str);
/* a and b as one string. */
const struct str *str_joined(struct render *r, const struct str *a, const struct str *b);
/* string is copied. */
const struct str *str_own(struct render *r, const char *string);

/* --- arrays and dicts --- */

struct array *array_create(struct render *r, size_t capacity);
void array_add(struct render *r, struct array *array, struct value value);
struct dict *dict_create(struct render *r);
/* Whether a dict can have such a key; false after a failure. Counts the work of a search for it:
 * dict_find itself counts nothing. */
bool dict_key_is_fine(struct render *r, struct value key);
/* Fails if key cannot be one. */
void dict_set(struct render *r, struct dict *dict, struct value key, struct value value);
struct value value_pair(struct render *r, struct value first, struct value second);

#endif
