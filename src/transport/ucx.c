/* SPDX-License-Identifier: Apache-2.0 */
/* The ucx fabric: its context and worker, its poller, and the dispatch of messages. See ucx.h. */
#include "transport/ucx.h"

#include "base/clock.h"
#include "base/log.h"
#include "transport/fabrics.h"

#include <stdlib.h>
#include <time.h>

#define CLOSE_LIMIT_MS 3000	/* after that UCX's memory is leaked: destroying it
				 * while requests are pending aborts the process */

static const struct fabric_ops link_fabric_ucx;

static struct ucx_link *find_link(struct ucx_fabric *fabric, const struct envelope *envelope)
{
	list_for_each(node, &fabric->links) {
		struct ucx_link *link = list_entry(node, struct ucx_link, in_fabric);

		if (link->base.peer == envelope->peer && link->peer_id == envelope->from &&
		    (link->id == envelope->to || fabric->id == envelope->to))
			return link;
	}
	return NULL;
}

/* Finds the link that a hello is for: the link that it names, or a link that does not know its peer
 * yet. */
static struct ucx_link *find_greeting(struct ucx_fabric *fabric, const struct envelope *envelope)
{
	list_for_each(node, &fabric->links) {
		struct ucx_link *link = list_entry(node, struct ucx_link, in_fabric);

		if (link->base.peer == envelope->peer && !link->peer_id &&
		    link->state == UCX_LINK_GREETING &&
		    is_same_fabric(link->peer_fabric, envelope->from) &&
		    (link->id == envelope->to || fabric->id == envelope->to))
			return link;
	}
	return NULL;
}

static void receive_hello(struct ucx_fabric *fabric, const struct envelope *envelope)
{
	struct ucx_link *link = find_link(fabric, envelope);

	if (link)
		return;
	link = find_greeting(fabric, envelope);
	if (link) {
		ucx_link_greet(link, envelope);
		return;
	}
	fabric->hellos[envelope->peer] = *envelope;
	link = fabric->by_peer[envelope->peer];
	if (link)
		ucx_link_replace(link);
}

static ucs_status_t on_message(void *arg, const void *header, size_t n_header, void *data,
			       size_t n_bytes, const ucp_am_recv_param_t *param)
{
	struct ucx_fabric *fabric = arg;
	struct envelope envelope;
	struct ucx_link *link;
	struct error err;

	if (envelope_decode(header, n_header, &envelope, &err) != SC_OK ||
	    envelope.peer >= fabric->base.config.n_peers || !envelope.from ||
	    !is_same_fabric(envelope.to, fabric->id)) {
		log_debug("ucx: dropped a message that is none of ours");
		return UCS_OK;
	}
	if (envelope.kind == ENVELOPE_HELLO) {
		receive_hello(fabric, &envelope);
		return UCS_OK;
	}
	link = find_link(fabric, &envelope);
	if (link)
		return ucx_link_receive(link, &envelope, data, n_bytes, param->recv_attr);
	if (envelope.kind == ENVELOPE_GOODBYE &&
	    fabric->hellos[envelope.peer].from == envelope.from)
		fabric->hellos[envelope.peer].from = 0;
	return UCS_OK;
}

/* Opening */

static enum sc_status ucx_error(struct error *err, ucs_status_t status, const char *what)
{
	return error_set(err, status == UCS_ERR_NO_MEMORY ? SC_E_NOMEM : SC_E_IO,
			 "ucx: %s: %s", what, ucs_status_string(status));
}

static enum sc_status open_context(struct ucx_fabric *fabric, struct error *err)
{
	const ucp_params_t params = {
		.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_ESTIMATED_NUM_EPS |
			      UCP_PARAM_FIELD_NAME,
		.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP,
		.estimated_num_eps = fabric->base.config.n_peers,
		.name = "stagecoach",
	};
	ucp_config_t *config;
	ucs_status_t status = ucp_config_read(NULL, NULL, &config);

	if (status != UCS_OK)
		return ucx_error(err, status, "reading the UCX_* variables");
	status = ucp_init(&params, config, &fabric->context);
	ucp_config_release(config);
	if (status != UCS_OK) {
		fabric->context = NULL;
		return ucx_error(err, status, "opening the context");
	}
	return SC_OK;
}

static enum sc_status open_worker(struct ucx_fabric *fabric, struct error *err)
{
	const ucp_worker_params_t params = {
		.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
		.thread_mode = UCS_THREAD_MODE_SERIALIZED,
	};
	const ucp_am_handler_param_t handler = {
		.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
			      UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG,
		.id = UCX_AM_ID,
		.flags = UCP_AM_FLAG_WHOLE_MSG,
		.cb = on_message,
		.arg = fabric,
	};
	ucs_status_t status = ucp_worker_create(fabric->context, &params, &fabric->worker);

	if (status != UCS_OK) {
		fabric->worker = NULL;
		return ucx_error(err, status, "opening the worker");
	}
	status = ucp_worker_set_am_recv_handler(fabric->worker, &handler);
	if (status != UCS_OK)
		return ucx_error(err, status, "setting the receive handler");
	status = ucp_worker_get_efd(fabric->worker, &fabric->fd);
	if (status != UCS_OK)
		return ucx_error(err, status, "asking for the event descriptor");
	return SC_OK;
}

static enum sc_status make_address(struct ucx_fabric *fabric, struct error *err)
{
	struct fabric_address address = {
		.transport = UCX_TRANSPORT,
		.peer = fabric->base.config.self,
		.id = fabric->id,
	};
	ucp_address_t *native;
	size_t n_native;
	ucs_status_t ucx_status = ucp_worker_get_address(fabric->worker, &native, &n_native);
	enum sc_status status;

	if (ucx_status != UCS_OK)
		return ucx_error(err, ucx_status, "asking for the worker's address");
	if (n_native > ADDRESS_MAX_NATIVE) {
		ucp_worker_release_address(fabric->worker, native);
		return error_set(err, SC_E_TOO_LARGE, "ucx: the address has %zu bytes, expected at "
				 "most %d: set UCX_NET_DEVICES or UCX_TLS to fewer devices",
				 n_native,
				 ADDRESS_MAX_NATIVE);
	}
	address.native = native;
	address.n_native = (uint32_t)n_native;
	status = address_encode(&address, &fabric->address, &fabric->n_address);
	ucp_worker_release_address(fabric->worker, native);
	return status;
}

/* Progress */

static void destroy(struct ucx_fabric *fabric);

static bool progress(void *arg)
{
	struct ucx_fabric *fabric = arg;
	bool is_news;

	if (fabric->is_busy)
		return false;
	fabric->is_busy = true;
	is_news = ucp_worker_progress(fabric->worker) != 0;
	list_for_each(node, &fabric->links)
		is_news |= ucx_link_advance(list_entry(node, struct ucx_link, in_fabric));
	fabric->is_busy = false;
	if (fabric->is_closed)
		destroy(fabric);
	return is_news;
}

static bool arm(void *arg)
{
	struct ucx_fabric *fabric = arg;

	return ucp_worker_arm(fabric->worker) == UCS_OK;
}

static const struct poller_ops poller_ops = { .progress = progress, .arm = arm };

static void on_wake(void *arg)
{
	(void)progress(arg);
}

static bool is_lingering(const struct ucx_link *link)
{
	return link->is_closed || link->is_replaced || link->state == UCX_LINK_FLUSHING ||
	       link->state == UCX_LINK_ENDING;
}

static void on_timer(void *arg)
{
	struct ucx_fabric *fabric = arg;
	bool is_needed = false;

	list_for_each(node, &fabric->links)
		is_needed |= is_lingering(list_entry(node, struct ucx_link, in_fabric));
	if (!is_needed)
		timer_stop(fabric->timer);
	(void)progress(fabric);
}

static enum sc_status join_loop(struct ucx_fabric *fabric, struct error *err)
{
	const struct poller_config poller = {
		.ops = &poller_ops,
		.arg = fabric,
		.fd = fabric->fd,
		.spin_us = fabric->base.config.spin_us,
	};

	if (wake_create(fabric->loop, on_wake, fabric, &fabric->wake) != SC_OK ||
	    timer_create_on(fabric->loop, on_timer, fabric, &fabric->timer) != SC_OK)
		return error_set(err, SC_E_NOMEM, "ucx: no memory for the loop's objects");
	return poller_create(fabric->loop, &poller, &fabric->poller, err);
}

/* Closing */

static void leave_loop(struct ucx_fabric *fabric)
{
	if (fabric->poller)
		poller_destroy(fabric->poller);
	if (fabric->timer)
		timer_destroy(fabric->timer);
	if (fabric->wake)
		wake_destroy(fabric->wake);
}

/* Lets all links say goodbye and waits for their requests. Returns false if some did not finish. */
static bool drain(struct ucx_fabric *fabric)
{
	uint64_t limit = clock_ns() + CLOSE_LIMIT_MS * NS_PER_MS;
	const struct timespec nap = { .tv_nsec = 20000 };

	list_for_each(node, &fabric->links) {
		struct ucx_link *link = list_entry(node, struct ucx_link, in_fabric);

		if (!link->is_closed)
			ucx_link_close(&link->base);
	}
	while (!list_is_empty(&fabric->links) && clock_ns() < limit) {
		bool is_news = ucp_worker_progress(fabric->worker) != 0;

		list_for_each(node, &fabric->links)
			is_news |= ucx_link_advance(list_entry(node, struct ucx_link, in_fabric));
		if (!is_news)
			nanosleep(&nap, NULL);
	}
	return list_is_empty(&fabric->links);
}

static void destroy(struct ucx_fabric *fabric)
{
	if (!drain(fabric)) {
		/* UCX may still use this memory, so freeing it would be worse than leaking it. */
		log_warning("ucx: requests did not come back within %d ms of closing",
			    CLOSE_LIMIT_MS);
		list_for_each(node, &fabric->links)
			ucx_link_abandon(list_entry(node, struct ucx_link, in_fabric));
		leave_loop(fabric);
		return;
	}
	leave_loop(fabric);
	if (fabric->worker)
		ucp_worker_destroy(fabric->worker);
	if (fabric->context)
		ucp_cleanup(fabric->context);
	free(fabric->address);
	free(fabric->by_peer);
	free(fabric->hellos);
	free(fabric);
}

static void ucx_close(struct fabric *base)
{
	struct ucx_fabric *fabric = (struct ucx_fabric *)base;

	if (!fabric->is_busy) {
		destroy(fabric);
		return;
	}
	list_for_each(node, &fabric->links) {
		struct ucx_link *link = list_entry(node, struct ucx_link, in_fabric);

		if (!link->is_closed)
			ucx_link_close(&link->base);
	}
	fabric->is_closed = true;
}

static void ucx_address(const struct fabric *base, const void **address_out, size_t *n_bytes_out)
{
	const struct ucx_fabric *fabric = (const struct ucx_fabric *)base;

	*address_out = fabric->address;
	*n_bytes_out = fabric->n_address;
}

static const struct fabric_ops link_fabric_ucx = {
	.name = "ucx",
	.has_buffers = true,
	.close = ucx_close,
	.address = ucx_address,
	.connect = ucx_link_connect,
	.send = ucx_link_send,
	.close_link = ucx_link_close,
};

enum sc_status fabric_ucx_open(struct ucx_port *port, const struct fabric_config *config,
			       struct fabric **fabric_out, struct error *err)
{
	struct ucx_fabric *fabric;
	enum sc_status status = SC_E_NOMEM;

	ucx_env_set_defaults();
	fabric = calloc(1, sizeof *fabric);
	if (!fabric)
		return error_set(err, SC_E_NOMEM, "ucx: no memory");
	fabric->base = (struct fabric){ .ops = &link_fabric_ucx, .config = *config };
	fabric->loop = port->loop;
	list_init(&fabric->links);
	fabric->by_peer = calloc(config->n_peers, sizeof *fabric->by_peer);
	fabric->hellos = calloc(config->n_peers, sizeof *fabric->hellos);
	if (!fabric->by_peer || !fabric->hellos || address_make_id(&fabric->id) != SC_OK) {
		error_set(err, status, "ucx: no memory for %u peers", config->n_peers);
		goto fail;
	}
	fabric->last_id = fabric->id;
	if ((status = open_context(fabric, err)) != SC_OK ||
	    (status = open_worker(fabric, err)) != SC_OK ||
	    (status = make_address(fabric, err)) != SC_OK ||
	    (status = join_loop(fabric, err)) != SC_OK)
		goto fail;
	*fabric_out = &fabric->base;
	return SC_OK;
fail:
	destroy(fabric);
	return status;
}

enum sc_status ucx_port_open(struct loop *loop, struct ucx_port **port_out, struct error *err)
{
	struct ucx_port *port = calloc(1, sizeof *port);

	if (!port)
		return error_set(err, SC_E_NOMEM, "ucx: no memory");
	port->loop = loop;
	*port_out = port;
	return SC_OK;
}

void ucx_port_close(struct ucx_port *port)
{
	free(port);
}

static enum sc_status open_at(void *arg, const struct fabric_config *config,
			      struct fabric **fabric_out, struct error *err)
{
	return fabric_ucx_open(arg, config, fabric_out, err);
}

struct fabric_source ucx_source(struct ucx_port *port)
{
	return (struct fabric_source){
		.open = open_at,
		.arg = port,
		.name = "ucx",
		.has_buffers = true,
		.survives_losses = true,
	};
}
