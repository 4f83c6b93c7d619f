/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_LIST_H
#define STAGECOACH_BASE_LIST_H
/*
 * list - a doubly linked ring through nodes that live inside their objects.
 * The head is a node of its own. A node is on at most one list; list_remove leaves it linked to
 * itself, so removing twice is harmless. Allocates nothing, fails never.
 */
#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next;
	struct list *prev;
};

/* The object of type that holds node as its member. */
#define list_entry(node, type, member) ((type *)((char *)(node) - offsetof(type, member)))

/* Visit every node; the body may remove `node` itself, nothing else. */
#define list_for_each(node, head)                                                             \
	for (struct list *node = (head)->next, *node##_next = node->next; node != (head);     \
	     node = node##_next, node##_next = node->next)

static inline void list_init(struct list *node)
{
	node->next = node;
	node->prev = node;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

/* Put node before `place`: before the head is the end of the list. */
static inline void list_insert_before(struct list *place, struct list *node)
{
	node->next = place;
	node->prev = place->prev;
	place->prev->next = node;
	place->prev = node;
}

static inline void list_append(struct list *head, struct list *node)
{
	list_insert_before(head, node);
}

static inline void list_prepend(struct list *head, struct list *node)
{
	list_insert_before(head->next, node);
}

static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#endif
