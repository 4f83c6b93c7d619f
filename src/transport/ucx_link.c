/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoint of one link. It is always closed by force, after goodbye and farewell. Closing by
 * flush may lose data that the peer has not read yet, and UCX 1.13 aborts the process later if a
 * rendezvous was in progress.
 */
#include "transport/ucx.h"

#include <stdlib.h>
#include <string.h>

static struct ucx_link *link_of(struct remote_link *base)
{
	return (struct ucx_link *)base;
}

static ucp_worker_h worker_of(const struct remote_link *link)
{
	return ((struct ucx_fabric *)link->base.fabric)->worker;
}

/* Opening */

static void on_endpoint_error(void *arg, ucp_ep_h ep, ucs_status_t status)
{
	(void)ep;
	remote_fail(arg, SC_E_CLOSED, "connection reset: %s", ucs_status_string(status));
}

enum sc_status ucx_link_connect(struct remote_link *base, const struct fabric_address *address,
				struct error *err)
{
	const ucp_ep_params_t params = {
		.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLER |
			      UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE,
		.address = address->native,
		.err_mode = UCP_ERR_HANDLING_MODE_PEER,
		.err_handler = { .cb = on_endpoint_error, .arg = base },
	};
	struct ucx_link *link = link_of(base);
	ucs_status_t status = ucp_ep_create(worker_of(base), &params, &link->ep);

	(void)err;
	if (status != UCS_OK) {
		link->ep = NULL;
		remote_fail(base, SC_E_CLOSED, "cannot connect: %s (UCX_TLS=%s)",
			    ucs_status_string(status), getenv("UCX_TLS") ? getenv("UCX_TLS") : "");
	}
	return SC_OK;
}

/* Sending */

static void finish(struct remote_message *message, ucs_status_t status)
{
	remote_sent(message, status == UCS_OK ? NULL : ucs_status_string(status));
}

static void on_sent(void *request, ucs_status_t status, void *arg)
{
	ucp_request_free(request);
	finish(arg, status);
}

static void follow(struct remote_message *message, ucs_status_ptr_t request)
{
	if (!request || UCS_PTR_IS_ERR(request))
		finish(message, UCS_PTR_STATUS(request));
}

void ucx_link_post(struct remote_link *base, struct remote_message *message)
{
	const ucp_request_param_t param = {
		.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
				UCP_OP_ATTR_FIELD_MEMORY_TYPE,
		.cb.send = on_sent,
		.user_data = message,
		.memory_type = UCS_MEMORY_TYPE_HOST,
	};
	const struct frame *frame = message->frame;

	follow(message, ucp_am_send_nbx(link_of(base)->ep, UCX_AM_ID, message->envelope,
					ENVELOPE_BYTES, frame ? frame->data : NULL,
					frame ? FRAME_HEADER_BYTES + (size_t)frame->n_bytes : 0,
					&param));
}

void ucx_link_flush(struct remote_link *base, struct remote_message *message)
{
	const ucp_request_param_t param = {
		.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA,
		.cb.send = on_sent,
		.user_data = message,
	};

	follow(message, ucp_ep_flush_nbx(link_of(base)->ep, &param));
}

/* Receiving */

static void on_received(void *request, ucs_status_t status, size_t length, void *arg)
{
	struct remote_arrival *arrival = arg;

	ucp_request_free(request);
	arrival->link->n_receiving--;
	if (status != UCS_OK)
		remote_fail(arrival->link, SC_E_CLOSED, "connection reset: %s",
			    ucs_status_string(status));
	else
		remote_finish(arrival, length);
}

static ucs_status_t start_rendezvous(struct remote_arrival *arrival, void *data, size_t n_bytes)
{
	const ucp_request_param_t param = {
		.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
				UCP_OP_ATTR_FIELD_MEMORY_TYPE,
		.cb.recv_am = on_received,
		.user_data = arrival,
		.memory_type = UCS_MEMORY_TYPE_HOST,
	};
	ucs_status_ptr_t request = ucp_am_recv_data_nbx(worker_of(arrival->link), data,
							arrival->frame->data, n_bytes, &param);

	if (UCS_PTR_IS_ERR(request))
		remote_fail(arrival->link, SC_E_CLOSED, "receive failed: %s",
			    ucs_status_string(UCS_PTR_STATUS(request)));
	else if (request)
		arrival->link->n_receiving++;
	else
		remote_finish(arrival, n_bytes);
	return UCS_INPROGRESS;
}

ucs_status_t ucx_link_receive(struct remote_link *link, const struct envelope *envelope, void *data,
			      size_t n_bytes, uint64_t attributes)
{
	struct remote_arrival *arrival;

	remote_take_credits(link, envelope);
	/* The owner of a closed link reads no more frames. */
	if (link->is_closed || link->is_failed)
		return UCS_OK;
	arrival = remote_begin(link, envelope->sequence, n_bytes);
	if (!arrival)
		return UCS_OK;
	if (attributes & UCP_AM_RECV_ATTR_FLAG_RNDV)
		return start_rendezvous(arrival, data, n_bytes);
	/* UCX takes eager data back when the handler returns. Where it could be kept
	 * (ATTR_FLAG_DATA), it is not aligned as a frame must be. */
	memcpy(arrival->frame->data, data, n_bytes);
	remote_finish(arrival, n_bytes);
	return UCS_OK;
}

/* Closing */

void ucx_link_end(struct remote_link *base)
{
	const ucp_request_param_t param = {
		.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
		.flags = UCP_EP_CLOSE_FLAG_FORCE,
	};
	struct ucx_link *link = link_of(base);

	if (!link->ep)
		return;
	link->close_request = ucp_ep_close_nbx(link->ep, &param);
	link->ep = NULL;
	if (UCS_PTR_IS_ERR(link->close_request))
		link->close_request = NULL;
}

bool ucx_link_is_ended(struct remote_link *base)
{
	struct ucx_link *link = link_of(base);

	if (link->close_request &&
	    ucp_request_check_status(link->close_request) != UCS_INPROGRESS) {
		ucp_request_free(link->close_request);
		link->close_request = NULL;
	}
	return !link->close_request;
}
