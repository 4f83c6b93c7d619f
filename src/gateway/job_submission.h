/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_JOB_SUBMISSION_H
#define STAGECOACH_GATEWAY_JOB_SUBMISSION_H
/*
 * job_submission - turns a GenerateRequest into a job: the common part of Generate and Submit, as
 * functions of request_ops.
 * Thread: the loop's, except job_submission_prepare.
 */
#include "gateway/request.h"

/* Checks that the queue has room for a job of the call's client. */
must_check enum sc_status job_submission_check(struct grpc_call *call, struct error *err);

/* Fills request->generate.job and tokenizes its prompt. Thread: any. */
must_check enum sc_status job_submission_prepare(struct request *request, struct error *err);

/* Submits request->generate.job; see job_submit. ms_left: if not 0, the job ends by then. */
must_check enum sc_status job_submission_finish(struct request *request, uint64_t ms_left,
						struct job **job_out, struct error *err);

#endif
