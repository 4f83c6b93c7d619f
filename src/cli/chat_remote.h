/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CHAT_REMOTE_H
#define STAGECOACH_CLI_CHAT_REMOTE_H
/*
 * chat_remote - a server as a talker. Each turn has a connection of its own: a server that went away
 * and came back is found again.
 * Thread: the main thread.
 */
#include "cli/talker.h"

/* From here on signals end waits (client_signal.h). Asks the server that config means for its model,
 * so that a server that is not there is told at once. Borrows config until destroy. Errors as of
 * client_open and client_ask. */
must_check enum sc_status chat_remote_open(const struct config *config, struct talker *talker_out,
					   struct error *err);

#endif
