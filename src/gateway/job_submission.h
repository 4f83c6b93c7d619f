/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_JOB_SUBMISSION_H
#define STAGECOACH_GATEWAY_JOB_SUBMISSION_H
/*
 * job_submission - from a GenerateRequest to a job: what Generate and Submit have in common, as the
 * functions of request_ops.
 * Thread: the loop's, except for prepare.
 */
#include "gateway/request.h"

/* The queue has room for a job of the call's client. */
must_check enum sc_status job_submission_check(struct grpc_call *call, struct error *err);

/* Fill request->job and tokenize its prompt. Thread: any. */
must_check enum sc_status job_submission_prepare(struct request *request, struct error *err);

/* Submit request->job; as job_submit. ms_left, unless 0: the job ends by then. */
must_check enum sc_status job_submission_finish(struct request *request, uint64_t ms_left,
						struct job **job_out, struct error *err);

#endif
