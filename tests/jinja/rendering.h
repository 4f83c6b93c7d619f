/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_JINJA_RENDERING_H
#define STAGECOACH_TESTS_JINJA_RENDERING_H
/*
 * rendering - a template parsed and rendered in one call.
 */
#include "jinja/jinja.h"

/* A template with something of everything, its variables, and what it writes. */
extern const char rich_template[], rich_variables[], rich_text[];

struct rendering {
	enum sc_status status;
	struct jinja_output output;	/* if status is SC_OK */
	struct error err;
};

/* variables: JSON text of an object, or NULL. limits: NULL: the default ones. */
struct rendering render_text(const char *source, const char *variables,
			     const struct jinja_limits *limits);
void rendering_deinit(struct rendering *rendering);

/* Fails the test unless the template gives the text. */
void assert_renders(const char *source, const char *variables, const char *text);
/* Fails the test unless the rendering, or the parsing, ends with status and such a message. */
void assert_fails(const char *source, const char *variables, enum sc_status status,
		  const char *message);

#endif
