/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_SCOPE_H
#define STAGECOACH_JINJA_SCOPE_H
/*
 * scope - the variables of a loop's turn, a macro or a block. A name that the scope does not have
 * is looked for in the one around it, and at last among the globals.
 */
#include "jinja/render.h"

struct binding {
	uint32_t name;
	struct value value;
};

struct scope {
	struct scope *parent;	/* NULL: the globals are next */
	struct binding *bindings;
	uint32_t n, capacity;
	bool is_kept;		/* a macro refers to the scope, so that it must not be used again */
};

/* An empty scope inside of the current one, which it becomes. Ends with scope_leave. */
struct scope *scope_enter(struct render *r);
void scope_leave(struct render *r, struct scope *scope);
/* Empties the current scope for the next turn of a loop. Returns the current scope. */
struct scope *scope_renew(struct render *r, struct scope *scope);

/* Marks all scopes around the current place as used by a macro. */
void scope_keep(struct scope *scope);

struct value scope_get(struct render *r, uint32_t name);
/* Sets the name in the current scope. */
void scope_set(struct render *r, uint32_t name, struct value value);

#endif
