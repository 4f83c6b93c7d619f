/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include "cli/report.h"
#include "event/loop.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>

struct asked {
	struct job *job;	/* NULL: free */
	struct job_watcher watcher;
};

struct session {
	struct loop *loop;
	struct signal_watch *interrupt;
	struct signal_watch *terminate;
	struct engine *engine;
	struct progress progress;	/* of loading */
	enum coordinator_phase phase;
	struct error error;		/* why the phase is FAILED */
	struct asked asked[SESSION_MAX_JOBS];
};

/* For the exit code: by then the session is closed. */
static int caught;

static void on_signal(void *arg, int signum)
{
	(void)arg;
	caught = signum;
}

static void on_phase(void *arg, enum coordinator_phase phase, const struct error *err)
{
	struct session *session = arg;

	session->phase = phase;
	if (err)
		session->error = *err;
}

static void on_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	struct session *session = arg;

	report_loading(&session->progress, loop_now_ns(session->loop), done_bytes, total_bytes);
}

static enum sc_status start_loop(struct session *session, struct error *err)
{
	enum sc_status status = loop_open(&session->loop, err);

	if (status != SC_OK)
		return status;
	status = signal_watch_create(session->loop, SIGINT, on_signal, session,
				     &session->interrupt, err);
	if (status != SC_OK)
		return status;
	return signal_watch_create(session->loop, SIGTERM, on_signal, session,
				   &session->terminate, err);
}

static enum sc_status start_engine(struct session *session, const struct config *config,
				   const struct opened_model *model, struct error *err)
{
	const struct engine_config engine = {
		.loop = session->loop, .settings = config, .model = model,
		.on_phase = on_phase, .on_progress = on_progress, .arg = session,
	};

	return engine_create(&engine, &session->engine, err);
}

static void forget(struct asked *asked)
{
	if (!asked->job)
		return;
	job_unwatch(asked->job, &asked->watcher);
	job_release(asked->job);
	asked->job = NULL;
}

enum sc_status session_open(const struct config *config, const struct opened_model *model,
			    struct session **session_out, struct error *err)
{
	struct session *session = calloc(1, sizeof *session);
	enum sc_status status;

	if (!session)
		return error_set(err, SC_E_NOMEM, "out of memory");
	progress_init(&session->progress, config->is_quiet);
	status = start_loop(session, err);
	if (status == SC_OK)
		status = start_engine(session, config, model, err);
	while (status == SC_OK && session->phase != COORDINATOR_READY)
		status = session_turn(session, err);
	progress_end(&session->progress);
	if (status != SC_OK) {
		session_close(session);
		return err->status = report_fault(config, status);
	}
	*session_out = session;
	return SC_OK;
}

void session_close(struct session *session)
{
	if (!session)
		return;
	for (unsigned i = 0; i < SESSION_MAX_JOBS; i++)
		forget(&session->asked[i]);
	if (session->engine && session->phase == COORDINATOR_READY) {
		engine_drain(session->engine, 0);
		while (session->phase < COORDINATOR_STOPPED)
			loop_turn(session->loop, true);
	}
	engine_destroy(session->engine);
	signal_watch_destroy(session->interrupt);
	signal_watch_destroy(session->terminate);
	loop_destroy(session->loop);
	free(session);
}

struct engine *session_engine(struct session *session)
{
	return session->engine;
}

/* Nothing: the caller looks after the turn. But only a job that somebody watches wakes the loop. */
static void on_change(void *arg, struct job *job)
{
	(void)arg;
	(void)job;
}

/* The place of a job; of NULL, a free one. */
static struct asked *find_asked(struct session *session, const struct job *job)
{
	unsigned i = 0;

	while (i < SESSION_MAX_JOBS && session->asked[i].job != job)
		i++;
	assert(i < SESSION_MAX_JOBS);
	return &session->asked[i];
}

enum sc_status session_submit(struct session *session, const struct job_request *request,
			      struct job **job_out, struct error *err)
{
	struct asked *asked = find_asked(session, NULL);
	enum sc_status status;

	status = engine_submit(session->engine, request, &asked->job, err);
	if (status != SC_OK)
		return status;
	asked->watcher = (struct job_watcher){ .on_change = on_change };
	job_watch(asked->job, &asked->watcher);
	*job_out = asked->job;
	return SC_OK;
}

void session_forget(struct session *session, struct job *job)
{
	forget(find_asked(session, job));
}

enum sc_status session_turn(struct session *session, struct error *err)
{
	loop_turn(session->loop, true);
	if (caught)
		return error_set(err, SC_E_CANCELLED, "interrupted");
	if (session->phase != COORDINATOR_FAILED)
		return SC_OK;
	*err = session->error;
	return err->status;
}

int session_take_signal(struct session *session)
{
	int signum = caught;

	(void)session;
	caught = 0;
	return signum;
}

int session_exit_code(const struct error *err)
{
	return caught ? 128 + caught : sc_status_exit_code(err->status);
}
