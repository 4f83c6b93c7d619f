/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/connections_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/net_address.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Clients learn of the end this long before calls are refused, so that calls already on their way
 * are served. */
#define DRAIN_NOTICE_MS 100
/* The time per turn of the loop for clients. It is granted three times per turn: for readable
 * sockets, for waiting input and for waiting output. */
#define TURN_NS (2 * NS_PER_MS)
/* A connection is costly if it took more than COSTLY_NS of about the last 100 ms. Costly
 * connections come after all others, so they wait for each other, and nobody waits for them. */
#define COSTLY_NS (2 * NS_PER_MS)
#define MEMORY_NS (100 * NS_PER_MS)
/* Time between two warnings of the same limit, so that clients that come and go do not fill the
 * log. */
#define QUIET_NS (60 * NS_PER_SECOND)

/* --- turns --- */

static void on_idle(uv_idle_t *idle);

static void begin_turn(struct connections *connections)
{
	connections->turn_ns = clock_ns();
}

bool connections_is_turn_over(struct connections *connections)
{
	uint64_t now_ns = clock_ns();

	if (!connections->turn_ns)
		connections->turn_ns = now_ns;
	return now_ns >= connections->turn_ns + TURN_NS;
}

/* Half of the time spent is forgotten every MEMORY_NS. */
static void forget_spent(struct connection *connection, uint64_t now_ns)
{
	while (connection->spent_ns && now_ns - connection->spent_until_ns >= MEMORY_NS) {
		connection->spent_ns /= 2;
		connection->spent_until_ns += MEMORY_NS;
	}
	if (!connection->spent_ns)
		connection->spent_until_ns = now_ns;
}

void connections_spend(struct connection *connection, uint64_t begin_ns)
{
	forget_spent(connection, clock_ns());
	connection->spent_ns += clock_thread_ns() - begin_ns;
}

bool connections_is_costly(struct connection *connection)
{
	if (connection->spent_ns > COSTLY_NS)
		forget_spent(connection, clock_ns());
	return connection->spent_ns > COSTLY_NS;
}

void connections_add_dirty(struct connections *connections, struct connection *connection)
{
	/* A waiting connection keeps its place. Otherwise streams that wake up at every step,
	 * always in the same order, would push the last one back for ever. */
	if (!list_is_empty(&connection->dirty))
		return;
	if (connections_is_costly(connection)) {
		connections_add_bulk(connections, connection);
		return;
	}
	list_append(&connections->dirty, &connection->dirty);
	uv_idle_start(&connections->idle, on_idle);
}

void connections_add_bulk(struct connections *connections, struct connection *connection)
{
	if (connection->is_bulk)
		return;
	list_remove(&connection->dirty);
	list_append(&connections->bulk, &connection->dirty);
	connection->is_bulk = true;
	uv_idle_start(&connections->idle, on_idle);
}

void connections_add_unread(struct connections *connections, struct connection *connection)
{
	struct list *place = &connections->unread;

	list_remove(&connection->unread);
	if (!connections_is_costly(connection)) {
		/* Costly connections are at the end. */
		while (place->prev != &connections->unread &&
		       connections_is_costly(list_entry(place->prev, struct connection, unread)))
			place = place->prev;
	}
	list_insert_before(place, &connection->unread);
	uv_idle_start(&connections->idle, on_idle);
}

static void read_waiting(struct connections *connections)
{
	begin_turn(connections);
	while (!list_is_empty(&connections->unread) && !connections_is_turn_over(connections)) {
		struct connection *connection = list_entry(connections->unread.next,
							   struct connection, unread);

		list_remove(&connection->unread);
		connection_read_slice(connection);
	}
}

static void flush_first(struct list *list)
{
	struct connection *connection = list_entry(list->next, struct connection, dirty);

	list_remove(&connection->dirty);
	connection->is_bulk = false;
	connection_flush(connection);
}

/* Flushes costly connections: one per turn, and more while there is time. */
static void flush_bulk(struct connections *connections)
{
	unsigned n = 0;

	while (!list_is_empty(&connections->bulk) &&
	       (!n++ || !connections_is_turn_over(connections)))
		flush_first(&connections->bulk);
}

static void flush_woken(struct connections *connections)
{
	struct list woken;

	/* Connections that wake up again below wait for the next turn. */
	list_init(&woken);
	list_for_each(node, &connections->dirty) {
		list_remove(node);
		list_append(&woken, node);
	}
	begin_turn(connections);
	while (!list_is_empty(&woken) && !connections_is_turn_over(connections))
		flush_first(&woken);
	/* Connections that had no turn are first in the next turn. */
	while (!list_is_empty(&woken)) {
		struct list *last = woken.prev;

		list_remove(last);
		list_prepend(&connections->dirty, last);
	}
}

static void on_idle(uv_idle_t *idle)
{
	struct connections *connections = idle->data;

	read_waiting(connections);
	flush_woken(connections);
	flush_bulk(connections);
	if (list_is_empty(&connections->unread) && list_is_empty(&connections->dirty) &&
	    list_is_empty(&connections->bulk))
		uv_idle_stop(idle);
}

/* The loop may sleep now, so the turn starts with the first client. */
static void on_prepare(uv_prepare_t *prepare)
{
	struct connections *connections = prepare->data;

	connections->turn_ns = 0;
}

/* --- newcomers --- */

static int init_stream(struct connection *connection, bool is_unix)
{
	uv_loop_t *uv = loop_uv(connection->owner->config.loop);

	if (is_unix)
		return uv_pipe_init(uv, &connection->pipe, 0);
	return uv_tcp_init(uv, &connection->tcp);
}

/* Takes fd, also on failure. */
static int open_stream(struct connection *connection, int fd, bool is_unix)
{
	int rc = is_unix ? uv_pipe_open(&connection->pipe, fd) : uv_tcp_open(&connection->tcp, fd);

	if (rc != 0)
		close(fd);
	return rc;
}

/* Sets the address. Returns false if the client has already gone. */
static bool find_peer(struct connection *connection, struct peer_key *key_out)
{
	struct sockaddr_storage address;
	int length = sizeof address;

	*key_out = peer_key_of(NULL);
	snprintf(connection->peer, sizeof connection->peer, "%s", CONNECTIONS_UNIX_PEER);
	if (connection->handle.type != UV_TCP)
		return true;
	if (uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&address, &length) != 0)
		return false;
	*key_out = peer_key_of((const struct sockaddr *)&address);
	net_address_format((const struct sockaddr *)&address, (socklen_t)length, connection->peer,
			   sizeof connection->peer);
	return true;
}

static void tell_full(struct connections *connections, enum limit limit)
{
	uint64_t now_ns = loop_now_ns(connections->config.loop);
	const char *setting = limit_table[limit].setting;

	if (now_ns < connections->quiet_until_ns[limit])
		return;
	connections->quiet_until_ns[limit] = now_ns + QUIET_NS;
	log_warning("gateway: the limit of %s is reached: new connections are refused, or replace "
		    "idle ones. To allow more, raise %s", limit_table[limit].name,
		    setting ? setting : "max-connections or max-peer-connections");
}

/* Ends a guest that has no calls, or that can only watch health. */
static void send_away(struct guest *guest)
{
	struct connection *connection = list_entry(guest, struct connection, guest);

	session_refuse_calls(&connection->session);
	connection_flush(connection);
	connection_close(connection);
}

static enum sc_status seat(struct connection *connection)
{
	struct connections *owner = connection->owner;
	struct admission_answer answer;
	struct peer_key key;

	if (!find_peer(connection, &key))
		return SC_E_CLOSED;
	answer = admission_ask(&owner->admission, key, connection->accepted_ns);
	if (answer.victim || answer.seat != SEAT_ORDINARY)
		tell_full(owner, answer.limit);
	if (answer.victim || answer.seat == SEAT_NONE)
		limit_refuse(owner->config.limits, answer.limit);
	if (answer.seat == SEAT_NONE)
		return SC_E_OVERLOADED;
	if (answer.victim)
		send_away(answer.victim);
	return admission_enter(&owner->admission, key, answer.seat, connection->accepted_ns,
			       &connection->guest);
}

bool connections_is_restricted(struct connections *connections, struct connection *connection)
{
	struct guest *guest = &connection->guest;
	struct admission_answer answer;

	if (guest->seat == SEAT_ORDINARY)
		return false;
	answer = admission_ask_again(&connections->admission, guest,
				     loop_now_ns(connections->config.loop));
	/* A guest of the Unix socket may do anything in its reserved seat, so nobody has to leave
	 * for it. */
	if (answer.seat == SEAT_NONE || (answer.victim && guest->seat == SEAT_RESERVED))
		return guest->seat == SEAT_RESTRICTED;
	if (answer.victim) {
		limit_refuse(connections->config.limits, answer.limit);
		send_away(answer.victim);
	}
	admission_promote(&connections->admission, guest);
	connection->idle_since_ns = UINT64_MAX;
	return false;
}

void connections_accept(struct connections *connections, int fd, bool is_unix)
{
	struct connection *connection = calloc(1, sizeof *connection);

	if (!connection) {
		close(fd);
		return;
	}
	connection->owner = connections;
	connection->timer_ns = UINT64_MAX;
	connection->accepted_ns = loop_now_ns(connections->config.loop);
	connection->idle_since_ns = connection->accepted_ns;
	connection->patience_ns = connection->accepted_ns +
				  connections->config.preface_ms * NS_PER_MS;
	list_init(&connection->node);
	list_init(&connection->dirty);
	list_init(&connection->unread);
	buf_init(&connection->input);
	buf_init(&connection->plain);
	buf_init(&connection->output);
	if (init_stream(connection, is_unix) != 0) {
		close(fd);
		free(connection);
		return;
	}
	connection->handle.data = connection;
	list_append(&connections->list, &connection->node);
	connections->count++;
	if (open_stream(connection, fd, is_unix) != 0 || seat(connection) != SC_OK ||
	    connection_start(connection) != SC_OK)
		connection_close(connection);
}

/* --- end --- */

static void on_drain_timer(void *arg)
{
	struct connections *connections = arg;

	connections->drain = DRAIN_REFUSE;
	list_for_each(node, &connections->list) {
		struct connection *connection = list_entry(node, struct connection, node);

		session_refuse_calls(&connection->session);
		connection_flush(connection);
	}
}

void connections_drain(struct connections *connections)
{
	connections->drain = DRAIN_ANNOUNCE;
	list_for_each(node, &connections->list) {
		struct connection *connection = list_entry(node, struct connection, node);

		session_announce_end(&connection->session);
		connections_add_dirty(connections, connection);
	}
	timer_start(connections->drain_timer, DRAIN_NOTICE_MS, 0);
}

void connections_set_tls(struct connections *connections, struct tls_credentials *credentials)
{
	if (credentials)
		tls_credentials_ref(credentials);
	tls_credentials_unref(connections->credentials);
	connections->credentials = credentials;
}

unsigned connections_count(const struct connections *connections)
{
	return connections->count;
}

enum sc_status connections_create(const struct connections_config *config,
				  struct connections **connections_out)
{
	struct connections *connections = calloc(1, sizeof *connections);
	uv_loop_t *uv = loop_uv(config->loop);

	if (!connections)
		return SC_E_NOMEM;
	if (timer_create_on(config->loop, on_drain_timer, connections,
			    &connections->drain_timer) != SC_OK) {
		free(connections);
		return SC_E_NOMEM;
	}
	connections->config = *config;
	admission_init(&connections->admission, config->max, config->max_per_peer);
	list_init(&connections->list);
	list_init(&connections->dirty);
	list_init(&connections->bulk);
	list_init(&connections->unread);
	uv_idle_init(uv, &connections->idle);
	uv_prepare_init(uv, &connections->prepare);
	connections->n_handles = 2;
	connections->idle.data = connections;
	connections->prepare.data = connections;
	uv_prepare_start(&connections->prepare, on_prepare);
	uv_unref((uv_handle_t *)&connections->prepare);
	*connections_out = connections;
	return SC_OK;
}

static void on_owner_closed(uv_handle_t *handle)
{
	struct connections *connections = handle->data;

	if (--connections->n_handles)
		return;
	admission_deinit(&connections->admission);
	free(connections);
}

/* Ends of calls in this turn of the loop still reach their clients, and other calls get a reason
 * instead of a cut connection. */
static void say_goodbye(struct connection *connection)
{
	connection_flush(connection);
	if (connection->is_closing)
		return;
	session_end_calls(&connection->session, "the server is stopping");
	connection_flush(connection);
}

void connections_destroy(struct connections *connections)
{
	if (!connections)
		return;
	list_for_each(node, &connections->list) {
		struct connection *connection = list_entry(node, struct connection, node);

		say_goodbye(connection);
		connection_close(connection);
	}
	tls_credentials_unref(connections->credentials);
	uv_close((uv_handle_t *)&connections->idle, on_owner_closed);
	uv_close((uv_handle_t *)&connections->prepare, on_owner_closed);
	timer_destroy(connections->drain_timer);
}
