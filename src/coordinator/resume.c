/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequences between two epochs. A lost epoch ends no job: its sequences wait, and start over from
 * their tokens, as after a preemption. Tokens that were in flight are drawn again.
 */
#include "coordinator/coordinator_private.h"

#include "base/log.h"

/* --- out of an epoch --- */

/* A sequence that was in flight at this many losses in a row runs alone, and fails its job. */
enum { LOSSES_OF_SUSPECT = 2, LOSSES_OF_CULPRIT = 3 };

static void suspend_job(struct coordinator *c, struct job *job)
{
	for (uint32_t i = 0; i < job->n_streams; i++) {
		struct sequence *sequence = &job->streams[i].sequence;

		sequence->n_losses += scheduler_suspend(c->epoch->scheduler, sequence);
	}
}

void coordinator_suspend_jobs(struct coordinator *c)
{
	list_for_each(node, &c->jobs.active)
		suspend_job(c, list_entry(node, struct job, active_node));
	c->suspect = NULL;
}

static void end_if_culprit(struct coordinator *c, struct job *job)
{
	struct error err;

	for (uint32_t i = 0; i < job->n_streams; i++) {
		if (job->streams[i].sequence.n_losses < LOSSES_OF_CULPRIT)
			continue;
		error_set(&err, SC_E_INTERNAL, "sequence %u was in flight at %u losses in a row, "
			  "and may be their cause: %s", i, LOSSES_OF_CULPRIT, c->last_loss.text);
		coordinator_end_job(c, job, JOB_FAILED, &err);
		return;
	}
}

void coordinator_end_culprits(struct coordinator *c)
{
	list_for_each(node, &c->jobs.active)
		end_if_culprit(c, list_entry(node, struct job, active_node));
}

/* --- into the next --- */

static bool is_over(const struct job *job, uint32_t i)
{
	return job->streams[i].writer.output.finish != FINISH_NONE;
}

/* Sequences that had started before come first: their clients have seen tokens of them. */
static void add_sequences(struct coordinator *c, struct job *job, bool has_run)
{
	for (uint32_t i = 0; i < job->n_streams; i++) {
		struct sequence *sequence = &job->streams[i].sequence;

		if (!is_over(job, i) && sequence->is_preempted == has_run &&
		    sequence->state == SEQUENCE_IDLE)
			scheduler_add(c->epoch->scheduler, sequence);
	}
}

/* The list of jobs is newest first. */
static void add_oldest_first(struct coordinator *c, bool has_run)
{
	for (struct list *node = c->jobs.active.prev; node != &c->jobs.active; node = node->prev)
		add_sequences(c, list_entry(node, struct job, active_node), has_run);
}

bool coordinator_has_room(const struct coordinator *c, const struct sequence *sequence,
			  struct error *err)
{
	uint32_t max_context = c->epoch->limits.max_context;

	if (sequence->n_tokens < max_context)
		return true;
	error_set(err, SC_E_CAPACITY, "sequence %u has %u tokens, but since a worker was lost the "
		  "context holds %u: shorten the prompt, or start more workers", sequence->index,
		  sequence->n_tokens, max_context);
	return false;
}

/* The new pool may be smaller than the one that the job was accepted for. */
static void end_if_too_long(struct coordinator *c, struct job *job)
{
	struct error err;

	for (uint32_t i = 0; i < job->n_streams; i++)
		if (!is_over(job, i) &&
		    !coordinator_has_room(c, &job->streams[i].sequence, &err)) {
			coordinator_end_job(c, job, JOB_FAILED, &err);
			return;
		}
}

static struct sequence *find_suspect(const struct coordinator *c)
{
	for (struct list *node = c->jobs.active.prev; node != &c->jobs.active; node = node->prev) {
		struct job *job = list_entry(node, struct job, active_node);

		for (uint32_t i = 0; i < job->n_streams; i++)
			if (!is_over(job, i) &&
			    job->streams[i].sequence.n_losses >= LOSSES_OF_SUSPECT)
				return &job->streams[i].sequence;
	}
	return NULL;
}

void coordinator_resume(struct coordinator *c)
{
	struct sequence *suspect;

	list_for_each(node, &c->jobs.active)
		end_if_too_long(c, list_entry(node, struct job, active_node));
	suspect = find_suspect(c);
	c->suspect = suspect;
	if (suspect) {
		log_warning("%s, sequence %u: in flight at %u losses in a row, so it runs alone "
			    "until its next token", job_id(suspect->job), suspect->index,
			    suspect->n_losses);
		if (suspect->state == SEQUENCE_IDLE)
			scheduler_add(c->epoch->scheduler, suspect);
		return;
	}
	add_oldest_first(c, true);
	add_oldest_first(c, false);
	jobs_note_recovered(&c->jobs, c->epoch->number, loop_now_ns(c->config.loop));
}

void coordinator_clear(struct coordinator *c, struct sequence *sequence)
{
	sequence->n_losses = 0;
	if (c->suspect == sequence)
		c->suspect = NULL;
}

void coordinator_add_job(struct coordinator *c, struct job *job)
{
	if (c->epoch && c->epoch->state == EPOCH_RUNNING && !c->jobs.is_recovering)
		add_sequences(c, job, false);
}
