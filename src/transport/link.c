/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/link.h"

#include <assert.h>

void fabric_close(struct fabric *fabric)
{
	if (fabric)
		fabric->ops->close(fabric);
}

const char *fabric_name(const struct fabric *fabric)
{
	return fabric->ops->name;
}

size_t fabric_link_bytes(const struct fabric_config *config)
{
	return config->credits * (config->max_payload + FRAME_HEADER_BYTES);
}

size_t fabric_buffer_bytes(const struct fabric *fabric)
{
	return fabric->ops->has_buffers ? fabric_link_bytes(&fabric->config) : 0;
}

void fabric_address(const struct fabric *fabric, const void **address_out, size_t *n_bytes_out)
{
	fabric->ops->address(fabric, address_out, n_bytes_out);
}

enum sc_status fabric_connect(struct fabric *fabric, unsigned peer, const void *address,
			      size_t n_bytes, const struct link_events *events, void *arg,
			      struct link **link_out, struct error *err)
{
	const struct fabric_config *config = &fabric->config;

	assert(events->on_frame && events->on_down);
	if (peer >= config->n_ranks || peer == config->rank)
		return error_set(err, SC_E_INVALID,
				 "%s link of rank %u: peer %u, expected another rank below %u",
				 fabric_name(fabric), config->rank, peer, config->n_ranks);
	return fabric->ops->connect(fabric, peer, address, n_bytes, events, arg, link_out, err);
}

enum sc_status link_send(struct link *link, struct frame *frame)
{
	return link->fabric->ops->send(link, frame);
}

void link_close(struct link *link)
{
	if (link)
		link->fabric->ops->close_link(link);
}
