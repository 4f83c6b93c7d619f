/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/channel_listener.h"

#include "base/clock.h"
#include "base/integers.h"
#include "base/log.h"
#include "net/interface.h"
#include "net/listener.h"
#include "net/net_address.h"
#include "transport/strangers.h"
#include "transport/tls_channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_LISTENERS 8
#define HANDSHAKE_MS 5000
#define MAX_STRANGERS 64
#define MAX_STRANGERS_PER_ADDRESS 16
#define QUIET_MS 60000		/* between two warnings */

struct channel_listener {
	struct channel_listener_config config;	/* address and keys: NULL */
	struct listener *listeners[MAX_LISTENERS];
	unsigned n_listeners;
	struct tls_context *context;
	struct tls_channels *channels;
	struct strangers strangers;
	struct channel_listener_counts counts;
	uint64_t quiet_until_ns;	/* no warning before */
	uint64_t n_failed;		/* since the last warning */
};

/* A handshake that is going on. */
struct guest {
	struct stranger stranger;
	struct channel_listener *listener;
	struct tls_channel *channel;
	char peer[64];
};

/* --- the end of a handshake --- */

static void drop(struct guest *guest)
{
	strangers_remove(&guest->listener->strangers, &guest->stranger);
	free(guest);
}

/* One line a minute, with what came first after the last line: a flood of strangers must not be a
 * flood of warnings. */
static void warn(struct channel_listener *listener, const char *peer, const struct error *err)
{
	uint64_t now_ns = loop_now_ns(listener->config.loop);

	log_debug("cluster: %s: %s", peer, err->text);
	listener->n_failed++;
	if (now_ns < listener->quiet_until_ns)
		return;
	listener->quiet_until_ns = now_ns + QUIET_MS * NS_PER_MS;
	log_warning("cluster: %s is no member: %s (%llu such connections since the last warning)",
		    peer, err->text, (unsigned long long)listener->n_failed);
	listener->n_failed = 0;
}

static void on_secure(void *arg, struct channel *channel, const char *key_id)
{
	struct guest *guest = arg;
	struct channel_listener *listener = guest->listener;

	drop(guest);
	listener->counts.accepted++;
	listener->config.on_accept(listener->config.arg, channel, key_id);
}

static void on_failed(void *arg, const struct error *err, bool was_connected)
{
	struct guest *guest = arg;
	struct channel_listener *listener = guest->listener;

	(void)was_connected;
	if (err->status == SC_E_TIMEOUT)
		listener->counts.expired++;
	else
		listener->counts.refused++;
	warn(listener, guest->peer, err);
	drop(guest);
}

static const struct tls_channel_events events = {
	.on_secure = on_secure,
	.on_failed = on_failed,
};

/* --- the beginning --- */

static struct guest *guest_of(struct stranger *stranger)
{
	return (struct guest *)((char *)stranger - offsetof(struct guest, stranger));
}

static void note_who_has_spoken(struct channel_listener *listener)
{
	list_for_each(node, &listener->strangers.all) {
		struct stranger *stranger = list_entry(node, struct stranger, node);

		stranger->has_spoken = tls_channel_has_spoken(guest_of(stranger)->channel);
	}
}

static void make_room(struct channel_listener *listener, struct guest *newcomer)
{
	struct stranger *victim;

	if (listener->strangers.n <= listener->strangers.max_per_address &&
	    listener->strangers.n <= listener->strangers.max)
		return;
	note_who_has_spoken(listener);
	while ((victim = strangers_victim(&listener->strangers, &newcomer->stranger)) != NULL) {
		listener->counts.displaced++;
		tls_channel_abort(guest_of(victim)->channel);
		drop(guest_of(victim));
	}
}

static void describe(struct guest *guest, int fd, bool is_unix, struct sockaddr_storage *address)
{
	socklen_t length = sizeof *address;

	memset(address, 0, sizeof *address);
	if (is_unix || getpeername(fd, (struct sockaddr *)address, &length) != 0)
		snprintf(guest->peer, sizeof guest->peer, "%s",
			 is_unix ? "a Unix socket" : "unknown address");
	else
		net_address_format((struct sockaddr *)address, length, guest->peer,
				   sizeof guest->peer);
}

static void on_client(void *arg, int fd, bool is_unix)
{
	struct channel_listener *listener = arg;
	struct guest *guest = calloc(1, sizeof *guest);
	struct sockaddr_storage address;
	struct tls_channel_config config = {
		.role = TLS_LISTENS,
		.handshake_ms = listener->config.handshake_ms,
		.is_unix = is_unix,
		.events = &events,
		.arg = guest,
	};
	struct error err;

	if (!guest) {
		close(fd);
		return;
	}
	guest->listener = listener;
	describe(guest, fd, is_unix, &address);
	config.peer = guest->peer;
	if (tls_channel_open(listener->channels, listener->context, fd, &config, &guest->channel,
			     &err) != SC_OK) {
		warn(listener, guest->peer, &err);
		free(guest);
		return;
	}
	strangers_add(&listener->strangers, &guest->stranger,
		      address.ss_family == AF_INET || address.ss_family == AF_INET6 ?
		      (struct sockaddr *)&address : NULL);
	make_room(listener, guest);
}

/* --- listening --- */

static enum sc_status listen_on(struct channel_listener *listener, const char *address,
				struct error *err)
{
	struct listener **slot = &listener->listeners[listener->n_listeners];
	uv_loop_t *uv = loop_uv(listener->config.loop);
	enum sc_status status = *address == '/' ?
		listener_open_unix(uv, address, on_client, listener, slot, err) :
		listener_open_tcp(uv, address, on_client, listener, slot, err);

	if (status == SC_OK)
		listener->n_listeners++;
	return status;
}

static enum sc_status find_addresses(const char *interface, struct net_address *found_out,
				     unsigned *n_out, struct error *err)
{
	*n_out = interface_addresses(interface, found_out, MAX_LISTENERS);
	return *n_out ? SC_OK : error_set(err, SC_E_IO, "%s: this network interface has no address",
					  interface);
}

/* Listens on all addresses of the interface, with one port. */
static enum sc_status listen_on_interface(struct channel_listener *listener,
					  const struct net_address *address, struct error *err)
{
	struct net_address found[MAX_LISTENERS];
	char port[sizeof found[0].port];
	unsigned n;
	enum sc_status status = find_addresses(address->host, found, &n, err);

	snprintf(port, sizeof port, "%s", address->port);
	for (unsigned i = 0; status == SC_OK && i < n; i++) {
		char text[300];

		snprintf(text, sizeof text, strchr(found[i].host, ':') ? "[%s]:%s" : "%s:%s",
			 found[i].host, port);
		status = listen_on(listener, text, err);
		/* Port 0 is one free port, the first address's. */
		if (status == SC_OK)
			snprintf(port, sizeof port, "%s",
				 strrchr(listener_address(listener->listeners[i]), ':') + 1);
	}
	return status;
}

static enum sc_status start(struct channel_listener *listener, const char *address,
			    struct error *err)
{
	struct net_address parsed;
	enum sc_status status;

	if (*address == '/')
		return listen_on(listener, address, err);
	status = net_address_parse(address, &parsed, err);
	if (status == SC_OK && interface_exists(parsed.host))
		return listen_on_interface(listener, &parsed, err);
	return status == SC_OK ? listen_on(listener, address, err) : status;
}

enum sc_status channel_listener_check(const char *address, struct error *err)
{
	struct net_address parsed, found[MAX_LISTENERS];
	enum sc_status status;
	unsigned n;

	if (*address == '/')
		return listener_check_unix(address, err);
	status = net_address_parse(address, &parsed, err);
	if (status == SC_OK && interface_exists(parsed.host))
		return find_addresses(parsed.host, found, &n, err);
	return status == SC_OK ? listener_check_tcp(address, err) : status;
}

enum sc_status channel_listener_create(const struct channel_listener_config *config,
				       struct channel_listener **listener_out, struct error *err)
{
	struct channel_listener *listener = calloc(1, sizeof *listener);
	enum sc_status status;

	if (!listener)
		return error_set(err, SC_E_NOMEM, "%s: out of memory", config->address);
	listener->config = *config;
	listener->config.address = NULL;
	listener->config.keys = NULL;
	listener->config.handshake_ms = or_default(config->handshake_ms, HANDSHAKE_MS);
	strangers_init(&listener->strangers, or_default(config->max_strangers, MAX_STRANGERS),
		       or_default(config->max_strangers_per_address, MAX_STRANGERS_PER_ADDRESS));
	status = tls_context_create(config->keys, &listener->context, err);
	if (status != SC_OK)
		goto fail;
	status = tls_channels_create(config->loop, config->dead_ms, &listener->channels);
	if (status != SC_OK) {
		error_set(err, status, "%s: out of memory", config->address);
		goto fail;
	}
	status = start(listener, config->address, err);
	if (status != SC_OK)
		goto fail;
	*listener_out = listener;
	return SC_OK;
fail:
	channel_listener_close(listener);
	return status;
}

void channel_listener_close(struct channel_listener *listener)
{
	if (!listener)
		return;
	for (unsigned i = 0; i < listener->n_listeners; i++)
		listener_close(listener->listeners[i]);
	list_for_each(node, &listener->strangers.all) {
		struct guest *guest = guest_of(list_entry(node, struct stranger, node));

		tls_channel_abort(guest->channel);
		drop(guest);
	}
	tls_channels_close(listener->channels);
	tls_context_destroy(listener->context);
	free(listener);
}

enum sc_status channel_listener_set_keys(struct channel_listener *listener,
					 const struct cluster_keys *keys, struct error *err)
{
	struct tls_context *context;
	enum sc_status status = tls_context_create(keys, &context, err);

	if (status != SC_OK)
		return status;
	tls_context_destroy(listener->context);
	listener->context = context;
	return SC_OK;
}

const char *channel_listener_address(const struct channel_listener *listener)
{
	return listener_address(listener->listeners[0]);
}

bool channel_listener_is_exposed(const struct channel_listener *listener)
{
	for (unsigned i = 0; i < listener->n_listeners; i++)
		if (listener_is_exposed(listener->listeners[i]))
			return true;
	return false;
}

void channel_listener_count(const struct channel_listener *listener,
			    struct channel_listener_counts *counts_out)
{
	*counts_out = listener->counts;
	counts_out->n_strangers = listener->strangers.n;
}
