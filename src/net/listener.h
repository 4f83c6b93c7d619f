/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_NET_LISTENER_H
#define STAGECOACH_NET_LISTENER_H
/*
 * listener - listening sockets: all addresses of a HOST:PORT, or one Unix socket.
 * Thread: the loop's thread only. Opening may block on a name server; nothing else blocks.
 */
#include "base/error.h"

#include <stdbool.h>
#include <uv.h>

struct listener;

/* A client has come. Takes fd, a connected socket that does not block. Must not close the listener.
 * Clients that find no file descriptor free are not told of: their connections are closed, with a
 * warning once a minute.
 * Where even that cannot be done, clients wait in the kernel's queue, and the listener tries again
 * every 100 ms. */
typedef void listener_fn(void *arg, int fd, bool is_unix);

/* "0.0.0.0:8080", "[::]:8080" and "*:8080" are all addresses of this machine, IPv4 and IPv6.
 * SC_E_IO: err names the address and the reason. SC_E_INVALID: the address makes no sense. */
must_check enum sc_status listener_open_tcp(uv_loop_t *uv, const char *address, listener_fn *fn,
					    void *arg, struct listener **listener_out,
					    struct error *err);

/* Makes a socket with mode 0660. The socket of a dead process is replaced. A socket that answers is
 * not, and no other kind of file is. */
must_check enum sc_status listener_open_unix(uv_loop_t *uv, const char *path, listener_fn *fn,
					     void *arg, struct listener **listener_out,
					     struct error *err);

/* Whether the two above could succeed, as far as that can be told beside a server that is running:
 * the address makes sense and belongs to this machine; the directory of the socket can be written
 * to. Ports and sockets in use are not noticed. Errors as above. */
must_check enum sc_status listener_check_tcp(const char *address, struct error *err);
must_check enum sc_status listener_check_unix(const char *path, struct error *err);

/* Takes the clients that have come, but had no turn of the loop yet. listener_close resets them
 * otherwise, although to them they are connected. Passes on some hundred clients at most. */
void listener_take_waiting(struct listener *listener);

/* Stops accepting. Removes the Unix socket's path if it is still ours. Accepts NULL. */
void listener_close(struct listener *listener);

/* "127.0.0.1:8080", "[::]:8080" or the path. Borrowed until close. */
const char *listener_address(const struct listener *listener);

/* May other machines reach it? Loopback and Unix sockets are for this one. */
bool listener_is_exposed(const struct listener *listener);

#endif
