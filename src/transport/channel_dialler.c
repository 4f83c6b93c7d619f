/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/channel_dialler.h"

#include "base/clock.h"
#include "base/integers.h"
#include "net/net_address.h"
#include "transport/backoff.h"
#include "transport/tls_channel.h"

#include <assert.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define CONNECT_MS 3000
#define HANDSHAKE_MS 5000
#define MIN_BACKOFF_MS 100
#define MAX_BACKOFF_MS 5000
#define STABLE_MS 10000
#define MAX_FOUND 8		/* addresses that one name stands for */

enum dialler_state {
	DIALLER_WAITS,		/* for the next round */
	DIALLER_RESOLVES,
	DIALLER_CONNECTS,	/* or shakes hands */
	DIALLER_RESTS,		/* on_up was called */
};

/* A question to a name server outlives its dialler: libuv cannot always take it back. */
struct lookup {
	uv_getaddrinfo_t uv;
	struct channel_dialler *dialler;	/* NULL: nobody waits for the answer */
};

struct found {
	struct sockaddr_storage address;
	socklen_t length;
};

struct channel_dialler {
	struct channel_dialler_config config;	/* addresses and keys: NULL */
	char *addresses[DIALLER_MAX_ADDRESSES];
	struct tls_context *context;
	struct tls_channels *channels;
	struct backoff backoff;
	struct timer *timer;		/* the next round, or the end of a lookup */
	enum dialler_state state;
	uint64_t up_ns;			/* when on_up was called */
	unsigned key;			/* that is offered first */
	/* The round: */
	struct error fault;		/* why each address failed */
	unsigned at;			/* the address of the list */
	struct lookup *lookup;		/* while DIALLER_RESOLVES */
	struct found found[MAX_FOUND];	/* what it stands for */
	unsigned n_found;
	unsigned n_tried;		/* of found */
	bool is_all_refused;		/* every address of this round so far */
	bool is_second_key;		/* the first has failed at this address */
	struct tls_channel *channel;	/* while DIALLER_CONNECTS */
};

static void try_next(struct channel_dialler *dialler);

static unsigned offered_key(const struct channel_dialler *dialler)
{
	return dialler->is_second_key ? 1 - dialler->key : dialler->key;
}

/* --- rounds --- */

/* "HOST:PORT (10.0.0.3:7070): why; ..." */
static void note_fault(struct channel_dialler *dialler, const char *peer, const char *why)
{
	const char *address = dialler->addresses[dialler->at];
	struct error *fault = &dialler->fault;
	size_t length = fault->status == SC_OK ? 0 : strlen(fault->text);
	bool is_same = !peer || !strcmp(peer, address);

	fault->status = dialler->is_all_refused ? SC_E_CLOSED : SC_E_UNAVAILABLE;
	snprintf(fault->text + length, sizeof fault->text - length, "%s%s%s%s%s: %s",
		 length ? "; " : "", address, is_same ? "" : " (", is_same ? "" : peer,
		 is_same ? "" : ")", why);
}

static void end_round(struct channel_dialler *dialler)
{
	const struct channel_dialler_events *events = dialler->config.events;
	unsigned wait_ms = backoff_next_ms(&dialler->backoff);
	struct error fault = dialler->fault;

	dialler->state = DIALLER_WAITS;
	timer_start(dialler->timer, wait_ms, 0);
	if (events->on_failed)
		events->on_failed(dialler->config.arg, &fault, wait_ms);
}

static void begin_round(struct channel_dialler *dialler)
{
	dialler->fault = (struct error){ .status = SC_OK };
	dialler->is_all_refused = true;
	dialler->at = 0;
	dialler->n_found = dialler->n_tried = 0;
	dialler->is_second_key = false;
	dialler->state = DIALLER_RESOLVES;
	try_next(dialler);
}

/* --- names --- */

static void add_found(struct channel_dialler *dialler, const struct sockaddr *address,
		      socklen_t length)
{
	struct found *found = &dialler->found[dialler->n_found];

	if (dialler->n_found == MAX_FOUND || length > sizeof found->address)
		return;
	for (unsigned i = 0; i < dialler->n_found; i++)
		if (dialler->found[i].length == length &&
		    !memcmp(&dialler->found[i].address, address, length))
			return;
	memcpy(&found->address, address, length);
	found->length = length;
	dialler->n_found++;
}

static void add_all_found(struct channel_dialler *dialler, const struct addrinfo *list)
{
	for (; list; list = list->ai_next)
		add_found(dialler, list->ai_addr, list->ai_addrlen);
}

/* The name stands for nothing: on to the next address. */
static void give_up_name(struct channel_dialler *dialler, const char *why)
{
	dialler->is_all_refused = false;
	note_fault(dialler, NULL, why);
	dialler->at++;
	try_next(dialler);
}

static void forget_lookup(struct channel_dialler *dialler)
{
	if (!dialler->lookup)
		return;
	dialler->lookup->dialler = NULL;
	(void)uv_cancel((uv_req_t *)&dialler->lookup->uv);
	dialler->lookup = NULL;
}

static void on_lookup(uv_getaddrinfo_t *uv, int rc, struct addrinfo *list)
{
	struct lookup *lookup = (struct lookup *)uv;
	struct channel_dialler *dialler = lookup->dialler;

	free(lookup);
	if (dialler) {
		dialler->lookup = NULL;
		timer_stop(dialler->timer);
		add_all_found(dialler, list);
	}
	uv_freeaddrinfo(list);
	if (!dialler)
		return;
	if (rc == 0 && dialler->n_found)
		try_next(dialler);
	else
		give_up_name(dialler, rc ? uv_strerror(rc) : "the name has no address");
}

static void ask_name_server(struct channel_dialler *dialler, const struct net_address *address,
			    const struct addrinfo *hints)
{
	struct lookup *lookup = calloc(1, sizeof *lookup);
	int rc = UV_ENOMEM;

	if (lookup) {
		lookup->dialler = dialler;
		rc = uv_getaddrinfo(loop_uv(dialler->config.loop), &lookup->uv, on_lookup,
				    address->host, address->port, hints);
	}
	if (rc != 0) {
		free(lookup);
		give_up_name(dialler, uv_strerror(rc));
		return;
	}
	dialler->lookup = lookup;
	dialler->state = DIALLER_RESOLVES;
	timer_start(dialler->timer, dialler->config.connect_ms, 0);
}

/* A number needs no name server, so no thread. */
static void resolve(struct channel_dialler *dialler)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST,
	};
	const char *text = dialler->addresses[dialler->at];
	struct sockaddr_un unix_address;
	struct addrinfo *list = NULL;
	struct net_address address;

	dialler->n_found = dialler->n_tried = 0;
	if (*text == '/') {
		if (net_address_unix(text, &unix_address, NULL) == SC_OK)
			add_found(dialler, (struct sockaddr *)&unix_address, sizeof unix_address);
		try_next(dialler);
		return;
	}
	if (net_address_parse(text, &address, NULL) != SC_OK) {
		give_up_name(dialler, "expected HOST:PORT");
		return;
	}
	if (getaddrinfo(address.host, address.port, &hints, &list) == 0) {
		add_all_found(dialler, list);
		freeaddrinfo(list);
		try_next(dialler);
		return;
	}
	hints.ai_flags = AI_NUMERICSERV;
	ask_name_server(dialler, &address, &hints);
}

/* --- attempts --- */

static void on_secure(void *arg, struct channel *channel, const char *key_id)
{
	struct channel_dialler *dialler = arg;

	dialler->channel = NULL;
	dialler->key = offered_key(dialler);
	dialler->state = DIALLER_RESTS;
	dialler->up_ns = loop_now_ns(dialler->config.loop);
	dialler->config.events->on_up(dialler->config.arg, channel, key_id);
}

static void describe(const struct found *found, char *text, size_t n_bytes)
{
	const struct sockaddr *address = (const struct sockaddr *)&found->address;

	if (address->sa_family == AF_UNIX)
		snprintf(text, n_bytes, "%s", ((const struct sockaddr_un *)address)->sun_path);
	else
		net_address_format(address, found->length, text, n_bytes);
}

/* A listener says nothing about why it closes: the likely reason is worth a word. */
static void note_attempt(struct channel_dialler *dialler, const struct error *err,
			 bool was_connected)
{
	const char *key_id = tls_context_key_id(dialler->context, offered_key(dialler));
	char peer[128], why[ERROR_TEXT_MAX + 100];

	describe(&dialler->found[dialler->n_tried], peer, sizeof peer);
	if (was_connected || strcmp(err->text, uv_strerror(UV_ECONNREFUSED)) != 0)
		dialler->is_all_refused = false;
	if (was_connected && err->status != SC_E_TIMEOUT)
		snprintf(why, sizeof why, "%s (is key '%s' in its cluster key file?)", err->text,
			 key_id);
	else
		snprintf(why, sizeof why, "%s", err->text);
	note_fault(dialler, peer, why);
}

/* The address that was tried is done with. After the last one the next of the list is due. */
static void leave_found(struct channel_dialler *dialler)
{
	dialler->is_second_key = false;
	if (++dialler->n_tried == dialler->n_found)
		dialler->at++;
}

static void on_failed(void *arg, const struct error *err, bool was_connected)
{
	struct channel_dialler *dialler = arg;

	dialler->channel = NULL;
	note_attempt(dialler, err, was_connected);
	if (was_connected && !dialler->is_second_key &&
	    tls_context_n_keys(dialler->context) == 2)
		dialler->is_second_key = true;
	else
		leave_found(dialler);
	try_next(dialler);
}

static const struct tls_channel_events tls_events = {
	.on_secure = on_secure,
	.on_failed = on_failed,
};

/* The socket connects in the background. Returns -1 and sets errno if it cannot even begin. */
static int begin_connect(const struct found *found)
{
	int fd = socket(found->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int saved;

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&found->address, found->length) == 0 ||
	    errno == EINPROGRESS)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static enum sc_status attempt(struct channel_dialler *dialler, const struct found *found,
			      struct error *err)
{
	char peer[128];
	struct tls_channel_config config = {
		.role = TLS_DIALS,
		.key = offered_key(dialler),
		.connect_ms = dialler->config.connect_ms,
		.handshake_ms = dialler->config.handshake_ms,
		.is_unix = found->address.ss_family == AF_UNIX,
		.peer = peer,
		.events = &tls_events,
		.arg = dialler,
	};
	int fd = begin_connect(found);

	if (fd < 0)
		return error_set(err, SC_E_CLOSED, "%s", uv_strerror(-errno));
	describe(found, peer, sizeof peer);
	return tls_channel_open(dialler->channels, dialler->context, fd, &config,
				&dialler->channel, err);
}

/* Tries what is next in the round: an address that was found, else the next of the list. */
static void try_next(struct channel_dialler *dialler)
{
	while (dialler->n_tried < dialler->n_found) {
		struct error err;

		if (attempt(dialler, &dialler->found[dialler->n_tried], &err) == SC_OK) {
			dialler->state = DIALLER_CONNECTS;
			return;
		}
		note_attempt(dialler, &err, false);
		leave_found(dialler);
	}
	if (dialler->at < dialler->config.n_addresses)
		resolve(dialler);
	else
		end_round(dialler);
}

static void on_timer(void *arg)
{
	struct channel_dialler *dialler = arg;

	if (dialler->state == DIALLER_RESOLVES) {
		forget_lookup(dialler);
		give_up_name(dialler, "no answer from the name server");
	} else {
		begin_round(dialler);
	}
}

/* --- the dialler --- */

static void set_config(struct channel_dialler *dialler, const struct channel_dialler_config *given)
{
	struct channel_dialler_config *config = &dialler->config;
	uint64_t seed = 1;

	*config = *given;
	config->addresses = NULL;
	config->keys = NULL;
	config->connect_ms = or_default(given->connect_ms, CONNECT_MS);
	config->handshake_ms = or_default(given->handshake_ms, HANDSHAKE_MS);
	config->stable_ms = or_default(given->stable_ms, STABLE_MS);
	(void)gnutls_rnd(GNUTLS_RND_NONCE, &seed, sizeof seed);
	backoff_init(&dialler->backoff, or_default(given->min_backoff_ms, MIN_BACKOFF_MS),
		     or_default(given->max_backoff_ms, MAX_BACKOFF_MS), seed);
}

static enum sc_status check_address(const char *text, struct error *err)
{
	struct sockaddr_un unix_address;
	struct net_address address;

	return *text == '/' ? net_address_unix(text, &unix_address, err)
			    : net_address_parse(text, &address, err);
}

static enum sc_status copy_addresses(struct channel_dialler *dialler,
				     const struct channel_dialler_config *config, struct error *err)
{
	if (!config->n_addresses || config->n_addresses > DIALLER_MAX_ADDRESSES)
		return error_set(err, SC_E_INVALID, "%u addresses of the coordinator, expected 1 "
				 "to %d", config->n_addresses, DIALLER_MAX_ADDRESSES);
	for (unsigned i = 0; i < config->n_addresses; i++) {
		enum sc_status status = check_address(config->addresses[i], err);

		if (status != SC_OK)
			return status;
		dialler->addresses[i] = strdup(config->addresses[i]);
		if (!dialler->addresses[i])
			return error_set(err, SC_E_NOMEM, "%s: out of memory",
					 config->addresses[i]);
	}
	return SC_OK;
}

enum sc_status channel_dialler_create(const struct channel_dialler_config *config,
				      struct channel_dialler **dialler_out, struct error *err)
{
	struct channel_dialler *dialler = calloc(1, sizeof *dialler);
	enum sc_status status;

	if (!dialler)
		return error_set(err, SC_E_NOMEM, "out of memory");
	set_config(dialler, config);
	status = copy_addresses(dialler, config, err);
	if (status == SC_OK)
		status = tls_context_create(config->keys, &dialler->context, err);
	if (status != SC_OK)
		goto fail;
	status = tls_channels_create(config->loop, config->dead_ms, &dialler->channels);
	if (status == SC_OK)
		status = timer_create_on(config->loop, on_timer, dialler, &dialler->timer);
	if (status != SC_OK) {
		error_set(err, status, "out of memory");
		goto fail;
	}
	dialler->state = DIALLER_WAITS;
	timer_start(dialler->timer, 0, 0);
	*dialler_out = dialler;
	return SC_OK;
fail:
	channel_dialler_destroy(dialler);
	return status;
}

void channel_dialler_destroy(struct channel_dialler *dialler)
{
	if (!dialler)
		return;
	forget_lookup(dialler);
	if (dialler->channel)
		tls_channel_abort(dialler->channel);
	tls_channels_close(dialler->channels);
	tls_context_destroy(dialler->context);
	timer_destroy(dialler->timer);
	for (unsigned i = 0; i < DIALLER_MAX_ADDRESSES; i++)
		free(dialler->addresses[i]);
	free(dialler);
}

void channel_dialler_again(struct channel_dialler *dialler)
{
	uint64_t lived_ns = loop_now_ns(dialler->config.loop) - dialler->up_ns;
	bool was_stable = lived_ns >= dialler->config.stable_ms * NS_PER_MS;

	if (dialler->state != DIALLER_RESTS)
		return;
	if (was_stable)
		backoff_reset(&dialler->backoff);
	dialler->state = DIALLER_WAITS;
	timer_start(dialler->timer, was_stable ? 0 : backoff_next_ms(&dialler->backoff), 0);
}

enum sc_status channel_dialler_set_keys(struct channel_dialler *dialler,
					const struct cluster_keys *keys, struct error *err)
{
	struct tls_context *context;
	enum sc_status status = tls_context_create(keys, &context, err);

	if (status != SC_OK)
		return status;
	tls_context_destroy(dialler->context);
	dialler->context = context;
	dialler->key = 0;
	dialler->is_second_key = false;
	return SC_OK;
}
