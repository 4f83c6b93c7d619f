/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_EVALUATE_H
#define STAGECOACH_JINJA_EVALUATE_H
/*
 * evaluate - what nodes of the tree yield and do.
 */
#include "jinja/functions.h"

struct node;

/* A macro with the scope that it was made in. */
struct macro {
	const struct node *node;
	struct scope *scope;
};

/* The variable `loop`. */
struct loop;

/* --- expressions --- */

struct value evaluate(struct render *r, const struct node *node);
/* What the filters (NODE_FILTER without a value) make of value. */
struct value evaluate_filters(struct render *r, const struct node *filters, struct value value);
struct value value_arithmetic(struct render *r, unsigned operator, struct value a, struct value b);

/* object.name and object[key]; undefined if there is none. */
struct value value_attribute(struct render *r, struct value object, const struct str *name);
struct value value_subscript(struct render *r, struct value object, struct value key);
/* begin, end, step: none stands for a part that is left out. */
struct value value_slice(struct render *r, struct value object, struct value begin,
			 struct value end, struct value step);
struct value loop_attribute(struct render *r, struct loop *loop, const struct str *name);

struct value value_call(struct render *r, struct value callee, const struct arguments *args);
/* Arguments of a call, filter or test. node: its children are they. */
struct arguments evaluate_arguments(struct render *r, const struct node *node);

/* --- statements --- */

/* The nodes from `first` on, until one leaves a loop. */
void execute(struct render *r, const struct node *first);
void execute_for(struct render *r, const struct node *node);
/* The loop with other items: loop(items) inside of a recursive one. */
struct value loop_again(struct render *r, const struct loop *loop, struct value items);
void assign(struct render *r, const struct node *target, struct value value);
/* What the nodes write, as a string. They run in a scope of their own. */
const struct str *execute_captured(struct render *r, const struct node *first);

#endif
