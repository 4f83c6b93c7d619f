/* SPDX-License-Identifier: Apache-2.0 */
/* Which waiting sequence is started, whose slots and blocks it may take, and who gives up blocks
 * when a decoding sequence needs one more. */
#include "coordinator/scheduler_private.h"

#include <assert.h>

/* Sequences of other clients that may be started before one that finds too few blocks. Then all
 * wait for that one, so that it does not starve. */
enum { MAX_PASSED = 16 };

/* Sequences that are started in one step on what other clients hold. */
enum { MAX_CLAIMS = 8 };

/* Sequences that run at once, but for those in spare slots. */
static uint32_t max_running(const struct scheduler *s)
{
	return s->config.limits.max_sequences - s->config.n_spare;
}

static uint32_t slot_share(const struct scheduler *s)
{
	return shares_part(&s->shares, max_running(s));
}

static uint32_t block_share(const struct scheduler *s)
{
	return shares_part(&s->shares, s->config.limits.max_blocks);
}

/* Spare slots are for clients that have less than their share. */
static bool has_slot(const struct scheduler *s, const struct share_client *client)
{
	if (s->n_free_slots > s->config.n_spare)
		return true;
	return s->n_free_slots && client->n_running < slot_share(s);
}

/* Whether there is room for all tokens that it has so far. */
static bool has_blocks(const struct scheduler *s, const struct sequence *sequence)
{
	return blocks_for(s, sequence->n_tokens) <= s->blocks.n_free;
}

static void take_block(struct scheduler *s, struct sequence *sequence)
{
	sequence->blocks[sequence->n_blocks++] = blocks_take(&s->blocks);
	sequence->share->client->n_blocks++;
}

/* When a sequence finds too few blocks, the clients behind it may go first, but not for ever. */
struct sequence *scheduler_find_startable(const struct scheduler *s)
{
	const struct share_client *client = shares_first(&s->shares);

	while (client) {
		/* No client behind this one runs fewer sequences, so none has a slot either. */
		if (!has_slot(s, client))
			return NULL;
		if (has_blocks(s, share_client_next(client)))
			return share_client_next(client);
		if (client->n_passed >= MAX_PASSED)
			return NULL;
		client = shares_after(&s->shares, client);
	}
	return NULL;
}

static void start(struct scheduler *s, struct sequence *sequence)
{
	uint32_t needed = blocks_for(s, sequence->n_tokens);

	sequence->slot = s->free_slots[--s->n_free_slots];
	while (sequence->n_blocks < needed)
		take_block(s, sequence);
	sequence->n_started = sequence->n_tokens;
	sequence->is_restarted |= sequence->is_preempted;
	sequence->is_preempted = false;
	scheduler_move_to(s, sequence, SEQUENCE_PROMPT);
}

void scheduler_admit(struct scheduler *s)
{
	struct sequence *sequence;

	while ((sequence = scheduler_find_startable(s))) {
		struct share_client *client = shares_first(&s->shares);

		for (; client != sequence->share->client; client = shares_after(&s->shares, client))
			client->n_passed++;
		start(s, sequence);
	}
}

/* Whether a sequence may take the slot of one that has had its turn. A sequence that never ran may
 * claim at once. A preempted one must wait SEQUENCE_TURN steps first: otherwise sequences whose
 * turns end together would preempt each other again and again. */
static bool is_its_turn(const struct scheduler *s, const struct sequence *sequence)
{
	return !sequence->is_preempted || s->n_steps - sequence->last_step >= SEQUENCE_TURN;
}

/* What one sequence of a client with less than its share could have at once. */
struct offer {
	bool has_slot;
	struct sequence *victim;	/* gives up its slot; NULL: one is free, or none at all */
	bool is_victim_fair;		/* the victim's client has no more slots than its share, but
					 * the victim has had its turn */
	uint32_t n_blocks;		/* the free ones, the victim's, and what other clients
					 * would give up down to their shares */
};

static struct offer make_offer(const struct scheduler *s)
{
	struct offer offer = { .n_blocks = s->blocks.n_free };

	if (!s->n_free_slots) {
		offer.victim = shares_heaviest(&s->shares, SHARE_SLOTS, slot_share(s), s->n_steps);
		offer.is_victim_fair = !offer.victim;
		if (!offer.victim)
			offer.victim = shares_longest_turn(&s->shares, s->n_steps);
	}
	offer.has_slot = s->n_free_slots || offer.victim;
	if (offer.victim)
		offer.n_blocks += offer.victim->n_blocks;
	offer.n_blocks += shares_takeable_blocks(&s->shares, block_share(s), s->n_steps,
						 offer.victim);
	return offer;
}

/* Whether the client's next sequence may take from others: with it the client has no more than its
 * share, and it cannot be started on what is free. */
static bool may_claim(const struct scheduler *s, const struct share_client *client)
{
	const struct sequence *sequence = share_client_next(client);

	return client->n_running < slot_share(s) &&
	       client->n_blocks + blocks_for(s, sequence->n_tokens) <= block_share(s) &&
	       !(has_slot(s, client) && has_blocks(s, sequence));
}

static bool suffices(const struct scheduler *s, const struct offer *offer,
		     const struct share_client *client)
{
	const struct sequence *sequence = share_client_next(client);

	if (!offer->has_slot || blocks_for(s, sequence->n_tokens) > offer->n_blocks)
		return false;
	return !offer->is_victim_fair || (!client->n_running && is_its_turn(s, sequence));
}

/* Start a sequence that the offer suffices for. */
static void claim(struct scheduler *s, const struct offer *offer, struct sequence *sequence)
{
	if (offer->victim)
		scheduler_preempt(s, offer->victim);
	while (!has_blocks(s, sequence)) {
		struct sequence *victim = shares_heaviest(&s->shares, SHARE_BLOCKS, block_share(s),
							  s->n_steps);

		assert(victim);
		scheduler_preempt(s, victim);
	}
	start(s, sequence);
}

/* Clients with less than their share get it at once, a few sequences in a step, instead of waiting
 * for the end of sequences of those that have more. Nothing is preempted for a sequence that could
 * not be started even so. Every client gets its chance: the offer is the same for all of them until
 * one takes it, so those that it does not suffice for cost little. */
void scheduler_claim_shares(struct scheduler *s)
{
	const struct share_client *client = shares_first(&s->shares);
	struct offer offer = { .has_slot = false };
	bool is_offer_made = false;
	unsigned n_claims = 0;

	while (client && client->n_running < slot_share(s) && n_claims < MAX_CLAIMS) {
		const struct share_client *next = shares_after(&s->shares, client);

		if (may_claim(s, client)) {
			if (!is_offer_made)
				offer = make_offer(s);
			is_offer_made = true;
			if (suffices(s, &offer, client)) {
				claim(s, &offer, share_client_next(client));
				is_offer_made = false;
				n_claims++;
			}
		}
		client = next;
	}
}

/* Who gives up its blocks when the sequence needs one and none is free. The first of these that
 * exists:
 * 1. The youngest settled sequence of the client that holds the most blocks, if that client holds
 *    more than its share and more than this sequence's client.
 * 2. The youngest sequence of the same client, if it is younger than this one.
 * 3. This sequence, if its client holds more than its share and the sequence is settled.
 * 4. The youngest sequence of all clients, if it is younger than this one.
 * Sequences in the step being built are left out. NULL: there is none of these. */
static struct sequence *find_victim(const struct scheduler *s, struct sequence *sequence)
{
	const struct share_client *client = sequence->share->client;
	uint32_t share = block_share(s), n_blocks = client->n_blocks;
	struct sequence *victim, *other;
	uint64_t ticket = sequence->ticket + 1;

	victim = shares_heaviest(&s->shares, SHARE_BLOCKS, n_blocks > share ? n_blocks : share,
				 s->n_steps);
	if (victim)
		return victim;
	victim = share_client_youngest(client, s->n_steps, ticket, false);
	if (victim)
		return victim;
	if (n_blocks > share && sequence_is_settled(sequence))
		return sequence;
	list_for_each(node, &s->shares.busy) {
		client = list_entry(node, struct share_client, busy_node);
		other = share_client_youngest(client, s->n_steps, ticket, false);
		if (!other)
			continue;
		victim = other;
		ticket = other->ticket;
	}
	return victim;
}

bool scheduler_grow(struct scheduler *s, struct sequence *sequence)
{
	while (!s->blocks.n_free) {
		struct sequence *victim = find_victim(s, sequence);

		if (!victim)
			victim = sequence;
		if (victim == sequence && s->n_segments)
			return false;
		scheduler_preempt(s, victim);
		if (victim == sequence)
			return false;
	}
	take_block(s, sequence);
	return true;
}
