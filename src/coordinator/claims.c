/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses which waiting sequence starts, whose slots and blocks it may take, and who gives up
 * blocks when a decoding sequence needs one more. */
#include "coordinator/scheduler_private.h"

#include <assert.h>

/* While a sequence finds too few blocks, at most this many sequences of other clients may start
 * before it. Then all others wait, so that it does not starve. */
enum { MAX_PASSED = 16 };

/* The most sequences per step that start by taking from other clients. */
enum { MAX_CLAIMS = 8 };

/* The most sequences that may run at once, not counting those in spare slots. */
static uint32_t max_running(const struct scheduler *s)
{
	return s->config.limits.max_sequences - s->config.n_spare;
}

static uint32_t slot_share(const struct scheduler *s)
{
	return shares_part(&s->shares, max_running(s));
}

static uint32_t block_share(const struct scheduler *s, uint32_t group)
{
	return shares_part(&s->shares, s->config.limits.max_blocks[group]);
}

/* Spare slots are reserved for clients with less than their share. */
static bool has_slot(const struct scheduler *s, const struct share_client *client)
{
	if (s->n_free_slots > s->config.n_spare)
		return true;
	return s->n_free_slots && client->n_running < slot_share(s);
}

/* The first group with too few free blocks for all tokens that a sequence without blocks has so far;
 * n_groups: all have enough. */
static uint32_t find_short_group(const struct scheduler *s, const struct sequence *sequence)
{
	uint32_t g = 0;

	while (g < n_groups(s) && blocks_for(s, g, sequence->n_tokens) <= s->blocks[g].n_free)
		g++;
	return g;
}

static bool has_blocks(const struct scheduler *s, const struct sequence *sequence)
{
	return find_short_group(s, sequence) == n_groups(s);
}

static void take_block(struct scheduler *s, struct sequence *sequence, uint32_t group)
{
	sequence->tables[group][sequence->n_blocks[group]++] = blocks_take(&s->blocks[group]);
	sequence->share->client->n_blocks[group]++;
}

/* Takes what is missing for all tokens that the sequence has so far. */
static void take_blocks(struct scheduler *s, struct sequence *sequence)
{
	for (uint32_t g = 0; g < n_groups(s); g++)
		while (sequence->n_blocks[g] < blocks_for(s, g, sequence->n_tokens))
			take_block(s, sequence, g);
}

/* While a sequence finds too few blocks, other clients may go first, up to MAX_PASSED times. */
struct sequence *scheduler_find_startable(const struct scheduler *s)
{
	const struct share_client *client = shares_first(&s->shares);

	while (client) {
		/* Later clients run at least as many sequences, so none of them gets a slot
		 * either. */
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
	sequence->slot = s->free_slots[--s->n_free_slots];
	take_blocks(s, sequence);
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

/* Returns true if the sequence may take the slot of one that has had its turn. A sequence that
 * never ran may do so at once. A preempted sequence must first wait SEQUENCE_TURN steps. Otherwise
 * sequences whose turns end together would preempt each other again and again. */
static bool is_its_turn(const struct scheduler *s, const struct sequence *sequence)
{
	return !sequence->is_preempted || s->n_steps - sequence->last_step >= SEQUENCE_TURN;
}

/* What one sequence of a client with less than its share could get at once. */
struct offer {
	bool has_slot;
	struct sequence *victim;	/* gives up its slot; NULL: a slot is
					 * free, or nobody can give one up */
	bool is_victim_fair;		/* the victim's client does not exceed its share
					 * of slots, but the victim has had its turn */
	uint32_t n_blocks[STEP_MAX_GROUPS];	/* free blocks, the victim's blocks, and the
						 * blocks that other clients hold above their
						 * shares */
};

static struct offer make_offer(const struct scheduler *s)
{
	struct offer offer = { .has_slot = false };

	if (!s->n_free_slots) {
		offer.victim = shares_heaviest(&s->shares, SHARE_SLOTS, slot_share(s), s->n_steps);
		offer.is_victim_fair = !offer.victim;
		if (!offer.victim)
			offer.victim = shares_longest_turn(&s->shares, s->n_steps);
	}
	offer.has_slot = s->n_free_slots || offer.victim;
	for (uint32_t g = 0; g < n_groups(s); g++)
		offer.n_blocks[g] = s->blocks[g].n_free +
				    (offer.victim ? offer.victim->n_blocks[g] : 0) +
				    shares_takeable_blocks(&s->shares, g, block_share(s, g),
							   s->n_steps, offer.victim);
	return offer;
}

/* Returns true if the client's next sequence may take from others: the client does not exceed its
 * share with it, and it cannot start on free slots and blocks. */
static bool may_claim(const struct scheduler *s, const struct share_client *client)
{
	const struct sequence *sequence = share_client_next(client);

	for (uint32_t g = 0; g < n_groups(s); g++)
		if (client->n_blocks[g] + blocks_for(s, g, sequence->n_tokens) > block_share(s, g))
			return false;
	return client->n_running < slot_share(s) &&
	       !(has_slot(s, client) && has_blocks(s, sequence));
}

static bool suffices(const struct scheduler *s, const struct offer *offer,
		     const struct share_client *client)
{
	const struct sequence *sequence = share_client_next(client);

	if (!offer->has_slot)
		return false;
	for (uint32_t g = 0; g < n_groups(s); g++)
		if (blocks_for(s, g, sequence->n_tokens) > offer->n_blocks[g])
			return false;
	return !offer->is_victim_fair || (!client->n_running && is_its_turn(s, sequence));
}

/* Starts a sequence for which the offer is enough. Sequences of a client are preempted from the
 * youngest on, whichever group is short, so what is taken for one group leaves enough of the
 * others. */
static void claim(struct scheduler *s, const struct offer *offer, struct sequence *sequence)
{
	uint32_t g;

	if (offer->victim)
		scheduler_preempt(s, offer->victim);
	while ((g = find_short_group(s, sequence)) < n_groups(s)) {
		struct sequence *victim = shares_heaviest(&s->shares, SHARE_BLOCKS + g,
							  block_share(s, g), s->n_steps);

		assert(victim);
		scheduler_preempt(s, victim);
	}
	start(s, sequence);
}

/* Gives clients their share at once, a few sequences per step, so that they need not wait for the
 * long sequences of clients with more. Nothing is preempted for a sequence that could not start
 * even then. Every client gets its chance: the offer is the same for all until one takes it, so
 * trying others is cheap. */
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

/* Chooses who gives up its blocks when the sequence needs one of the group and none is free. A
 * sequence holds blocks of all groups, so any of them helps. The first of these that exists:
 * 1. The youngest settled sequence of the client with the most blocks of the group, if that client
 *    exceeds its share and holds more than this sequence's client.
 * 2. The youngest sequence of the same client, if it is younger than this one.
 * 3. This sequence, if its client exceeds its share and the sequence is settled.
 * 4. The youngest sequence of all clients, if it is younger than this one.
 * Sequences in the step being built are skipped. Returns NULL if there is none. */
static struct sequence *find_victim(const struct scheduler *s, struct sequence *sequence,
				    uint32_t group)
{
	const struct share_client *client = sequence->share->client;
	uint32_t share = block_share(s, group), n_blocks = client->n_blocks[group];
	struct sequence *victim, *other;
	uint64_t ticket = sequence->ticket + 1;

	victim = shares_heaviest(&s->shares, SHARE_BLOCKS + group,
				 n_blocks > share ? n_blocks : share, s->n_steps);
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

/* A group of which the sequence needs another block, and none is free; n_groups: there is none. */
static uint32_t find_empty_group(const struct scheduler *s, const struct sequence *sequence)
{
	uint32_t g = 0;

	while (g < n_groups(s) && (s->blocks[g].n_free ||
	       blocks_for(s, g, sequence->n_tokens) <= sequence->n_blocks[g]))
		g++;
	return g;
}

bool scheduler_grow(struct scheduler *s, struct sequence *sequence)
{
	uint32_t g;

	while ((g = find_empty_group(s, sequence)) < n_groups(s)) {
		struct sequence *victim = find_victim(s, sequence, g);

		if (!victim)
			victim = sequence;
		if (victim == sequence && s->n_segments)
			return false;
		scheduler_preempt(s, victim);
		if (victim == sequence)
			return false;
	}
	take_blocks(s, sequence);
	return true;
}
