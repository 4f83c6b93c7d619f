/* SPDX-License-Identifier: Apache-2.0 */
/* The ucx port and fabric: context, worker, and received messages. See ucx.h. */
#include "transport/ucx.h"

#include "base/log.h"
#include "transport/fabrics.h"

#include <stdlib.h>

static struct ucx_fabric *fabric_of(struct remote_fabric *base)
{
	return (struct ucx_fabric *)base;
}

static ucs_status_t on_message(void *arg, const void *header, size_t n_header, void *data,
			       size_t n_bytes, const ucp_am_recv_param_t *param)
{
	struct remote_fabric *fabric = arg;
	struct envelope envelope;
	struct remote_link *link;
	struct error err;

	if (envelope_decode(header, n_header, &envelope, &err) != SC_OK) {
		log_debug("ucx: dropped a message that is none of ours");
		return UCS_OK;
	}
	if (envelope.kind != ENVELOPE_FRAME) {
		remote_dispatch(fabric, &envelope);
		return UCS_OK;
	}
	link = envelope.from ? remote_find_link(fabric, &envelope) : NULL;
	return link ? ucx_link_receive(link, &envelope, data, n_bytes, param->recv_attr) : UCS_OK;
}

/* Opening */

static enum sc_status ucx_error(struct error *err, ucs_status_t status, const char *what)
{
	return error_set(err, status == UCS_ERR_NO_MEMORY ? SC_E_NOMEM : SC_E_IO,
			 "ucx: %s: %s", what, ucs_status_string(status));
}

static enum sc_status open_context(struct ucx_port *port, unsigned n_peers, struct error *err)
{
	const ucp_params_t params = {
		.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_ESTIMATED_NUM_EPS |
			      UCP_PARAM_FIELD_NAME,
		.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP,
		.estimated_num_eps = n_peers,
		.name = "stagecoach",
	};
	ucp_config_t *config;
	ucs_status_t status;

	if (port->context)
		return SC_OK;
	ucx_env_set_defaults();
	status = ucp_config_read(NULL, NULL, &config);
	if (status != UCS_OK)
		return ucx_error(err, status, "reading the UCX_* variables");
	status = ucp_init(&params, config, &port->context);
	ucp_config_release(config);
	if (status != UCS_OK) {
		port->context = NULL;
		return ucx_error(err, status, "opening the context");
	}
	return SC_OK;
}

static enum sc_status open_worker(struct ucx_fabric *fabric, ucp_context_h context,
				  struct error *err)
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
	ucs_status_t status = ucp_worker_create(context, &params, &fabric->worker);

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

static bool progress(struct remote_fabric *base)
{
	return ucp_worker_progress(fabric_of(base)->worker) != 0;
}

static bool arm(void *arg)
{
	return ucp_worker_arm(((struct ucx_fabric *)arg)->worker) == UCS_OK;
}

static void destroy(struct remote_fabric *base)
{
	if (fabric_of(base)->worker)
		ucp_worker_destroy(fabric_of(base)->worker);
}

static enum sc_status start(struct ucx_fabric *fabric, struct error *err)
{
	static const struct poller_ops poller_ops = { .progress = remote_progress, .arm = arm };
	const struct poller_config poller = {
		.ops = &poller_ops,
		.arg = fabric,
		.fd = fabric->fd,
		.spin_us = fabric->base.base.config.spin_us,
	};
	ucp_address_t *native;
	size_t n_native;
	ucs_status_t ucx_status = ucp_worker_get_address(fabric->worker, &native, &n_native);
	enum sc_status status;

	if (ucx_status != UCS_OK)
		return ucx_error(err, ucx_status, "asking for the worker's address");
	if (n_native > ADDRESS_MAX_NATIVE)
		status = error_set(err, SC_E_TOO_LARGE, "ucx: the address has %zu bytes, expected "
				   "at most %d: set UCX_NET_DEVICES or UCX_TLS to fewer devices",
				   n_native, ADDRESS_MAX_NATIVE);
	else
		status = remote_fabric_start(&fabric->base, native, n_native, &poller, err);
	ucp_worker_release_address(fabric->worker, native);
	return status;
}

static const struct remote_ops remote_ucx = {
	.fabric = {
		.name = "ucx",
		.has_buffers = true,
		.close = remote_fabric_close,
		.address = remote_fabric_address,
		.connect = remote_link_connect,
		.send = remote_link_send,
		.close_link = remote_link_close,
	},
	.transport = "ucx ",
	.link_bytes = sizeof(struct ucx_link),
	.progress = progress,
	.destroy = destroy,
	.connect = ucx_link_connect,
	.post = ucx_link_post,
	.flush = ucx_link_flush,
	.end = ucx_link_end,
	.is_ended = ucx_link_is_ended,
};

enum sc_status fabric_ucx_open(struct ucx_port *port, const struct fabric_config *config,
			       struct fabric **fabric_out, struct error *err)
{
	struct ucx_fabric *fabric = calloc(1, sizeof *fabric);
	enum sc_status status;

	if (!fabric)
		return error_set(err, SC_E_NOMEM, "ucx: no memory");
	status = remote_fabric_init(&fabric->base, &remote_ucx, config, port->loop, &port->lot,
				    err);
	if (status == SC_OK)
		status = open_context(port, config->n_peers, err);
	if (status == SC_OK)
		status = open_worker(fabric, port->context, err);
	if (status == SC_OK)
		status = start(fabric, err);
	if (status != SC_OK) {
		remote_fabric_destroy(&fabric->base);
		return status;
	}
	*fabric_out = &fabric->base.base;
	return SC_OK;
}

/* The port */

enum sc_status ucx_port_open(struct loop *loop, struct ucx_port **port_out, struct error *err)
{
	struct ucx_port *port = calloc(1, sizeof *port);

	if (!port)
		return error_set(err, SC_E_NOMEM, "ucx: no memory");
	port->loop = loop;
	remote_lot_init(&port->lot);
	*port_out = port;
	return SC_OK;
}

void ucx_port_close(struct ucx_port *port)
{
	if (!port)
		return;
	/* UCX's context must outlive its workers, which a fabric that hangs keeps. */
	if (remote_lot_deinit(&port->lot) && port->context)
		ucp_cleanup(port->context);
	free(port);
}

unsigned ucx_port_n_parked(const struct ucx_port *port)
{
	return port->lot.n_parked;
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
