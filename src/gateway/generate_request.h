/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_GENERATE_REQUEST_H
#define STAGECOACH_GATEWAY_GENERATE_REQUEST_H
/* generate_request - converts a client's GenerateRequest to a job_request. Thread: any. */
#include "base/error.h"
#include "engine/engine.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

/* Unset fields get defaults; the seed is random then. The job_request borrows from the message.
 * SC_E_INVALID: there is no prompt. job_submit checks the rest. */
must_check enum sc_status generate_request_read(const Stagecoach__V1__GenerateRequest *message,
						struct job_request *request_out,
						struct error *err);

#endif
