/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_SESSION_H
#define STAGECOACH_CLI_SESSION_H
/*
 * session - a model that is loaded in this process and asked many things one after the other:
 * coordinator, stages, loopback links, and a loop that the caller turns.
 * Ctrl-C and SIGTERM end the turning, not the process.
 * Thread: the caller's, which becomes the loop's.
 */
#include "cli/wiring.h"

struct session;

/* Blocks until the pipeline is ready, with the progress on standard error. config and model are
 * borrowed until close. SC_E_CANCELLED: a signal came. */
must_check enum sc_status session_open(const struct config *config,
				       const struct opened_model *model,
				       struct session **session_out, struct error *err);
/* Stops the stages. Accepts NULL. */
void session_close(struct session *session);

struct coordinator *session_coordinator(struct session *session);

/* Waits for something to happen, and lets it happen. SC_E_CANCELLED: a signal came. Else what the
 * pipeline failed of. */
must_check enum sc_status session_turn(struct session *session, struct error *err);

/* Of a verb that ended with err: 130 after Ctrl-C, else what its status says. */
int session_exit_code(const struct error *err);

#endif
