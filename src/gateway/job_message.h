/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_JOB_MESSAGE_H
#define STAGECOACH_GATEWAY_JOB_MESSAGE_H
/*
 * job_message - a job as the client's messages show it.
 * Borrows from the job: to be packed before anything else happens to it.
 * Thread: the loop's; any, for a job that has ended.
 */
#include "base/buf.h"
#include "coordinator/job.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

struct job_message {
	Stagecoach__V1__Job job;	/* the message; its pointers lead to what follows */
	Stagecoach__V1__JobError error;
	char error_text[ERROR_TEXT_MAX];
	Stagecoach__V1__Timings timings;
	Stagecoach__V1__Output *outputs;	/* [n], NULL without */
	Stagecoach__V1__Output **output_list;
	struct buf *texts;		/* [n]: where an output's text holds NUL */
};

must_check enum sc_status job_message_init(struct job_message *message, const struct job *job,
					   bool with_outputs);
/* Accepts what a failed init left behind. */
void job_message_deinit(struct job_message *message);

Stagecoach__V1__JobState job_message_state(enum job_state state);
Stagecoach__V1__FinishReason job_message_reason(enum finish_reason reason);

/* Fill an initialised message, its text within `text`; false: the job has no error. */
bool job_message_error(const struct job *job, Stagecoach__V1__JobError *error,
		       char text[ERROR_TEXT_MAX]);
void job_message_timings(const struct job *job, Stagecoach__V1__Timings *timings);

/* Of all sequences, so far. */
uint32_t job_message_n_generated(const struct job *job);

#endif
