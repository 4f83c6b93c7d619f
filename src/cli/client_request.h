/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CLIENT_REQUEST_H
#define STAGECOACH_CLI_CLIENT_REQUEST_H
/*
 * client_request - the flags that describe a job, for generate and submit; llama.cpp's names.
 * Thread: the main thread.
 */
#include "base/buf.h"
#include "base/error.h"
#include "cli/client_target.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#define CLIENT_MAX_STOPS 16

struct client_request {
	struct client_target target;
	Stagecoach__V1__GenerateRequest message;
	Stagecoach__V1__Sampling sampling;
	char *stops[CLIENT_MAX_STOPS];
	const char *prompt;		/* as given; "-": standard input */
	const char *file;
	struct buf text;
};

/* A child parser for argp; its input is a struct client_request. It has client_target's, too. */
extern const struct argp client_request_argp;

void client_request_init(struct client_request *request);
void client_request_deinit(struct client_request *request);

/* Read the prompt from where it is. SC_E_INVALID: there is none. SC_E_NOT_FOUND, SC_E_IO. */
must_check enum sc_status client_request_read(struct client_request *request, struct error *err);

#endif
