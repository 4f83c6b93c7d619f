/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CLIENT_WIRE_H
#define STAGECOACH_CLI_CLIENT_WIRE_H
/*
 * client_wire - the bytes between a client and its server: a socket and, if the target asks for it,
 * TLS on it.
 * Thread: the main thread. Opening blocks; nothing else does.
 */
#include "base/buf.h"
#include "base/error.h"
#include "cli/client_target.h"

#include <stdbool.h>
#include <stdint.h>

struct client_wire;

/* Connects and, with TLS, proves who the server is, for at most timeout_ms each. Borrows target
 * until the wire is closed. SC_E_UNAVAILABLE: nobody there. SC_E_PROTOCOL: the server has no TLS, or
 * its certificate is not the right one; err says what to do. SC_E_CONFIG, SC_E_IO: a file of the
 * target. SC_E_CANCELLED: a signal came. */
must_check enum sc_status client_wire_open(const struct client_target *target, int timeout_ms,
					   struct client_wire **wire_out, struct error *err);
/* Accepts NULL. */
void client_wire_close(struct client_wire *wire);

/* For poll. */
int client_wire_fd(const struct client_wire *wire);

/* Takes from output as much as the socket takes now. SC_E_CLOSED, without a text: the connection
 * broke. SC_E_NOMEM. */
must_check enum sc_status client_wire_send(struct client_wire *wire, struct buf *output,
					   struct error *err);
/* Has something come that poll does not tell of? */
bool client_wire_has_input(const struct client_wire *wire);
/* Does something wait for room in the socket? */
bool client_wire_has_output(struct client_wire *wire);

/* Gives what has come, borrowed until the next call; 0 bytes: nothing yet. SC_E_CLOSED, without a
 * text: the server closed the connection. SC_E_PROTOCOL: TLS failed. SC_E_NOMEM. */
must_check enum sc_status client_wire_receive(struct client_wire *wire, const void **bytes_out,
					      size_t *n_bytes_out, struct error *err);

#endif
