/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CLIENT_REQUEST_H
#define STAGECOACH_CLI_CLIENT_REQUEST_H
/*
 * client_request - the flags that describe a job as a message, for the verbs that have a server
 * compute it. They mean what they mean to `stagecoach run`.
 * Thread: the main thread.
 */
#include "base/buf.h"
#include "cli/job_settings.h"
#include "config/config.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

struct client_request {
	Stagecoach__V1__GenerateRequest message;	/* points to the following */
	Stagecoach__V1__Sampling sampling;
	struct job_settings settings;
	Stagecoach__V1__TokenBias biases[JOB_MAX_BIASES];
	Stagecoach__V1__TokenBias *bias_list[JOB_MAX_BIASES];
	char *samplers[JOB_MAX_SAMPLERS];
};

/* All but the prompt. Borrows config as long as the message is used. SC_E_INVALID: as
 * job_settings_read; the server checks the ids of tokens. */
must_check enum sc_status client_request_init(struct client_request *request,
					      const struct config *config, struct error *err);
/* Any bytes; borrowed like config. */
void client_request_set_text(struct client_request *request, const struct buf *text);

#endif
