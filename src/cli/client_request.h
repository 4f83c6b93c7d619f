/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CLIENT_REQUEST_H
#define STAGECOACH_CLI_CLIENT_REQUEST_H
/*
 * client_request - the flags that describe a job as a message, for generate and submit.
 * Thread: the main thread.
 */
#include "base/buf.h"
#include "config/config.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

struct client_request {
	Stagecoach__V1__GenerateRequest message;
	Stagecoach__V1__Sampling sampling;
};

/* Borrows config and text, which is the prompt, as long as the message is used. */
void client_request_init(struct client_request *request, const struct config *config,
			 const struct buf *text);

#endif
