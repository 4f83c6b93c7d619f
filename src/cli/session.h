/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_SESSION_H
#define STAGECOACH_CLI_SESSION_H
/*
 * session - an engine in this process that is asked many things one after the other, and its loop,
 * which the caller turns.
 * Ctrl-C and SIGTERM end the turning, not the process.
 * Thread: the caller's, which becomes the loop's.
 */
#include "config/config.h"
#include "engine/engine.h"

#define SESSION_MAX_JOBS JOB_MAX_SEQUENCES

struct session;

/* Blocks until the pipeline is ready, with the progress on standard error. config and model are
 * borrowed until close. SC_E_CANCELLED: a signal came. */
must_check enum sc_status session_open(const struct config *config,
				       const struct opened_model *model,
				       struct session **session_out, struct error *err);
/* Lets go of its jobs and stops the stages. Accepts NULL. */
void session_close(struct session *session);

struct engine *session_engine(struct session *session);

/* As engine_submit, at most SESSION_MAX_JOBS at a time; what changes in the job ends a turn. It stays
 * in memory until session_forget, or until the session is closed. */
must_check enum sc_status session_submit(struct session *session,
					 const struct job_request *request, struct job **job_out,
					 struct error *err);
void session_forget(struct session *session, struct job *job);

/* Waits for something to happen, and lets it happen. SC_E_CANCELLED: a signal came. Else what the
 * pipeline failed of. */
must_check enum sc_status session_turn(struct session *session, struct error *err);

/* The signal that ended a turn, which is forgotten so that turns go on; 0: none. */
int session_take_signal(struct session *session);

/* Of a verb that ended with err: 130 after Ctrl-C, else what its status says. */
int session_exit_code(const struct error *err);

#endif
