/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_QUEUE_H
#define STAGECOACH_BASE_QUEUE_H
/*
 * queue - a bounded queue of pointers from one thread to another.
 * The capacity is fixed at creation. Pushing and popping allocate nothing and take no lock.
 * Ownership: the queue does not own its items. Before queue_destroy the caller empties the queue
 * with queue_try_pop and releases the items.
 * Thread: one thread pushes and closes, one thread pops.
 */
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;

must_check enum sc_status queue_create(size_t capacity, struct queue **queue_out);
void queue_destroy(struct queue *queue);

/* Never blocks. SC_AGAIN: the queue is full. SC_E_CLOSED: it is closed. */
must_check enum sc_status queue_push(struct queue *queue, void *item);

/* Blocks until an item arrives and returns it. Returns NULL if the queue is closed and empty. The
 * thread spins for spin_ns (base/spin.h) and then sleeps; waking it from sleep takes about 25
 * microseconds. */
void *queue_pop(struct queue *queue, uint64_t spin_ns);

/* Returns NULL if the queue is empty. Never blocks. */
void *queue_try_pop(struct queue *queue);

/* Ends pushing. The popping thread still gets the items that are left, then NULL. */
void queue_close(struct queue *queue);

#endif
