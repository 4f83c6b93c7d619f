/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grant.h"

#include <pthread.h>
#include <stdlib.h>

struct grant {
	pthread_mutex_t lock;
	struct wake *wake;	/* NULL after grant_detach */
	unsigned n_credits;
	unsigned n_used;	/* received frames whose credit was not sent back yet */
	unsigned n_waiting;	/* those of n_used that were released and can be sent back */
	unsigned n_refs;	/* references: the link, and each frame in use */
	bool is_woken;		/* the wake was sent since the last collect */
};

enum sc_status grant_create(unsigned n_credits, struct wake *wake, struct grant **grant_out)
{
	struct grant *grant = calloc(1, sizeof *grant);

	if (!grant)
		return SC_E_NOMEM;
	pthread_mutex_init(&grant->lock, NULL);
	grant->wake = wake;
	grant->n_credits = n_credits;
	grant->n_refs = 1;
	*grant_out = grant;
	return SC_OK;
}

/* Called with the lock held. Unlocks. */
static void unlock_and_unref(struct grant *grant)
{
	bool is_last = --grant->n_refs == 0;

	pthread_mutex_unlock(&grant->lock);
	if (!is_last)
		return;
	pthread_mutex_destroy(&grant->lock);
	free(grant);
}

void grant_detach(struct grant *grant)
{
	if (!grant)
		return;
	pthread_mutex_lock(&grant->lock);
	grant->wake = NULL;
	unlock_and_unref(grant);
}

static bool is_due(const struct grant *grant)
{
	return grant->n_waiting && grant->n_used >= (grant->n_credits + 1) / 2;
}

bool grant_use(struct grant *grant)
{
	bool is_within;

	pthread_mutex_lock(&grant->lock);
	is_within = grant->n_used < grant->n_credits;
	if (is_within)
		grant->n_used++;
	pthread_mutex_unlock(&grant->lock);
	return is_within;
}

static void on_release(void *arg)
{
	struct grant *grant = arg;

	pthread_mutex_lock(&grant->lock);
	grant->n_waiting++;
	if (grant->wake && !grant->is_woken && is_due(grant)) {
		grant->is_woken = true;
		wake_send(grant->wake);
	}
	unlock_and_unref(grant);
}

void grant_hand_out(struct grant *grant, struct frame *frame)
{
	pthread_mutex_lock(&grant->lock);
	grant->n_refs++;
	pthread_mutex_unlock(&grant->lock);
	frame->on_release = on_release;
	frame->release_arg = grant;
}

bool grant_is_due(struct grant *grant)
{
	bool is;

	pthread_mutex_lock(&grant->lock);
	is = is_due(grant);
	pthread_mutex_unlock(&grant->lock);
	return is;
}

unsigned grant_collect(struct grant *grant)
{
	unsigned n;

	pthread_mutex_lock(&grant->lock);
	grant->is_woken = false;
	n = grant->n_waiting;
	grant->n_waiting = 0;
	grant->n_used -= n;
	pthread_mutex_unlock(&grant->lock);
	return n;
}
