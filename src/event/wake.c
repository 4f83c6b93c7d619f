/* SPDX-License-Identifier: Apache-2.0 */
#include "event/round.h"

#include <stdlib.h>

struct wake {
	struct list node;	/* on the loop's wakes until it is freed */
	struct loop *loop;
	wake_fn *fn;
	void *arg;
	atomic_bool is_sent;
	bool is_destroyed;
};

enum sc_status wake_create(struct loop *loop, wake_fn *fn, void *arg, struct wake **wake_out)
{
	struct wake *wake = calloc(1, sizeof *wake);

	if (!wake)
		return SC_E_NOMEM;
	wake->loop = loop;
	wake->fn = fn;
	wake->arg = arg;
	list_append(&loop->wakes, &wake->node);
	loop_add_user(loop);
	*wake_out = wake;
	return SC_OK;
}

static void free_wake(struct wake *wake)
{
	list_remove(&wake->node);
	free(wake);
}

void wake_destroy(struct wake *wake)
{
	if (!wake)
		return;
	wake->is_destroyed = true;
	loop_remove_user(wake->loop);
	if (!wake->loop->n_calling)
		free_wake(wake);
}

void wake_send(struct wake *wake)
{
	struct loop *loop = wake->loop;

	atomic_store(&wake->is_sent, true);
	atomic_store(&loop->has_wakes, true);
	if (atomic_load(&loop->is_asleep) && atomic_exchange(&loop->is_asleep, false))
		uv_async_send(&loop->doorbell);
}

static void free_destroyed(struct loop *loop)
{
	list_for_each(node, &loop->wakes) {
		struct wake *wake = list_entry(node, struct wake, node);

		if (wake->is_destroyed)
			free_wake(wake);
	}
}

/* Callbacks may destroy any wake and create new ones. Destroyed wakes stay on the list until the
 * outermost callback has returned. */
bool wakes_run(struct loop *loop)
{
	bool was_any = false;

	if (!atomic_load(&loop->has_wakes))
		return false;
	atomic_store(&loop->has_wakes, false);
	loop->n_calling++;
	for (struct list *node = loop->wakes.next; node != &loop->wakes; node = node->next) {
		struct wake *wake = list_entry(node, struct wake, node);

		if (wake->is_destroyed || !atomic_exchange(&wake->is_sent, false))
			continue;
		was_any = true;
		wake->fn(wake->arg);
	}
	if (!--loop->n_calling)
		free_destroyed(loop);
	return was_any;
}
