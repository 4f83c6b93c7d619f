/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_JOB_REQUEST_H
#define STAGECOACH_COORDINATOR_JOB_REQUEST_H
/*
 * job_request - checks the parts of a request that do not depend on the coordinator's state.
 * Thread: any; refused is of the loop's thread.
 */
#include "config/limits.h"
#include "coordinator/job.h"

/* Checks everything but the prompt and the room for the job. n_vocab: of the model. refused, which
 * may be NULL, counts the limits that are exceeded. SC_E_INVALID: err names the field, what was
 * expected and what was found. */
must_check enum sc_status job_request_check(const struct job_request *request, uint32_t n_vocab,
					    struct limit_counts *refused, struct error *err);

#endif
