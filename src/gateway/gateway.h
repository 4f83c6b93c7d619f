/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_GATEWAY_H
#define STAGECOACH_GATEWAY_GATEWAY_H
/*
 * gateway - the server of clients over TCP and a Unix socket: stagecoach.v1 and grpc.health.v1 over
 * gRPC, and the routes of its owner over HTTP/1.1, on the same addresses.
 * Owns sockets, sessions and calls. Holds jobs only as a watcher.
 * Thread: the loop's thread only. Nothing blocks.
 */
#include "base/error.h"
#include "event/loop.h"
#include "gateway/access.h"
#include "http/http_session.h"

#include <stdbool.h>
#include <stddef.h>

/* Time limit for a client to prove that it speaks HTTP. */
#define GATEWAY_PREFACE_MS 10000
/* There is room for this many of the largest requests, even if max_bytes is smaller. */
#define GATEWAY_BUDGET_MESSAGES 8
/* Tables of routes in a configuration. */
#define GATEWAY_MAX_ROUTES 7

struct chat_format;
struct engine;
struct gateway;
struct work_pool;

struct gateway_config {
	struct loop *loop;
	struct engine *engine;		/* borrowed until destroy */
	const struct chat_format *chat_format;	/* borrowed until destroy; NULL: the
						 * model cannot chat */
	const char *listen;		/* as listener.h has it; port 0: any free one;
					 * NULL or "": none */
	const char *socket_path;	/* NULL or "": none */
	unsigned max_connections;
	unsigned max_peer_connections;	/* per address; 0: half of max_connections */
	unsigned idle_ms;		/* of a connection without calls; 0: no limit */
	unsigned max_streams;		/* per connection */
	size_t max_message;		/* bytes of a request message */
	unsigned request_ms;		/* time limit for a request to arrive; 0: none */
	unsigned stall_ms;		/* time limit for a client to take
					 * some of its answers; 0: none */
	const struct access_settings *access;	/* of TCP; NULL: all may use it */
	/* For HTTP/1.1, borrowed until destroy: at most GATEWAY_MAX_ROUTES tables, and who is told
	 * of every request. GET / is the gateway's if no table has it. */
	const struct http_routes *routes;
	size_t n_routes;
	const struct http_observer *observer;	/* NULL: none */
	const char *model_name;		/* in metrics; NULL: the model's own */
	bool logs_requests;		/* a line in the log for each request */
	size_t max_bytes;		/* bytes of requests and answers of all clients together */
};

/* Binds and listens at once, and answers requests from then on (UNAVAILABLE while loading).
 * SC_E_IO: err names the address and the reason ("127.0.0.1:8080: Address already in use"). The
 * Unix socket of a dead process is replaced, that of a living process is not. SC_E_INVALID: the
 * address is malformed. From then on the process ignores SIGPIPE. */
must_check enum sc_status gateway_create(const struct gateway_config *config,
					 struct gateway **gateway_out, struct error *err);
/* Whether its addresses can be served, without doing so; "" or NULL: none. A port in use is not
 * noticed, so that the check works beside a running server. Errors as above. */
must_check enum sc_status gateway_check_addresses(const char *listen, const char *socket_path,
						  struct error *err);
/* Closes everything. Calls in progress end with UNAVAILABLE; attached jobs are cancelled. Accepts
 * NULL. */
void gateway_destroy(struct gateway *gateway);

/* Loads the settings again: keys hold for the next request, TLS for the next connection. On failure
 * nothing changes. Errors as of access_load. */
must_check enum sc_status gateway_load_access(struct gateway *gateway,
					      const struct access_settings *settings,
					      struct error *err);

/* The helper threads for long requests, for the owner's routes, too. Borrowed until destroy. */
struct work_pool *gateway_pool(const struct gateway *gateway);

/* From now on. */
void gateway_log_requests(struct gateway *gateway, bool is_wanted);

/* Call when the engine takes no more jobs: health answers NOT_SERVING from now on. Everything
 * else is still answered, also to new clients, so that the end can be watched. */
void gateway_drain(struct gateway *gateway);

/* Call when the last jobs are over: closes the listeners and tells the clients to go. Calls in
 * progress continue. */
void gateway_close(struct gateway *gateway);

/* Call when the engine's phase changed: tells the watchers of health. */
void gateway_phase_changed(struct gateway *gateway);

/* "127.0.0.1:8080" as bound, "" without TCP. Borrowed. */
const char *gateway_address(const struct gateway *gateway);

/* Does TCP need a key, or TLS? */
bool gateway_has_keys(const struct gateway *gateway);
bool gateway_has_tls(const struct gateway *gateway);

/* May other machines reach the TCP address? */
bool gateway_is_exposed(const struct gateway *gateway);

#endif
