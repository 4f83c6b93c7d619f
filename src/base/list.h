/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_LIST_H
#define STAGECOACH_BASE_LIST_H
/*
 * list - a doubly linked ring of nodes that are members of the listed objects.
 * The head is a node, too. A node is on at most one list. list_remove links a node to itself, so
 * removing it twice is harmless. Nothing here allocates or fails.
 */
#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next;
	struct list *prev;
};

/* The object of `type` that contains node as its member. */
#define list_entry(node, type, member) ((type *)((char *)(node) - offsetof(type, member)))

/* Visits every node. The body may remove `node` itself, but no other node. */
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

/* Puts node before `place`. If place is the head, node goes to the end of the list. */
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
