/* SPDX-License-Identifier: Apache-2.0 */
#include "event/round.h"

#include <stdlib.h>

struct poller {
	struct list node;	/* on the loop's pollers until it is freed */
	struct loop *loop;
	struct poller_config config;
	uv_timer_t nap;		/* used if fd < 0 */
	uv_poll_t readable;	/* used if fd >= 0 */
	unsigned nap_ms;	/* the next sleep; doubles while nothing happens */
	bool is_destroyed;
};

static void on_nap_end(uv_timer_t *handle)
{
	(void)handle;
}

/* Nothing to do here: the next round calls progress. The descriptor stays readable until arm() has
 * consumed its news. */
static void on_readable(uv_poll_t *handle, int status, int events)
{
	(void)handle;
	(void)status;
	(void)events;
}

/* progress and arm may destroy any poller. A destroyed poller stays on the list until libuv has
 * closed its handle. That happens in a later phase, so this iteration is safe. */
bool pollers_progress(struct loop *loop)
{
	bool has_happened = false;

	for (struct list *node = loop->pollers.next; node != &loop->pollers; node = node->next) {
		struct poller *poller = list_entry(node, struct poller, node);

		if (poller->is_destroyed || !poller->config.ops->progress(poller->config.arg))
			continue;
		poller->nap_ms = 1;
		has_happened = true;
	}
	return has_happened;
}

static bool is_armed(struct poller *poller)
{
	const struct poller_ops *ops = poller->config.ops;

	return !ops->arm || ops->arm(poller->config.arg);
}

static void start_nap(struct poller *poller)
{
	uv_update_time(poller->nap.loop);
	uv_timer_start(&poller->nap, on_nap_end, poller->nap_ms, 0);
	poller->nap_ms *= 2;
	if (poller->nap_ms > poller->config.idle_ms)
		poller->nap_ms = poller->config.idle_ms;
}

bool pollers_arm(struct loop *loop)
{
	for (struct list *node = loop->pollers.next; node != &loop->pollers; node = node->next) {
		struct poller *poller = list_entry(node, struct poller, node);

		if (!poller->is_destroyed && !is_armed(poller))
			return false;
	}
	return true;
}

void pollers_start_naps(struct loop *loop)
{
	for (struct list *node = loop->pollers.next; node != &loop->pollers; node = node->next) {
		struct poller *poller = list_entry(node, struct poller, node);

		if (poller->config.fd < 0 && !poller->is_destroyed)
			start_nap(poller);
	}
}

static enum sc_status open_wait(struct loop *loop, struct poller *poller, struct error *err)
{
	int rc;

	if (poller->config.fd < 0) {
		uv_timer_init(loop_uv(loop), &poller->nap);
		poller->nap.data = poller;
		return SC_OK;
	}
	rc = uv_poll_init(loop_uv(loop), &poller->readable, poller->config.fd);
	if (rc)
		return error_set(err, SC_E_IO, "poller: descriptor %d: %s", poller->config.fd,
				 uv_strerror(rc));
	poller->readable.data = poller;
	uv_poll_start(&poller->readable, UV_READABLE, on_readable);
	return SC_OK;
}

enum sc_status poller_create(struct loop *loop, const struct poller_config *config,
			     struct poller **poller_out, struct error *err)
{
	struct poller *poller = calloc(1, sizeof *poller);
	enum sc_status status;

	if (!poller)
		return error_set(err, SC_E_NOMEM, "poller: out of memory");
	poller->config = *config;
	if (!poller->config.idle_ms)
		poller->config.idle_ms = 1;
	poller->nap_ms = 1;
	poller->loop = loop;
	status = open_wait(loop, poller, err);
	if (status != SC_OK) {
		free(poller);
		return status;
	}
	list_append(&loop->pollers, &poller->node);
	loop_add_user(loop);
	loop_spin(loop, config->spin_us);
	*poller_out = poller;
	return SC_OK;
}

static void on_closed(uv_handle_t *handle)
{
	struct poller *poller = handle->data;

	list_remove(&poller->node);
	free(poller);
}

void poller_destroy(struct poller *poller)
{
	if (!poller)
		return;
	poller->is_destroyed = true;
	loop_remove_user(poller->loop);
	if (poller->config.fd < 0)
		uv_close((uv_handle_t *)&poller->nap, on_closed);
	else
		uv_close((uv_handle_t *)&poller->readable, on_closed);
}
