/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_AST_H
#define STAGECOACH_JINJA_AST_H
/*
 * ast - a parsed template: a tree of nodes, all in the template's arena. It never changes after it
 * was parsed.
 */
#include "jinja/arena.h"
#include "jinja/dict.h"
#include "jinja/value.h"

enum node_kind {
	/* Expressions. */
	NODE_CONSTANT,
	NODE_NAME,
	NODE_ATTRIBUTE,		/* left.text */
	NODE_ITEM,		/* left[right] */
	NODE_SLICE,		/* [left:right:third] of an item; each may be NULL */
	NODE_LIST,		/* children */
	NODE_TUPLE,
	NODE_DICT,		/* children: NODE_PAIR */
	NODE_PAIR,		/* left: right */
	NODE_NOT,
	NODE_NEGATIVE,
	NODE_POSITIVE,
	NODE_AND,
	NODE_OR,
	NODE_CONDITION,		/* left if third else right (may be NULL) */
	NODE_COMPARE,		/* left, then children: NODE_OPERAND */
	NODE_OPERAND,		/* operator and left */
	NODE_ARITHMETIC,	/* left operator right */
	NODE_CONCAT,		/* children */
	NODE_CALL,		/* left(children) */
	NODE_FILTER,		/* left|text(children); left NULL: what a block wrote */
	NODE_TEST,		/* left is text(children) */
	NODE_KEYWORD,		/* argument: name text = left */
	NODE_SPREAD,		/* argument: *left */
	NODE_SPREAD_NAMED,	/* argument: **left */
	/* Statements. */
	NODE_TEXT,		/* text */
	NODE_OUTPUT,		/* children */
	NODE_IF,		/* left: condition, body, otherwise */
	NODE_FOR,		/* for left in right if third: body, otherwise */
	NODE_SET,		/* left = right */
	NODE_SET_BLOCK,		/* left = body, through filters `right` (may be NULL) */
	NODE_WITH,		/* children: NODE_SET, body */
	NODE_MACRO,		/* name; children: NODE_PARAMETER; body */
	NODE_PARAMETER,		/* name, left: default or NULL */
	NODE_CALL_BLOCK,	/* left: NODE_CALL; right: NODE_MACRO, the caller */
	NODE_FILTER_BLOCK,	/* right: filters; body */
	NODE_SCOPE,		/* body */
	NODE_DO,		/* left */
	NODE_BREAK,
	NODE_CONTINUE,
	/* Targets of assignments: NODE_NAME, NODE_TUPLE and this: */
	NODE_NAMESPACE_TARGET,	/* name.text */
};

enum operator {
	OPERATOR_ADD,
	OPERATOR_SUBTRACT,
	OPERATOR_MULTIPLY,
	OPERATOR_DIVIDE,
	OPERATOR_FLOOR_DIVIDE,
	OPERATOR_MODULO,
	OPERATOR_POWER,
	OPERATOR_EQUAL,
	OPERATOR_NOT_EQUAL,
	OPERATOR_LESS,
	OPERATOR_LESS_OR_EQUAL,
	OPERATOR_GREATER,
	OPERATOR_GREATER_OR_EQUAL,
	OPERATOR_IN,
	OPERATOR_NOT_IN,
	N_OPERATORS,
};

enum node_flag {
	FLAG_LOOP = 1,		/* FOR: the body mentions `loop`, or the loop is recursive */
	FLAG_RECURSIVE = 2,
	FLAG_CALLER = 4,	/* MACRO: mentions `caller` */
	FLAG_VARARGS = 8,
	FLAG_KWARGS = 16,
};

struct node {
	uint8_t kind;		/* enum node_kind */
	uint8_t operator;	/* enum operator */
	uint8_t flags;
	uint32_t line, column;	/* from 1; columns are characters */
	uint32_t name;		/* number of a variable's name */
	uint32_t n_children;
	struct node *next;	/* in children or body */
	struct node *left, *right, *third;
	struct node *children;
	struct node *body, *otherwise;
	union {
		struct value constant;			/* CONSTANT */
		struct value text;			/* a string: see the kinds */
	};
	const struct builtin *function;	/* of FILTER, TEST; NULL: there is no such one */
};

/* Names that the interpreter itself gives a meaning. */
enum { NAME_LOOP, NAME_CALLER, NAME_VARARGS, NAME_KWARGS, N_KNOWN_NAMES };

struct jinja_template {
	struct arena arena;
	struct node *body;
	struct dict names;	/* of variables: string -> number */
	uint32_t n_names;
	const struct builtin **globals;	/* by name; NULL: no such function */
	struct value *name_strings;	/* by name */
};

#endif
