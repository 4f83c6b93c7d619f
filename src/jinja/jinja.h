/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_JINJA_H
#define STAGECOACH_JINJA_JINJA_H
/*
 * jinja - an interpreter of Jinja templates, as far as stored chat templates use the language: as
 * Python's jinja2 with trim_blocks, lstrip_blocks, loopcontrols and the sandbox, and with the
 * functions that transformers adds (raise_exception, strftime_now, tojson of its own).
 *
 * A template comes with a model file and is not trusted: steps, output, depth and memory are
 * bounded. It reaches nothing but the variables that it is given.
 *
 * Every byte of the output has an origin: the template, or the variables. Texts of users can
 * therefore never pass for what the template wrote. Operations on strings keep the origin of each
 * byte.
 * Thread: a parsed template is read-only, so several threads may render it at once.
 */
#include "base/buf.h"
#include "base/error.h"

#include <jansson.h>

#include <stddef.h>
#include <stdint.h>

struct jinja_template;

/* source need not end with NUL, and is not kept. SC_E_FORMAT: a fault in the template; err begins
 * with "line L, column C: ". SC_E_TOO_LARGE: nested too deeply, or more than 1 MiB. SC_E_NOMEM. */
must_check enum sc_status jinja_parse(const char *source, size_t n_bytes,
				      struct jinja_template **template_out, struct error *err);
/* Accepts NULL. */
void jinja_destroy(struct jinja_template *tmpl);

struct jinja_limits {
	uint64_t max_steps;	/* nodes that are evaluated, items that are visited, pieces of text
				 * that are written, and each 32 bytes that are copied or
				 * searched: 10 to 100 ns each */
	size_t max_output;	/* bytes */
	size_t max_memory;	/* bytes of all values that a rendering ever makes */
	unsigned max_depth;	/* of expressions, statements and macros inside of each other, and
				 * of nested values. One level needs up to 1 KiB of stack */
};
extern const struct jinja_limits jinja_default_limits;

struct jinja_output {
	struct buf text;
	struct buf from_template;	/* one byte per byte of text: 1 if the template wrote it,
					 * 0 if it comes from a variable */
};
void jinja_output_deinit(struct jinja_output *output);

/* variables, constants: objects, or NULL; their members are the template's variables. Text of
 * constants (bos_token, eos_token) counts as the template's own. now_unix: what strftime_now says,
 * in UTC, in seconds. output is set on success only; the caller calls jinja_output_deinit.
 * SC_E_FORMAT: a fault at run time; err begins with "line L, column C: ". SC_E_INVALID: the
 * template called raise_exception; err is its text. SC_E_TOO_LARGE: a limit was reached; err says
 * which. SC_E_NOMEM. */
must_check enum sc_status jinja_render(const struct jinja_template *tmpl, const json_t *variables,
				       const json_t *constants, int64_t now_unix,
				       const struct jinja_limits *limits,
				       struct jinja_output *output, struct error *err);

#endif
