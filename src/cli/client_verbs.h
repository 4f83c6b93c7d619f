/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CLIENT_VERBS_H
#define STAGECOACH_CLI_CLIENT_VERBS_H
/*
 * client_verbs - what the verbs that talk to a server have in common: how they begin and end.
 * Thread: the main thread.
 */
#include "base/error.h"
#include "cli/client.h"
#include "config/config.h"

/* From here on signals end waits; connects to the server that config means. SC_E_UNAVAILABLE: no
 * server. */
must_check enum sc_status client_begin(const struct config *config, struct client **client_out,
				       struct error *err);

/* Say what went wrong, if anything, and return the exit code. Silent when a signal ended the verb
 * or when nobody reads standard output any more. */
int client_end(enum sc_status status, const struct error *err);

/* One error on standard error. */
void client_complain(const struct error *err);

/* What the server finds odd about a request, on standard error. */
void client_warn(char *const *warnings, size_t n_warnings);

/* Flush standard output. SC_E_IO: it takes no more. */
must_check enum sc_status client_flush(struct error *err);

/* A message as a line of JSON on standard output, flushed. SC_E_IO, SC_E_NOMEM. */
must_check enum sc_status client_print_json(const ProtobufCMessage *message, struct error *err);

#endif
