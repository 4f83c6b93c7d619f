/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/scope.h"

#include "jinja/ast.h"

#include <string.h>

enum { FIRST_BINDINGS = 4 };

struct scope *scope_enter(struct render *r)
{
	struct scope *scope = render_alloc(r, sizeof *scope);

	if (scope) {
		scope->parent = r->scope;
		r->scope = scope;
	}
	return scope;
}

void scope_leave(struct render *r, struct scope *scope)
{
	if (scope)
		r->scope = scope->parent;
}

struct scope *scope_renew(struct render *r, struct scope *scope)
{
	if (!scope)
		return NULL;
	if (!scope->is_kept) {
		scope->n = 0;
		return scope;
	}
	r->scope = scope->parent;
	return scope_enter(r);
}

void scope_keep(struct scope *scope)
{
	for (; scope && !scope->is_kept; scope = scope->parent)
		scope->is_kept = true;
}

static struct binding *find(const struct scope *scope, uint32_t name)
{
	for (uint32_t i = 0; i < scope->n; i++)
		if (scope->bindings[i].name == name)
			return &scope->bindings[i];
	return NULL;
}

struct value scope_get(struct render *r, uint32_t name)
{
	struct value value = UNDEFINED;

	for (const struct scope *scope = r->scope; scope; scope = scope->parent) {
		const struct binding *binding = find(scope, name);

		if (!render_step(r, scope->n / 16))
			return value;
		if (binding)
			return binding->value;
	}
	if (r->globals[name].kind != VALUE_MISSING)
		return r->globals[name];
	value.string = r->tmpl->names.entries[name].key.string;
	return value;
}

static bool grow(struct render *r, struct scope *scope)
{
	uint32_t capacity = scope->capacity ? 2 * scope->capacity : FIRST_BINDINGS;
	struct binding *bindings = render_alloc_array(r, capacity, sizeof *bindings);

	if (!bindings)
		return false;
	if (scope->n)
		memcpy(bindings, scope->bindings, scope->n * sizeof *bindings);
	scope->bindings = bindings;
	scope->capacity = capacity;
	return true;
}

void scope_set(struct render *r, uint32_t name, struct value value)
{
	struct scope *scope = r->scope;
	struct binding *binding;

	if (!render_goes_on(r))
		return;
	if (!scope) {
		r->globals[name] = value;
		return;
	}
	binding = find(scope, name);
	if (!render_step(r, scope->n / 16))
		return;
	if (binding) {
		binding->value = value;
		return;
	}
	if (scope->n == scope->capacity && !grow(r, scope))
		return;
	scope->bindings[scope->n++] = (struct binding){ name, value };
}
