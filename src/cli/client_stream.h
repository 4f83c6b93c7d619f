/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CLIENT_STREAM_H
#define STAGECOACH_CLI_CLIENT_STREAM_H
/*
 * client_stream - the events of Generate and Watch on standard output (event_printer.h); what it
 * cost, why it stopped, how far a long prompt is, and that a stage was lost, on standard error.
 * Thread: the main thread.
 */
#include "base/error.h"
#include "cli/client.h"
#include "config/config.h"

/* Run method with request and print what it streams. The job's failure is a failure. */
must_check enum sc_status client_stream(struct client *client, const char *method,
					const ProtobufCMessage *request,
					const struct config *config, struct error *err);

#endif
