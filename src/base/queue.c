/* SPDX-License-Identifier: Apache-2.0 */
#include "base/queue.h"

#include "base/bell.h"

#include <stdatomic.h>
#include <stdlib.h>

#define APART _Alignas(64)	/* keeps the two threads' variables on different cache lines */

/* n_in and n_out count all items ever pushed and popped. Each has one writer. */
struct queue {
	size_t capacity;
	APART atomic_size_t n_pushed;
	atomic_bool is_closed;
	APART atomic_size_t n_popped;
	struct bell bell;	/* the popping thread waits on it */
	APART void *items[];	/* [capacity], item n at n % capacity */
};

enum sc_status queue_create(size_t capacity, struct queue **queue_out)
{
	size_t n_bytes = sizeof(struct queue) + capacity * sizeof(void *);
	struct queue *queue = aligned_alloc(_Alignof(struct queue),
					    (n_bytes + _Alignof(struct queue) - 1) /
						    _Alignof(struct queue) *
						    _Alignof(struct queue));

	if (!queue)
		return SC_E_NOMEM;
	queue->capacity = capacity;
	atomic_init(&queue->n_pushed, 0);
	atomic_init(&queue->n_popped, 0);
	atomic_init(&queue->is_closed, false);
	atomic_init(&queue->bell.is_asleep, 0);
	*queue_out = queue;
	return SC_OK;
}

void queue_destroy(struct queue *queue)
{
	free(queue);
}

enum sc_status queue_push(struct queue *queue, void *item)
{
	size_t n = atomic_load_explicit(&queue->n_pushed, memory_order_relaxed);

	if (atomic_load(&queue->is_closed))
		return SC_E_CLOSED;
	if (n - atomic_load(&queue->n_popped) == queue->capacity)
		return SC_AGAIN;
	queue->items[n % queue->capacity] = item;
	atomic_store(&queue->n_pushed, n + 1);
	bell_ring(&queue->bell);
	return SC_OK;
}

void *queue_try_pop(struct queue *queue)
{
	size_t n = atomic_load_explicit(&queue->n_popped, memory_order_relaxed);
	void *item;

	if (n == atomic_load(&queue->n_pushed))
		return NULL;
	item = queue->items[n % queue->capacity];
	atomic_store(&queue->n_popped, n + 1);
	return item;
}

static bool has_news(void *arg)
{
	struct queue *queue = arg;

	return atomic_load(&queue->n_pushed) != atomic_load(&queue->n_popped) ||
	       atomic_load(&queue->is_closed);
}

void *queue_pop(struct queue *queue, uint64_t spin_ns)
{
	bell_wait(&queue->bell, spin_ns, has_news, queue);
	return queue_try_pop(queue);
}

void queue_close(struct queue *queue)
{
	atomic_store(&queue->is_closed, true);
	bell_ring(&queue->bell);
}
