/* SPDX-License-Identifier: Apache-2.0 */
/*
 * for, and the variable `loop`. Items come one by one, because the filter of a loop sees what its
 * body has changed; only loop.length and what needs it read all of them ahead, as in jinja2.
 */
#include "jinja/ast.h"
#include "jinja/compare.h"
#include "jinja/evaluate.h"
#include "jinja/functions.h"
#include "jinja/iterate.h"
#include "jinja/scope.h"

#include <string.h>

struct loop {
	const struct node *node;
	struct scope *outside;
	struct iteration iteration;
	struct array *ahead;		/* items that were read before their turn */
	size_t n_taken;			/* of them */
	bool is_over;			/* the iteration has no more */
	size_t index0;
	unsigned depth0;
	struct value previous, current;
	bool has_previous;
	struct value changed;		/* what loop.changed was given last; MISSING: nothing */
};

/* --- items --- */

/* Whether the loop's filter lets item pass. */
static bool passes(struct render *r, const struct loop *loop, struct value item)
{
	struct scope *before = r->scope, *scope;
	bool is_passed = true;

	if (!loop->node->third)
		return true;
	r->scope = loop->outside;
	scope = scope_enter(r);
	if (scope) {
		assign(r, loop->node->left, item);
		is_passed = value_is_true(evaluate(r, loop->node->third));
	}
	r->scope = before;
	return is_passed;
}

static bool read_item(struct render *r, struct loop *loop, struct value *item_out)
{
	while (!loop->is_over && render_goes_on(r)) {
		if (!iterate_next(&loop->iteration, item_out))
			loop->is_over = true;
		else if (passes(r, loop, *item_out))
			return render_goes_on(r);
	}
	return false;
}

static bool next_item(struct render *r, struct loop *loop, struct value *item_out)
{
	if (loop->ahead && loop->n_taken < loop->ahead->n) {
		*item_out = loop->ahead->values[loop->n_taken++];
		return render_goes_on(r);
	}
	return read_item(r, loop, item_out);
}

/* The item of the next turn, which stays. */
static bool peek(struct render *r, struct loop *loop, struct value *item_out)
{
	if (!loop->ahead)
		loop->ahead = array_create(r, 0);
	if (loop->n_taken == loop->ahead->n) {
		if (!read_item(r, loop, item_out))
			return false;
		array_add(r, loop->ahead, *item_out);
	}
	if (!render_goes_on(r))
		return false;
	*item_out = loop->ahead->values[loop->n_taken];
	return true;
}

static int64_t loop_length(struct render *r, struct loop *loop)
{
	struct value item;

	if (!loop->ahead)
		loop->ahead = array_create(r, 0);
	while (read_item(r, loop, &item))
		array_add(r, loop->ahead, item);
	return (int64_t)(loop->index0 + 1 + loop->ahead->n - loop->n_taken);
}

/* --- the variable --- */

static struct value cycle(struct render *r, struct value self, const struct value *args,
			  const struct arguments *all)
{
	(void)args;
	if (!all->n)
		return render_fail(r, "no items for cycling given");
	return all->values[self.loop->index0 % all->n];
}

static struct value changed(struct render *r, struct value self, const struct value *args,
			    const struct arguments *all)
{
	struct array *values = array_create(r, all->n);
	struct value now = value_tuple(values);

	(void)args;
	for (size_t i = 0; i < all->n; i++)
		array_add(r, values, all->values[i]);
	if (is_given(self.loop->changed) && value_equals(r, self.loop->changed, now))
		return value_bool(false);
	self.loop->changed = now;
	return value_bool(true);
}

static const struct builtin loop_methods[] = {
	{ "cycle", NULL, 0, cycle },
	{ "changed", NULL, 0, changed },
	{ 0 },
};

static struct value bound(struct render *r, struct loop *loop, const struct builtin *function)
{
	struct method *method = render_alloc(r, sizeof *method);

	if (!method)
		return UNDEFINED;
	*method = (struct method){ { .kind = VALUE_LOOP, .loop = loop }, function };
	return (struct value){ .kind = VALUE_METHOD, .method = method };
}

static struct value neighbour(struct render *r, struct loop *loop, bool is_next)
{
	struct value item = UNDEFINED;

	item.string = str_own(r, is_next ? "there is no next item" : "there is no previous item");
	if (is_next)
		return peek(r, loop, &item) ? item : UNDEFINED;
	return loop->has_previous ? loop->previous : item;
}

struct value loop_attribute(struct render *r, struct loop *loop, const struct str *name)
{
	const struct builtin *function = builtin_find(loop_methods, name);
	struct value value = { .kind = VALUE_UNDEFINED, .of = VALUE_LOOP, .string = name };

	if (function)
		return bound(r, loop, function);
	if (str_is(name, "index0"))
		return value_int((int64_t)loop->index0);
	if (str_is(name, "index"))
		return value_int((int64_t)loop->index0 + 1);
	if (str_is(name, "first"))
		return value_bool(!loop->index0);
	if (str_is(name, "last"))
		return value_bool(!peek(r, loop, &value));
	if (str_is(name, "length"))
		return value_int(loop_length(r, loop));
	if (str_is(name, "revindex"))
		return value_int(loop_length(r, loop) - (int64_t)loop->index0);
	if (str_is(name, "revindex0"))
		return value_int(loop_length(r, loop) - (int64_t)loop->index0 - 1);
	if (str_is(name, "depth"))
		return value_int(loop->depth0 + 1);
	if (str_is(name, "depth0"))
		return value_int(loop->depth0);
	if (str_is(name, "previtem") || str_is(name, "nextitem"))
		return neighbour(r, loop, *name->bytes == 'n');
	return value;
}

/* --- the statement --- */

static void take_turn(struct loop *loop, struct value item, bool is_first)
{
	if (!is_first) {
		loop->index0++;
		loop->previous = loop->current;
		loop->has_previous = true;
	}
	loop->current = item;
}

/* Returns whether a turn came to its end: as in jinja2, a loop whose turns all ended with break or
 * continue takes the way of `else`. */
static bool run_turns(struct render *r, struct loop *loop)
{
	const struct node *node = loop->node;
	struct scope *scope = scope_enter(r);
	struct value item;
	bool is_first = true, has_ended = false;

	while (scope && r->flow == FLOW_ON && next_item(r, loop, &item)) {
		take_turn(loop, item, is_first);
		is_first = false;
		scope = scope_renew(r, scope);
		if (!scope)
			break;
		if (node->flags & FLAG_LOOP)
			scope_set(r, NAME_LOOP, (struct value){ .kind = VALUE_LOOP, .loop = loop });
		assign(r, node->left, item);
		render_place(r, node);
		execute(r, node->body);
		has_ended |= r->flow == FLOW_ON;
		if (r->flow == FLOW_CONTINUE)
			r->flow = FLOW_ON;
	}
	if (r->flow == FLOW_BREAK)
		r->flow = FLOW_ON;
	r->scope = loop->outside;
	return has_ended;
}

static void run(struct render *r, const struct node *node, struct value items,
		struct scope *outside, unsigned depth0)
{
	struct scope *before = r->scope;
	struct loop *loop = render_alloc(r, sizeof *loop);

	if (!loop)
		return;
	loop->node = node;
	loop->outside = r->scope = outside;
	loop->depth0 = depth0;
	loop->changed = MISSING;
	if (iterate(r, items, &loop->iteration) && !run_turns(r, loop) && render_goes_on(r)) {
		struct scope *scope = scope_enter(r);

		execute(r, node->otherwise);
		scope_leave(r, scope);
	}
	r->scope = before;
}

void execute_for(struct render *r, const struct node *node)
{
	run(r, node, evaluate(r, node->right), r->scope, 0);
}

struct value loop_again(struct render *r, const struct loop *loop, struct value items)
{
	size_t begin = text_begin(r);

	if (!(loop->node->flags & FLAG_RECURSIVE))
		return render_fail(r, "the loop must have the 'recursive' marker to be called");
	run(r, loop->node, items, loop->outside, loop->depth0 + 1);
	return value_string(text_end(r, begin));
}
