/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_CONNECTIONS_PRIVATE_H
#define STAGECOACH_GATEWAY_CONNECTIONS_PRIVATE_H
/* connections_private - shared by connections.c (admission and turns), connection.c (reading,
 * writing and time limits of one connection), connection_session.c and connection_tls.c. */
#include "base/buf.h"
#include "base/list.h"
#include "gateway/admission.h"
#include "gateway/connections.h"
#include "gateway/first_bytes.h"
#include "gateway/session.h"
#include "gateway/tls_filter.h"

#define CONNECTION_READ_BYTES 32768

enum drain { DRAIN_NONE, DRAIN_ANNOUNCE, DRAIN_REFUSE };

struct connections {
	uv_idle_t idle;		/* runs while some connection is on one of the lists */
	uv_prepare_t prepare;	/* runs before the loop polls its sockets: starts a new turn */
	struct timer *drain_timer;
	unsigned n_handles;	/* handles that are not closed yet */
	struct connections_config config;
	struct admission admission;
	struct tls_credentials *credentials;	/* NULL: no TLS */
	unsigned count;
	uint64_t quiet_until_ns[N_LIMITS];	/* no warning of this limit before this time */
	uint64_t last_client;	/* id of the newest connection; ids start at 1 */
	uint64_t turn_ns;	/* when work for clients started in this turn; 0: not yet */
	enum drain drain;	/* what new sessions are told */
	struct list list;
	struct list dirty;	/* woken connections: flushed in the loop's next turn */
	struct list bulk;	/* connections with more output than a
				 * turn allows: flushed after dirty */
	struct list unread;	/* connections with unprocessed input, first come first served */
	char read_buffer[CONNECTION_READ_BYTES];
};

struct connection {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	};
	struct timer *timer;
	uv_write_t write;
	uv_shutdown_t shutdown;
	struct list node;
	struct list dirty;	/* in the owner's dirty or bulk */
	struct list unread;
	struct connections *owner;
	struct session session;	/* there is one when speaks is known */
	struct guest guest;
	char peer[80];		/* its address, for logs */
	struct first_bytes first;
	enum speaks speaks;
	struct tls_filter *tls;	/* NULL: no TLS, or the client has not begun */
	struct buf input;	/* read, but not yet passed to the session, or to tls */
	struct buf plain;	/* out of tls, but not yet passed to the session */
	struct buf output;	/* being written */
	uint64_t accepted_ns;
	uint64_t idle_since_ns;	/* UINT64_MAX: there are open calls */
	uint64_t patience_ns;	/* time limit for its preface, or for reading our last words */
	uint64_t written_ns;	/* when the socket last accepted some of the write */
	size_t n_unwritten;	/* bytes of the write left at that time */
	uint64_t timer_ns;	/* time that the timer is set for */
	size_t n_discarded;	/* bytes received after the end */
	size_t max_discarded;	/* more are not read */
	uint64_t spent_ns;	/* time that its input and output took recently */
	uint64_t spent_until_ns;	/* when spent_ns was last reduced */
	bool demands_tls;	/* the client must begin with TLS */
	bool has_said_bye;	/* in TLS */
	bool has_heard_bye;
	bool is_answered;	/* a client that speaks TLS where there is none, or the reverse */
	bool is_bulk;		/* dirty is in the owner's bulk */
	bool is_writing;
	bool is_paused;		/* reading has stopped because the session wants no input */
	bool is_ending;		/* reading has stopped; closed when the last words are sent */
	bool is_shut;		/* the last words are sent: waits for the client to close */
	bool is_closing;
};

/* --- connection.c --- */

/* Starts a connection: accepted_ns is set, the stream is accepted, and the guest is seated. */
must_check enum sc_status connection_start(struct connection *connection);
void connection_close(struct connection *connection);
/* Writes what the session has to send and sets timers. May close the connection. */
void connection_flush(struct connection *connection);
/* Passes a slice of the input to the session. Reading continues when no input is left. */
void connection_read_slice(struct connection *connection);

/* --- connection_session.c: all bytes between the socket and the session pass here --- */

/* Passes on what the client sent: to first_bytes until the protocol is known, then to a session of
 * that protocol; with TLS to plain. SC_E_PROTOCOL: the client breaks the protocol, or speaks none
 * of this server. SC_E_CLOSED: TLS has ended. SC_E_NOMEM. */
must_check enum sc_status connection_take(struct connection *connection, const char *bytes,
					  size_t n_bytes, struct error *err);
/* The same for at most n_max bytes that came out of TLS and wait in plain. */
must_check enum sc_status connection_take_plain(struct connection *connection, size_t n_max,
						struct error *err);
/* Fills the empty output with what there is to send. */
must_check enum sc_status connection_gather(struct connection *connection);

/* --- connection_tls.c: for connection_session.c, where the client must speak TLS --- */

/* Bytes of the client: begins TLS, and adds what they hold to plain. Errors as of connection_take.
 * When the client says that it sends no more, has_heard_bye is set, and the error comes when
 * nothing waits in plain. */
must_check enum sc_status connection_take_sealed(struct connection *connection, const void *bytes,
						 size_t n_bytes, struct error *err);
/* Replaces the output by its encrypted form, with what TLS itself has to say. SC_E_NOMEM. */
must_check enum sc_status connection_seal(struct connection *connection);
/* Everything is sent, and nothing more will be. Returns true if that must be said in TLS:
 * connection_gather then gives the words. */
bool connection_says_bye(struct connection *connection);

/* --- connections.c --- */

/* Flushes the connection in the loop's next turn. A connection that already waits in dirty or bulk
 * keeps its place. */
void connections_add_dirty(struct connections *connections, struct connection *connection);
/* The connection has more output than a turn allows: flushes it further after the others' turns. */
void connections_add_bulk(struct connections *connections, struct connection *connection);
/* Processes the connection's input in the loop's next turn. */
void connections_add_unread(struct connections *connections, struct connection *connection);
/* A call came that reserved connections may not make. Returns true if the connection is reserved
 * and there is still no ordinary seat for it. */
bool connections_is_restricted(struct connections *connections, struct connection *connection);
/* Counts the loop's work for the connection since begin_ns (of clock_thread_ns). */
void connections_spend(struct connection *connection, uint64_t begin_ns);
/* Returns true if the connection recently took more of the loop's time than others should wait
 * for. */
bool connections_is_costly(struct connection *connection);
/* Returns true if clients have used up their time in this turn of the loop. */
bool connections_is_turn_over(struct connections *connections);

#endif
