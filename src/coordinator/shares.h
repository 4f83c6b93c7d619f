/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_SHARES_H
#define STAGECOACH_COORDINATOR_SHARES_H
/*
 * shares - which waiting sequence is next, and which client holds more than its share.
 *
 * Slots go to clients first, then to the jobs of a client, then to the sequences of a job:
 * - The client with the fewest running sequences is next. Clients with equally many take turns.
 * - The jobs of a client take turns. A job that a sequence was taken from is the next of its
 *   client.
 * - The sequences of a job go in the order of their tickets.
 * A client has work while one of its sequences waits or runs. Its share is an equal part of all
 * slots and KV blocks among the clients that have work.
 *
 * Holds no memory of its own but one list head for each number of running sequences. Clients and
 * jobs belong to the caller, and stay in place while sequences of theirs wait or run.
 * A sequence comes in and goes in constant time. One that is started over first passes the younger
 * ones of its job or client. Finding the first client reads at most one list head more than
 * sequences run, and none when nobody waits. Going on to the next client may read all list heads.
 * Looking for what to take away passes all running sequences.
 * Thread: the loop's.
 */
#include "base/list.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct sequence;

struct share_client {
	struct list node;		/* shares.by_running[n_running] while sequences wait */
	struct list busy_node;		/* shares.busy while sequences run */
	struct list jobs;		/* share_job.node: jobs with waiting sequences; the first
					 * is next */
	struct list sequences;		/* sequence.share_node: those that run, by ticket */
	struct list prompt_node;	/* prompt_queue.clients while it has prompts there */
	struct list prompts;		/* sequence.node: its prompts that run, by ticket */
	uint32_t n_turn_rows;		/* prompt rows that it has had in this turn */
	uint32_t n_waiting;
	uint32_t n_running;
	uint32_t n_blocks;		/* that its sequences hold; the scheduler counts them */
	uint32_t n_passed;		/* sequences of other clients that were started ahead of
					 * this client's next one because it found too few blocks */
};

struct share_job {
	struct list node;		/* client.jobs while sequences wait */
	struct list sequences;		/* sequence.node: those that wait, by ticket */
	struct share_client *client;	/* borrowed */
};

struct shares {
	struct list *by_running;	/* [n_slots + 1]: clients with waiting sequences */
	uint32_t n_slots;
	struct list busy;		/* clients with running sequences */
	uint32_t n_clients;		/* that have work */
	uint64_t n_waiting_tokens;	/* of all waiting sequences */
};

must_check enum sc_status shares_init(struct shares *shares, uint32_t n_slots);
void shares_deinit(struct shares *shares);

void share_client_init(struct share_client *client);
void share_job_init(struct share_job *job, struct share_client *client);

/* A sequence begins to wait; one that ran before (is_back) makes its job the client's next. Its
 * number of tokens must not change while it waits. */
void shares_add_waiting(struct shares *shares, struct sequence *sequence, bool is_back);
void shares_remove_waiting(struct shares *shares, struct sequence *sequence);

/* A sequence, which must not wait, begins to run; and no longer runs. */
void shares_add_running(struct shares *shares, struct sequence *sequence);
void shares_remove_running(struct shares *shares, struct sequence *sequence);

/* Clients with waiting sequences, in the order in which they are served; NULL: no more. */
struct share_client *shares_first(const struct shares *shares);
struct share_client *shares_after(const struct shares *shares, const struct share_client *client);

/* The next sequence of a client that has waiting ones. */
struct sequence *share_client_next(const struct share_client *client);

/* An equal part of n among the clients that have work, at least 1. */
uint32_t shares_part(const struct shares *shares, uint32_t n);

/* The youngest running sequence of the client whose ticket is at least min_ticket; NULL: none.
 * Skips sequences in a step after last_step. settled_only: skips those that were started over and
 * have not yet made up for it, see sequence_is_settled. */
struct sequence *share_client_youngest(const struct share_client *client, uint64_t last_step,
				       uint64_t min_ticket, bool settled_only);

enum share_kind {
	SHARE_SLOTS,
	SHARE_BLOCKS,
};

/* The running sequence with the most tokens since it was started, of those that have had their turn
 * (sequence_has_had_turn) and are in no step after last_step; NULL: none. */
struct sequence *shares_longest_turn(const struct shares *shares, uint64_t last_step);

/* The youngest settled sequence of the client that holds the most slots or blocks, of those that
 * hold more than `above` and have such a sequence; NULL: none. */
struct sequence *shares_heaviest(const struct shares *shares, enum share_kind kind, uint32_t above,
				 uint64_t last_step);

/* How many blocks come free when shares_heaviest(SHARE_BLOCKS, above) is asked, and what it returns
 * preempted, until it returns NULL. Counts as if victim had been preempted before, without the
 * blocks of victim itself; NULL: nobody. */
uint32_t shares_takeable_blocks(const struct shares *shares, uint32_t above, uint64_t last_step,
				const struct sequence *victim);

#endif
