/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_LISTENER_H
#define STAGECOACH_GATEWAY_LISTENER_H
/*
 * listener - listening sockets: all addresses that HOST:PORT stands for, or one Unix socket.
 * Thread: the loop's thread alone. Opening may block on a name server; nothing else does.
 */
#include "base/error.h"

#include <stdbool.h>
#include <uv.h>

struct listener;

/* A client waits: to be accepted with uv_accept. */
typedef void listener_fn(void *arg, uv_stream_t *stream);

/* "0.0.0.0:8080", "[::]:8080" and "*:8080" are all addresses of this machine, IPv4 and IPv6.
 * SC_E_IO: err names the address and the reason. SC_E_INVALID: the address makes no sense. */
must_check enum sc_status listener_open_tcp(uv_loop_t *uv, const char *address, listener_fn *fn,
					    void *arg, struct listener **listener_out,
					    struct error *err);

/* Mode 0660. A socket that a dead process left behind is replaced; one that answers is not, nor
 * is anything else that has the name. */
must_check enum sc_status listener_open_unix(uv_loop_t *uv, const char *path, listener_fn *fn,
					     void *arg, struct listener **listener_out,
					     struct error *err);

/* Accept no more; the Unix socket's name goes, if it is still ours. Accepts NULL. */
void listener_close(struct listener *listener);

/* "127.0.0.1:8080", "[::]:8080" or the path. Borrowed until close. */
const char *listener_address(const struct listener *listener);

/* May other machines reach it? Loopback and Unix sockets are for this one. */
bool listener_is_exposed(const struct listener *listener);

#endif
