/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CHAT_LOCAL_H
#define STAGECOACH_CLI_CHAT_LOCAL_H
/* chat_local - a model in this process as a talker. Thread: the main thread. */
#include "cli/talker.h"

/* Loads the model that config names and waits until it is ready, with progress on standard error.
 * Borrows config until destroy. SC_E_UNSUPPORTED: the model has no chat template. SC_E_CANCELLED: a
 * signal came. Else as opened_model_open, chat_template_open and session_open. */
must_check enum sc_status chat_local_open(const struct config *config, struct talker *talker_out,
					  struct error *err);

#endif
