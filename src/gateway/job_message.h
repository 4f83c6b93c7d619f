/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_JOB_MESSAGE_H
#define STAGECOACH_GATEWAY_JOB_MESSAGE_H
/*
 * job_message - a job as a message to clients.
 * Borrows from the job: pack the message before anything changes the job.
 * Thread: the loop's; any thread for a job that has ended.
 */
#include "base/buf.h"
#include "engine/engine.h"
#include "gateway/chat_answer.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

struct job_message {
	Stagecoach__V1__Job job;	/* the message; points to the following members */
	Stagecoach__V1__JobError error;
	char error_text[ERROR_TEXT_MAX];
	const char *warning;
	Stagecoach__V1__Timings timings;
	Stagecoach__V1__Output *outputs;	/* [n], NULL without */
	Stagecoach__V1__Output **output_list;
	struct buf *texts;		/* [n]: used where an output's text is no plain string */
	struct chat_answer *answers;	/* [n_answers], of a chat */
	size_t n_answers;
};

must_check enum sc_status job_message_init(struct job_message *message, const struct job *job,
					   bool with_outputs);
/* Also accepts a message whose init failed. */
void job_message_deinit(struct job_message *message);

Stagecoach__V1__JobState job_message_state(enum job_state state);
Stagecoach__V1__FinishReason job_message_reason(enum finish_reason reason);

/* Fills an initialised message; its text is stored in `text`. Returns false if the job has no
 * error. */
bool job_message_error(const struct job *job, Stagecoach__V1__JobError *error,
		       char text[ERROR_TEXT_MAX]);
void job_message_timings(const struct job *job, Stagecoach__V1__Timings *timings);

/* Tokens of all sequences so far. */
uint32_t job_message_n_generated(const struct job *job);

#endif
