/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_PROMPT_QUEUE_H
#define STAGECOACH_COORDINATOR_PROMPT_QUEUE_H
/*
 * prompt_queue - whose prompt rows are next, of the sequences that have a slot.
 *
 * Prompts run one after the other, so that the first of them has its first token early and the last
 * of them no later than if all ran at once. A turn is one whole prompt, or PROMPT_TURN rows of it.
 * Turns go round between clients; the prompts of one client go in the order of their tickets. So a
 * client's first prompt waits for at most one turn of each other client.
 *
 * Holds no memory of its own: clients and sequences belong to the caller, and stay in place while
 * they are in the queue.
 * Thread: the loop's.
 */
#include "coordinator/sequence.h"

#define PROMPT_TURN 2048

struct prompt_queue {
	struct list clients;	/* share_client.prompt_node: those with prompts; the first has its
				 * turn */
};

void prompt_queue_init(struct prompt_queue *queue);

/* A sequence that has rows to run comes in, and goes. */
void prompt_queue_add(struct prompt_queue *queue, struct sequence *sequence);
void prompt_queue_remove(struct prompt_queue *queue, struct sequence *sequence);

/* The sequence whose rows are next; NULL: none. */
struct sequence *prompt_queue_first(const struct prompt_queue *queue);

/* The rows that it may run before others have their turn. All of them when it has no others. */
uint32_t prompt_queue_turn_left(const struct prompt_queue *queue);

/* The first sequence, which is still in the queue, ran so many rows of its turn. */
void prompt_queue_note_rows(struct prompt_queue *queue, uint32_t n_rows);

/* Rows that all sequences in the queue have left. Reads every sequence. */
uint64_t prompt_queue_count_rows(const struct prompt_queue *queue);

#endif
