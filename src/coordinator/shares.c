/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/shares.h"

#include "coordinator/sequence.h"

#include <assert.h>
#include <stdlib.h>

enum sc_status shares_init(struct shares *shares, uint32_t n_slots)
{
	*shares = (struct shares){ .n_slots = n_slots };
	list_init(&shares->busy);
	shares->by_running = calloc((size_t)n_slots + 1, sizeof shares->by_running[0]);
	if (!shares->by_running)
		return SC_E_NOMEM;
	for (uint32_t i = 0; i <= n_slots; i++)
		list_init(&shares->by_running[i]);
	return SC_OK;
}

void shares_deinit(struct shares *shares)
{
	free(shares->by_running);
	shares->by_running = NULL;
}

void share_client_init(struct share_client *client)
{
	*client = (struct share_client){ 0 };
	list_init(&client->node);
	list_init(&client->busy_node);
	list_init(&client->jobs);
	list_init(&client->sequences);
	list_init(&client->prompt_node);
	list_init(&client->prompts);
}

void share_job_init(struct share_job *job, struct share_client *client)
{
	list_init(&job->node);
	list_init(&job->sequences);
	job->client = client;
}

/* Called when the client's counts have changed: moves it behind the clients with equally many
 * running sequences. */
static void place(struct shares *shares, struct share_client *client)
{
	list_remove(&client->node);
	if (client->n_waiting)
		list_append(&shares->by_running[client->n_running], &client->node);
}

static bool has_work(const struct share_client *client)
{
	return client->n_waiting || client->n_running;
}

/* --- waiting --- */

void shares_add_waiting(struct shares *shares, struct sequence *sequence, bool is_back)
{
	struct share_job *job = sequence->share;
	struct share_client *client = job->client;

	assert(sequence->n_tokens);
	sequence_insert_by_ticket(&job->sequences, sequence);
	if (is_back) {
		list_remove(&job->node);
		list_prepend(&client->jobs, &job->node);
	} else if (list_is_empty(&job->node)) {
		list_append(&client->jobs, &job->node);
	}
	shares->n_clients += !has_work(client);
	shares->n_waiting_tokens += sequence->n_tokens;
	if (!client->n_waiting++)
		place(shares, client);
}

void shares_remove_waiting(struct shares *shares, struct sequence *sequence)
{
	struct share_job *job = sequence->share;
	struct share_client *client = job->client;

	list_remove(&sequence->node);
	if (list_is_empty(&job->sequences))
		list_remove(&job->node);
	shares->n_waiting_tokens -= sequence->n_tokens;
	if (!--client->n_waiting) {
		list_remove(&client->node);
		client->n_passed = 0;
	}
	shares->n_clients -= !has_work(client);
}

struct share_client *shares_first(const struct shares *shares)
{
	if (!shares->n_waiting_tokens)	/* no sequence is empty, so nobody waits */
		return NULL;
	for (uint32_t i = 0; i <= shares->n_slots; i++)
		if (!list_is_empty(&shares->by_running[i]))
			return list_entry(shares->by_running[i].next, struct share_client, node);
	return NULL;
}

struct share_client *shares_after(const struct shares *shares, const struct share_client *client)
{
	const struct list *next = client->node.next;

	for (uint32_t i = client->n_running; i <= shares->n_slots; i++) {
		if (i > client->n_running)
			next = shares->by_running[i].next;
		if (next != &shares->by_running[i])
			return list_entry(next, struct share_client, node);
	}
	return NULL;
}

struct sequence *share_client_next(const struct share_client *client)
{
	const struct share_job *job = list_entry(client->jobs.next, struct share_job, node);

	assert(client->n_waiting);
	return list_entry(job->sequences.next, struct sequence, node);
}

/* --- running --- */

/* Inserts behind all older sequences. Searches from the end, because most sequences that start are
 * the youngest. */
static void insert_running(struct share_client *client, struct sequence *sequence)
{
	struct list *place = &client->sequences;

	while (place->prev != &client->sequences &&
	       list_entry(place->prev, struct sequence, share_node)->ticket > sequence->ticket)
		place = place->prev;
	list_insert_before(place, &sequence->share_node);
}

void shares_add_running(struct shares *shares, struct sequence *sequence)
{
	struct share_job *job = sequence->share;
	struct share_client *client = job->client;

	assert(client->n_running < shares->n_slots);
	shares->n_clients += !has_work(client);
	insert_running(client, sequence);
	if (!client->n_running++)
		list_append(&shares->busy, &client->busy_node);
	client->n_passed = 0;
	/* Ends the turns of this job and this client. */
	if (!list_is_empty(&job->node)) {
		list_remove(&job->node);
		list_append(&client->jobs, &job->node);
	}
	place(shares, client);
}

void shares_remove_running(struct shares *shares, struct sequence *sequence)
{
	struct share_client *client = sequence->share->client;

	list_remove(&sequence->share_node);
	if (!--client->n_running)
		list_remove(&client->busy_node);
	shares->n_clients -= !has_work(client);
	place(shares, client);
}

uint32_t shares_part(const struct shares *shares, uint32_t n)
{
	uint32_t part = shares->n_clients ? n / shares->n_clients : n;

	return part ? part : 1;
}

static bool may_give_up(const struct sequence *sequence, uint64_t last_step, bool settled_only)
{
	return sequence->last_step <= last_step &&
	       (!settled_only || sequence_is_settled(sequence));
}

struct sequence *share_client_youngest(const struct share_client *client, uint64_t last_step,
				       uint64_t min_ticket, bool settled_only)
{
	const struct list *all = &client->sequences;

	for (const struct list *node = all->prev; node != all; node = node->prev) {
		struct sequence *sequence = list_entry(node, struct sequence, share_node);

		if (sequence->ticket < min_ticket)
			return NULL;
		if (may_give_up(sequence, last_step, settled_only))
			return sequence;
	}
	return NULL;
}

static uint32_t count_held(const struct share_client *client, uint32_t kind)
{
	return kind == SHARE_SLOTS ? client->n_running : client->n_blocks[kind - SHARE_BLOCKS];
}

struct sequence *shares_heaviest(const struct shares *shares, uint32_t kind, uint32_t above,
				 uint64_t last_step)
{
	struct sequence *found = NULL;

	list_for_each(node, &shares->busy) {
		struct share_client *client = list_entry(node, struct share_client, busy_node);
		uint32_t n = count_held(client, kind);
		struct sequence *sequence;

		if (n <= above)
			continue;
		sequence = share_client_youngest(client, last_step, 0, true);
		if (sequence) {
			above = n;
			found = sequence;
		}
	}
	return found;
}

/* For one client; see shares_takeable_blocks. */
static uint32_t takeable_blocks(const struct share_client *client, uint32_t group, uint32_t above,
				uint64_t last_step, const struct sequence *victim)
{
	const struct list *all = &client->sequences;
	uint32_t n_left = client->n_blocks[group], n_takeable = 0;

	if (victim && victim->share->client == client)
		n_left -= victim->n_blocks[group];
	for (const struct list *node = all->prev; node != all && n_left > above;
	     node = node->prev) {
		const struct sequence *sequence = list_entry(node, struct sequence, share_node);

		if (sequence == victim || !may_give_up(sequence, last_step, true))
			continue;
		n_left -= sequence->n_blocks[group];
		n_takeable += sequence->n_blocks[group];
	}
	return n_takeable;
}

uint32_t shares_takeable_blocks(const struct shares *shares, uint32_t group, uint32_t above,
				uint64_t last_step, const struct sequence *victim)
{
	uint32_t n = 0;

	list_for_each(node, &shares->busy)
		n += takeable_blocks(list_entry(node, struct share_client, busy_node), group, above,
				     last_step, victim);
	return n;
}

struct sequence *shares_longest_turn(const struct shares *shares, uint64_t last_step)
{
	struct sequence *longest = NULL;
	uint32_t most = 0;

	list_for_each(client_node, &shares->busy) {
		struct share_client *client =
			list_entry(client_node, struct share_client, busy_node);

		list_for_each(node, &client->sequences) {
			struct sequence *sequence = list_entry(node, struct sequence, share_node);
			uint32_t n_new = sequence->n_tokens - sequence->n_started;

			if (n_new <= most || sequence->last_step > last_step ||
			    !sequence_has_had_turn(sequence))
				continue;
			most = n_new;
			longest = sequence;
		}
	}
	return longest;
}
