/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_SHARES_H
#define STAGECOACH_COORDINATOR_SHARES_H
/*
 * shares - decides which waiting sequence is next, and which client holds more than its share.
 *
 * Slots go first to clients, then to the jobs of a client, then to the sequences of a job:
 * - The client with the fewest running sequences is next. Clients with equally many take turns.
 * - The jobs of a client take turns. A job that lost a sequence by preemption is next in its
 *   client.
 * - The sequences of a job go in the order of their tickets.
 * A client has work while one of its sequences waits or runs. Its share is an equal part of all
 * slots, and of the KV blocks of each group, among the clients that have work.
 *
 * Memory: allocates only one list head per possible number of running sequences. Clients and jobs
 * belong to the caller and must stay valid while their sequences wait or run.
 *
 * Cost: adding and removing a sequence takes constant time, except that a sequence that starts over
 * first passes the younger ones of its job or client. Finding the first client reads at most one
 * list head more than sequences run, and none if nobody waits. Going to the next client may read
 * all list heads. Looking for a victim reads all running sequences.
 * Thread: the loop's.
 */
#include "base/list.h"
#include "base/status.h"
#include "wire/step.h"

#include <stdbool.h>
#include <stdint.h>

struct sequence;

struct share_client {
	struct list node;		/* on shares.by_running[n_running] while sequences wait */
	struct list busy_node;		/* on shares.busy while sequences run */
	struct list jobs;		/* share_job.node: jobs with waiting sequences; the first
					 * is next */
	struct list sequences;		/* sequence.share_node: running sequences, by ticket */
	struct list prompt_node;	/* on prompt_queue.clients while it has prompts there */
	struct list prompts;		/* sequence.node: its running prompts, by ticket */
	uint32_t n_turn_rows;		/* prompt rows that it has run in this turn */
	uint32_t n_waiting;
	uint32_t n_running;
	uint32_t n_blocks[STEP_MAX_GROUPS];	/* blocks of each group that its sequences hold;
						 * the scheduler counts them */
	uint32_t n_passed;		/* number of other clients' sequences that started before
					 * its next one, because that found too few blocks of some
					 * group */
};

struct share_job {
	struct list node;		/* on client.jobs while sequences wait */
	struct list sequences;		/* sequence.node: waiting sequences, by ticket */
	struct share_client *client;	/* borrowed */
};

struct shares {
	struct list *by_running;	/* [n_slots + 1]: clients with waiting sequences */
	uint32_t n_slots;
	struct list busy;		/* clients with running sequences */
	uint32_t n_clients;		/* clients that have work */
	uint64_t n_waiting_tokens;	/* number of tokens of all waiting sequences */
};

must_check enum sc_status shares_init(struct shares *shares, uint32_t n_slots);
void shares_deinit(struct shares *shares);

void share_client_init(struct share_client *client);
void share_job_init(struct share_job *job, struct share_client *client);

/* Adds a waiting sequence. is_back: it ran before, so its job becomes the client's next. The number
 * of its tokens must not change while it waits. */
void shares_add_waiting(struct shares *shares, struct sequence *sequence, bool is_back);
void shares_remove_waiting(struct shares *shares, struct sequence *sequence);

/* Adds and removes a running sequence. It must not be waiting. */
void shares_add_running(struct shares *shares, struct sequence *sequence);
void shares_remove_running(struct shares *shares, struct sequence *sequence);

/* Iterates over the clients with waiting sequences, in the order in which they are served. NULL: no
 * more. */
struct share_client *shares_first(const struct shares *shares);
struct share_client *shares_after(const struct shares *shares, const struct share_client *client);

/* The next sequence of a client with waiting sequences. */
struct sequence *share_client_next(const struct share_client *client);

/* n divided by the number of clients that have work, at least 1. */
uint32_t shares_part(const struct shares *shares, uint32_t n);

/* The client's youngest running sequence with a ticket of at least min_ticket, or NULL. Skips
 * sequences that are in a step after last_step. settled_only: also skips sequences that are not
 * settled (sequence_is_settled). */
struct sequence *share_client_youngest(const struct share_client *client, uint64_t last_step,
				       uint64_t min_ticket, bool settled_only);

/* What clients hold: slots, or blocks of group g (SHARE_BLOCKS + g). */
enum {
	SHARE_SLOTS,
	SHARE_BLOCKS,
};

/* The running sequence with the most tokens since its start, of those that have had their turn
 * (sequence_has_had_turn) and are in no step after last_step; or NULL. */
struct sequence *shares_longest_turn(const struct shares *shares, uint64_t last_step);

/* Of the clients that hold more than `above` slots or blocks and have a settled sequence, takes the
 * client that holds the most, and returns its youngest settled sequence; or NULL. */
struct sequence *shares_heaviest(const struct shares *shares, uint32_t kind, uint32_t above,
				 uint64_t last_step);

/* Returns the number of blocks of the group that would become free if shares_heaviest(SHARE_BLOCKS +
 * group, above) were called, and its result preempted, until it returns NULL. Counts as if victim
 * (or NULL) had been preempted before; the victim's own blocks are not included. */
uint32_t shares_takeable_blocks(const struct shares *shares, uint32_t group, uint32_t above,
				uint64_t last_step, const struct sequence *victim);

#endif
