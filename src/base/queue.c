/* SPDX-License-Identifier: Apache-2.0 */
#include "base/queue.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct queue {
	pthread_mutex_t mutex;
	pthread_cond_t not_empty;
	size_t capacity;
	size_t first;
	atomic_size_t n_items;	/* written under the mutex; read without it by a spinning popper */
	atomic_bool is_closed;	/* likewise */
	void *items[];		/* [capacity], a ring from first */
};

enum sc_status queue_create(size_t capacity, struct queue **queue_out)
{
	struct queue *queue = calloc(1, sizeof *queue + capacity * sizeof queue->items[0]);

	if (!queue)
		return SC_E_NOMEM;
	queue->capacity = capacity;
	pthread_mutex_init(&queue->mutex, NULL);
	pthread_cond_init(&queue->not_empty, NULL);
	*queue_out = queue;
	return SC_OK;
}

void queue_destroy(struct queue *queue)
{
	if (!queue)
		return;
	pthread_cond_destroy(&queue->not_empty);
	pthread_mutex_destroy(&queue->mutex);
	free(queue);
}

enum sc_status queue_push(struct queue *queue, void *item)
{
	enum sc_status status = SC_OK;
	size_t n_items;

	pthread_mutex_lock(&queue->mutex);
	n_items = atomic_load(&queue->n_items);
	if (atomic_load(&queue->is_closed)) {
		status = SC_E_CLOSED;
	} else if (n_items == queue->capacity) {
		status = SC_AGAIN;
	} else {
		queue->items[(queue->first + n_items) % queue->capacity] = item;
		atomic_store(&queue->n_items, n_items + 1);
		pthread_cond_signal(&queue->not_empty);
	}
	pthread_mutex_unlock(&queue->mutex);
	return status;
}

/* With the mutex held. */
static void *take_first(struct queue *queue)
{
	size_t n_items = atomic_load(&queue->n_items);
	void *item;

	if (!n_items)
		return NULL;
	item = queue->items[queue->first];
	queue->first = (queue->first + 1) % queue->capacity;
	atomic_store(&queue->n_items, n_items - 1);
	return item;
}

static void spin_until_ready(struct queue *queue, uint64_t spin_ns)
{
	uint64_t end = clock_ns() + spin_ns;

	while (!atomic_load(&queue->n_items) && !atomic_load(&queue->is_closed) && clock_ns() < end)
#ifdef __x86_64__
		__builtin_ia32_pause();
#else
		;
#endif
}

void *queue_pop(struct queue *queue, uint64_t spin_ns)
{
	void *item;

	if (spin_ns)
		spin_until_ready(queue, spin_ns);
	pthread_mutex_lock(&queue->mutex);
	while (!(item = take_first(queue)) && !atomic_load(&queue->is_closed))
		pthread_cond_wait(&queue->not_empty, &queue->mutex);
	pthread_mutex_unlock(&queue->mutex);
	return item;
}

void *queue_try_pop(struct queue *queue)
{
	void *item;

	pthread_mutex_lock(&queue->mutex);
	item = take_first(queue);
	pthread_mutex_unlock(&queue->mutex);
	return item;
}

void queue_close(struct queue *queue)
{
	pthread_mutex_lock(&queue->mutex);
	atomic_store(&queue->is_closed, true);
	pthread_cond_broadcast(&queue->not_empty);
	pthread_mutex_unlock(&queue->mutex);
}
