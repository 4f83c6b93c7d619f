/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/link.h"

#include <assert.h>
#include <stdlib.h>

enum sc_status fabric_init(struct fabric *fabric, const struct fabric_ops *ops,
			   const struct fabric_config *config)
{
	*fabric = (struct fabric){ .ops = ops, .config = *config };
	fabric->links = calloc(config->n_peers, sizeof fabric->links[0]);
	return fabric->links ? SC_OK : SC_E_NOMEM;
}

void fabric_deinit(struct fabric *fabric)
{
	free(fabric->links);
	fabric->links = NULL;
}

enum sc_status fabric_open(const struct fabric_source *source, const struct fabric_config *config,
			   struct fabric **fabric_out, struct error *err)
{
	if (config->self >= config->n_peers)
		return error_set(err, SC_E_INVALID, "%s: peer %u, expected a number below %u",
				 source->name, config->self, config->n_peers);
	return source->open(source->arg, config, fabric_out, err);
}

void fabric_close(struct fabric *fabric)
{
	if (fabric)
		fabric->ops->close(fabric);
}

const char *fabric_name(const struct fabric *fabric)
{
	return fabric->ops->name;
}

bool fabric_has_buffers(const struct fabric *fabric)
{
	return fabric->ops->has_buffers;
}

size_t link_buffer_bytes(const struct link_config *config)
{
	return config->credits * (config->max_payload + FRAME_HEADER_BYTES);
}

void fabric_address(const struct fabric *fabric, const void **address_out, size_t *n_bytes_out)
{
	fabric->ops->address(fabric, address_out, n_bytes_out);
}

static enum sc_status check_connect(const struct fabric *fabric, unsigned peer,
				    const struct link_config *config, struct error *err)
{
	if (peer >= fabric->config.n_peers || peer == fabric->config.self)
		return error_set(err, SC_E_INVALID, "%s link from %u to %u: expected another peer "
				 "below %u", fabric_name(fabric), fabric->config.self, peer,
				 fabric->config.n_peers);
	if (fabric->links[peer])
		return error_set(err, SC_E_EXISTS, "%s: there is already a link to peer %u",
				 fabric_name(fabric), peer);
	if (config->credits > LINK_MAX_CREDITS || config->max_payload > LINK_MAX_PAYLOAD)
		return error_set(err, SC_E_INVALID, "%s link to peer %u: %u credits for frames of "
				 "%zu bytes, expected at most %d and %zu", fabric_name(fabric),
				 peer, config->credits, config->max_payload, LINK_MAX_CREDITS,
				 LINK_MAX_PAYLOAD);
	return SC_OK;
}

enum sc_status fabric_connect(struct fabric *fabric, unsigned peer, const void *address,
			      size_t n_bytes, const struct link_config *config,
			      const struct link_events *events, void *arg, struct link **link_out,
			      struct error *err)
{
	enum sc_status status = check_connect(fabric, peer, config, err);

	assert(events->on_frame && events->on_down);
	if (status != SC_OK)
		return status;
	status = fabric->ops->connect(fabric, peer, address, n_bytes, config, events, arg,
				      &fabric->links[peer], err);
	if (status == SC_OK)
		*link_out = fabric->links[peer];
	return status;
}

enum sc_status link_send(struct link *link, struct frame *frame)
{
	return link->fabric->ops->send(link, frame);
}

void link_close(struct link *link)
{
	if (!link)
		return;
	link->fabric->links[link->peer] = NULL;
	link->fabric->ops->close_link(link);
}
