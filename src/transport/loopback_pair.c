/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/loopback_pair.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

/* A frame in use: the credit that it uses, and the release function that the frame had before. */
struct lease {
	struct pair *pair;
	struct end *sender;
	struct lease *next;		/* while it is not in use */
	frame_release_fn *on_release;	/* set if another link delivered
					 * the frame to this process */
	void *release_arg;
};

enum end_state {
	END_FREE,
	END_JOINED,
	END_LEFT,
};

struct end {
	enum end_state state;
	struct wake *wake;		/* while joined */
	struct frame *first;		/* inbox */
	struct frame *last;
	size_t n_waiting;
	uint64_t n_received;
	/* State of what this end sends; from when the other end has joined. */
	size_t max_payload;
	uint64_t n_sent;
	struct lease *leases;		/* [n_credits] */
	struct lease *first_lease;	/* free leases; each is a credit */
	bool is_starved;
};

struct pair {
	pthread_mutex_t lock;
	unsigned n_refs;
	struct end ends[2];
};

enum sc_status pair_create(struct pair **pair_out)
{
	struct pair *pair = calloc(1, sizeof *pair);

	if (!pair)
		return SC_E_NOMEM;
	pthread_mutex_init(&pair->lock, NULL);
	pair->n_refs = 1;
	*pair_out = pair;
	return SC_OK;
}

void pair_ref(struct pair *pair)
{
	pthread_mutex_lock(&pair->lock);
	pair->n_refs++;
	pthread_mutex_unlock(&pair->lock);
}

/* Called with the lock held. Unlocks. */
static void unlock_and_unref(struct pair *pair)
{
	bool is_last = --pair->n_refs == 0;

	pthread_mutex_unlock(&pair->lock);
	if (!is_last)
		return;
	for (int i = 0; i < 2; i++) {
		assert(!pair->ends[i].first && pair->ends[i].state != END_JOINED);
		free(pair->ends[i].leases);
	}
	pthread_mutex_destroy(&pair->lock);
	free(pair);
}

void pair_unref(struct pair *pair)
{
	pthread_mutex_lock(&pair->lock);
	unlock_and_unref(pair);
}

bool pair_is_free(struct pair *pair, unsigned end)
{
	bool is_free;

	pthread_mutex_lock(&pair->lock);
	is_free = pair->ends[end].state == END_FREE;
	pthread_mutex_unlock(&pair->lock);
	return is_free;
}

/* n_credits may be 0: then there are none. */
static enum sc_status make_leases(struct pair *pair, struct end *sender, unsigned n_credits,
				  struct lease **leases_out)
{
	struct lease *leases = n_credits ? calloc(n_credits, sizeof *leases) : NULL;

	if (n_credits && !leases)
		return SC_E_NOMEM;
	for (unsigned i = 0; i < n_credits; i++) {
		leases[i].pair = pair;
		leases[i].sender = sender;
		leases[i].next = i + 1 < n_credits ? &leases[i + 1] : NULL;
	}
	*leases_out = leases;
	return SC_OK;
}

static void wake_end(struct end *end)
{
	if (end->state == END_JOINED)
		wake_send(end->wake);
}

enum sc_status pair_join(struct pair *pair, unsigned end, struct wake *wake,
			 const struct link_config *config)
{
	struct end *own = &pair->ends[end];
	struct end *other = &pair->ends[!end];
	struct lease *leases;
	enum sc_status status = make_leases(pair, other, config->credits, &leases);

	if (status != SC_OK)
		return status;
	pthread_mutex_lock(&pair->lock);
	assert(own->state == END_FREE);
	own->state = END_JOINED;
	own->wake = wake;
	other->max_payload = config->max_payload;
	other->leases = leases;
	other->first_lease = leases;
	pair->n_refs++;
	/* The other end may have left before this end joined, or wait to send. */
	wake_send(wake);
	wake_end(other);
	pthread_mutex_unlock(&pair->lock);
	return SC_OK;
}

bool pair_leave(struct pair *pair, unsigned end)
{
	struct end *own = &pair->ends[end];
	struct end *other = &pair->ends[!end];
	struct frame *frames;
	bool was_joined, has_other_left;

	pthread_mutex_lock(&pair->lock);
	was_joined = own->state == END_JOINED;
	own->state = END_LEFT;
	own->wake = NULL;
	frames = own->first;
	own->first = NULL;
	own->last = NULL;
	own->n_waiting = 0;
	has_other_left = other->state == END_LEFT;
	wake_end(other);
	pthread_mutex_unlock(&pair->lock);
	/* Released without the lock, because releasing a frame takes it. */
	while (frames) {
		struct frame *frame = frames;

		frames = frame->next;
		frame_release(frame);
	}
	if (was_joined)
		pair_unref(pair);
	return has_other_left;
}

static void on_release(void *arg)
{
	struct lease *lease = arg;
	struct pair *pair = lease->pair;
	struct end *sender = lease->sender;
	frame_release_fn *earlier = lease->on_release;
	void *earlier_arg = lease->release_arg;

	pthread_mutex_lock(&pair->lock);
	lease->next = sender->first_lease;
	sender->first_lease = lease;
	if (sender->is_starved)
		wake_end(sender);
	unlock_and_unref(pair);
	if (earlier)
		earlier(earlier_arg);
}

/* With the lock held. */
static void hand_over(struct pair *pair, struct end *own, struct end *other, struct frame *frame)
{
	struct lease *lease = own->first_lease;

	own->first_lease = lease->next;
	lease->on_release = frame->on_release;
	lease->release_arg = frame->release_arg;
	frame->on_release = on_release;
	frame->release_arg = lease;
	pair->n_refs++;
	frame->sequence = ++own->n_sent;
	frame_seal(frame);
	frame->next = NULL;
	if (other->last)
		other->last->next = frame;
	else
		other->first = frame;
	other->last = frame;
	other->n_waiting++;
	wake_end(other);
}

enum sc_status pair_send(struct pair *pair, unsigned end, struct frame *frame)
{
	struct end *own = &pair->ends[end];
	struct end *other = &pair->ends[!end];
	enum sc_status status = SC_OK;

	pthread_mutex_lock(&pair->lock);
	if (other->state == END_LEFT) {
		status = SC_E_CLOSED;
	} else if (other->state == END_JOINED && frame->n_bytes > own->max_payload) {
		status = SC_E_TOO_LARGE;
	} else if (!own->first_lease) {
		own->is_starved = true;
		status = SC_AGAIN;
	} else {
		hand_over(pair, own, other, frame);
	}
	pthread_mutex_unlock(&pair->lock);
	return status;
}

size_t pair_n_waiting(struct pair *pair, unsigned end)
{
	size_t n_waiting;

	pthread_mutex_lock(&pair->lock);
	n_waiting = pair->ends[end].n_waiting;
	pthread_mutex_unlock(&pair->lock);
	return n_waiting;
}

struct frame *pair_receive(struct pair *pair, unsigned end)
{
	struct end *own = &pair->ends[end];
	struct frame *frame;

	pthread_mutex_lock(&pair->lock);
	frame = own->first;
	if (frame) {
		own->first = frame->next;
		if (!own->first)
			own->last = NULL;
		own->n_waiting--;
		own->n_received++;
		assert(frame->sequence == own->n_received);
		frame->next = NULL;
	}
	pthread_mutex_unlock(&pair->lock);
	return frame;
}

struct pair_news pair_news(struct pair *pair, unsigned end)
{
	struct end *own = &pair->ends[end];
	struct pair_news news;

	pthread_mutex_lock(&pair->lock);
	news.has_frames = own->first != NULL;
	news.is_down = pair->ends[!end].state == END_LEFT && !own->first;
	news.has_credit = own->is_starved && own->first_lease;
	if (news.has_credit)
		own->is_starved = false;
	pthread_mutex_unlock(&pair->lock);
	return news;
}
