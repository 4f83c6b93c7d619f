/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_QUEUE_H
#define STAGECOACH_BASE_QUEUE_H
/*
 * queue - a bounded queue of pointers from one thread to another.
 * Sized once; pushing and popping allocate nothing and take no lock. What is in the queue at
 * destroy is the caller's to release first (queue_try_pop until empty).
 * Thread: one pushes and closes, one pops.
 */
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;

must_check enum sc_status queue_create(size_t capacity, struct queue **queue_out);
void queue_destroy(struct queue *queue);

/* Never blocks. SC_AGAIN: full. SC_E_CLOSED: closed. */
must_check enum sc_status queue_push(struct queue *queue, void *item);

/* Spins for spin_ns (base/spin.h), then sleeps, until an item comes or the queue is closed and
 * empty (NULL). To be woken from sleep takes some 25 microseconds. */
void *queue_pop(struct queue *queue, uint64_t spin_ns);

/* NULL: nothing there. */
void *queue_try_pop(struct queue *queue);

/* No more pushes; the popper drains what is left, then gets NULL. */
void queue_close(struct queue *queue);

#endif
