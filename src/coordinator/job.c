/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/jobs.h"

#include "base/clock.h"
#include "coordinator/texts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

static const char *const state_names[JOB_N_STATES] = {
	[JOB_QUEUED] = "queued",
	[JOB_RUNNING] = "running",
	[JOB_DONE] = "done",
	[JOB_CANCELLED] = "cancelled",
	[JOB_FAILED] = "failed",
};

static const bool is_legal[JOB_N_STATES][JOB_N_STATES] = {
	[JOB_QUEUED] = { [JOB_RUNNING] = true, [JOB_CANCELLED] = true, [JOB_FAILED] = true },
	[JOB_RUNNING] = { [JOB_DONE] = true, [JOB_CANCELLED] = true, [JOB_FAILED] = true },
};

/* --- table --- */

void jobs_init(struct jobs *jobs, uint32_t keep_ended)
{
	*jobs = (struct jobs){ .keep_ended = keep_ended };
	list_init(&jobs->all);
	list_init(&jobs->active);
	list_init(&jobs->dirty);
	list_init(&jobs->clients);
}

static struct job **bucket_of(struct jobs *jobs, const char *id)
{
	return &jobs->buckets[XXH3_64bits(id, strlen(id)) % JOBS_N_BUCKETS];
}

static void list_job(struct jobs *jobs, struct job *job)
{
	struct job **bucket = bucket_of(jobs, job->id);

	list_prepend(&jobs->all, &job->node);
	list_prepend(&jobs->active, &job->active_node);
	job->next_in_bucket = *bucket;
	*bucket = job;
	job->n_holds++;
}

/* Removes an ended job from the table. Other holders keep the job alive. */
static void unlist_job(struct jobs *jobs, struct job *job)
{
	struct job **at = bucket_of(jobs, job->id);

	assert(job_is_ended(job));
	while (*at != job)
		at = &(*at)->next_in_bucket;
	*at = job->next_in_bucket;
	list_remove(&job->node);
	job->jobs = NULL;
	job_release(job);
}

void jobs_deinit(struct jobs *jobs)
{
	list_for_each(node, &jobs->all)
		unlist_job(jobs, list_entry(node, struct job, node));
	/* Holders of a job get no more calls. */
	list_for_each(node, &jobs->dirty)
		list_remove(node);
}

/* --- clients --- */

static struct job_client *find_client(const struct jobs *jobs, uint64_t id)
{
	list_for_each(node, &jobs->clients) {
		struct job_client *client = list_entry(node, struct job_client, node);

		if (client->id == id)
			return client;
	}
	return NULL;
}

/* Returns NULL if memory runs out. */
static struct job_client *take_client(struct jobs *jobs, uint64_t id)
{
	struct job_client *client = find_client(jobs, id);

	if (!client) {
		client = calloc(1, sizeof *client);
		if (!client)
			return NULL;
		client->id = id;
		share_client_init(&client->share);
		list_append(&jobs->clients, &client->node);
		jobs->n_clients++;
	}
	client->n_jobs++;
	return client;
}

/* Called when the job has ended or is destroyed, so none of its sequences waits or runs. */
static void leave_client(struct job *job)
{
	struct job_client *client = job->client;

	job->client = NULL;
	if (!client || --client->n_jobs)
		return;
	list_remove(&client->node);
	job->jobs->n_clients--;
	free(client);
}

/* n divided by the number of clients, counting the client with this id. */
static uint64_t part_of(const struct jobs *jobs, const struct job_client *client, uint64_t n)
{
	return n / (jobs->n_clients + !client);
}

bool jobs_has_place(const struct jobs *jobs, uint64_t id, uint32_t max_active)
{
	const struct job_client *client = find_client(jobs, id);
	uint32_t n_jobs = client ? client->n_jobs : 0;

	if (jobs->n_active < max_active)
		return true;
	return jobs->n_active - max_active < max_active / 4 + 1 &&
	       n_jobs < part_of(jobs, client, max_active);
}

uint64_t jobs_max_bytes(const struct jobs *jobs, uint64_t id)
{
	return id ? jobs->max_bytes - jobs->max_bytes / 4 : jobs->max_bytes;
}

/* --- memory --- */

void jobs_add(struct jobs *jobs, struct job *job, uint64_t n_bytes)
{
	job->n_bytes = n_bytes;
	job->client->n_bytes += n_bytes;
	jobs->n_active_bytes += n_bytes;
	jobs->n_active++;
	jobs->n_queued++;
	list_job(jobs, job);
	job->is_recovering = jobs->is_recovering;
	job->n_losses = jobs->is_recovering;
}

struct job *jobs_find(struct jobs *jobs, const char *id)
{
	struct job *job = *bucket_of(jobs, id);

	while (job && strcmp(job->id, id))
		job = job->next_in_bucket;
	return job;
}

static bool is_within(const struct jobs *jobs, uint64_t n_bytes)
{
	return !jobs->max_bytes || (n_bytes <= jobs->max_bytes && jobs->n_active_bytes +
				    jobs->n_ended_bytes <= jobs->max_bytes - n_bytes);
}

/* Forgets the oldest ended jobs to make room for new ones, except jobs that somebody still
 * reads. */
static void forget_surplus(struct jobs *jobs, uint64_t n_bytes)
{
	struct list *node = jobs->all.prev;

	while ((jobs->n_ended > jobs->keep_ended || !is_within(jobs, n_bytes)) &&
	       node != &jobs->all) {
		struct job *job = list_entry(node, struct job, node);

		node = node->prev;
		if (!job_is_ended(job) || job->n_holds > 1)
			continue;
		jobs->n_ended--;
		jobs->n_ended_bytes -= job->n_bytes;
		limit_refuse(jobs->refused, LIMIT_KEPT_JOBS);
		unlist_job(jobs, job);
	}
}

/* The memory limit of all jobs when a new job of n_bytes of this client is counted. */
static uint64_t limit_for(const struct jobs *jobs, uint64_t id, uint64_t n_bytes)
{
	const struct job_client *client = find_client(jobs, id);
	uint64_t most = part_of(jobs, client, jobs->max_bytes);

	if (most > jobs->max_bytes / 4)
		most = jobs->max_bytes / 4;
	if ((client ? client->n_bytes : 0) + n_bytes <= most)
		return jobs->max_bytes;
	return jobs_max_bytes(jobs, id);
}

bool jobs_make_room(struct jobs *jobs, uint64_t client, uint64_t n_bytes)
{
	uint64_t n_fixed, limit;

	if (!jobs->max_bytes)
		return true;
	limit = limit_for(jobs, client, n_bytes);
	n_fixed = jobs->n_active_bytes + jobs->n_held_bytes;
	if (n_bytes > limit || n_fixed > limit - n_bytes)
		return false;
	if (!is_within(jobs, n_bytes))
		forget_surplus(jobs, n_bytes);
	return true;
}

void job_touch(struct job *job)
{
	struct jobs *jobs = job->jobs;

	if (!job->n_watchers || !list_is_empty(&job->dirty_node))
		return;
	if (list_is_empty(&jobs->dirty))
		jobs->on_dirty(jobs->arg);
	list_append(&jobs->dirty, &job->dirty_node);
}

/* A watcher may remove itself or any other watcher during its call. */
static void tell_watchers(struct job *job)
{
	struct list untold;

	list_init(&untold);
	list_for_each(node, &job->watchers) {
		list_remove(node);
		list_append(&untold, node);
	}
	while (!list_is_empty(&untold)) {
		struct job_watcher *watcher = list_entry(untold.next, struct job_watcher, node);

		list_remove(&watcher->node);
		list_append(&job->watchers, &watcher->node);
		watcher->on_change(watcher->arg, job);
	}
}

void jobs_tell(struct jobs *jobs)
{
	while (!list_is_empty(&jobs->dirty)) {
		struct job *job = list_entry(jobs->dirty.next, struct job, dirty_node);

		list_remove(&job->dirty_node);
		job_hold(job);
		tell_watchers(job);
		job_release(job);
	}
	forget_surplus(jobs, 0);
}

void jobs_note_loss(struct jobs *jobs, uint32_t epoch, const struct error *err, uint64_t now_ns)
{
	jobs->is_recovering = true;
	jobs->lost_epoch = epoch;
	snprintf(jobs->loss, sizeof jobs->loss, "%s", err->text);
	list_for_each(node, &jobs->active) {
		struct job *job = list_entry(node, struct job, active_node);

		job->n_losses++;
		if (!job->is_recovering)
			job->waiting_ns = now_ns;
		job->is_recovering = true;
		job_touch(job);
	}
}

static void note_recovered(struct job *job, uint32_t epoch, uint64_t now_ns)
{
	if (!job->is_recovering)
		return;
	job->is_recovering = false;
	job->n_overcome = job->n_losses;
	job->recovery_epoch = epoch;
	job->waited_ns = now_ns - job->waiting_ns;
	job_touch(job);
}

void jobs_note_recovered(struct jobs *jobs, uint32_t epoch, uint64_t now_ns)
{
	jobs->is_recovering = false;
	list_for_each(node, &jobs->active)
		note_recovered(list_entry(node, struct job, active_node), epoch, now_ns);
}

struct job_recovery job_recovery(const struct job *job)
{
	bool has_loss = job->n_losses && job->jobs;

	return (struct job_recovery){
		.n_losses = job->n_losses,
		.n_overcome = job->n_overcome,
		.is_under_way = job->is_recovering,
		.reason = has_loss ? job->jobs->loss : "",
		.lost_epoch = has_loss ? job->jobs->lost_epoch : 0,
		.epoch = job->recovery_epoch,
		.waited_ns = job->waited_ns,
	};
}

uint64_t jobs_next_deadline(const struct jobs *jobs)
{
	uint64_t next = 0;

	list_for_each(node, &jobs->active) {
		const struct job *job = list_entry(node, struct job, active_node);

		if (job->deadline_ns && (!next || job->deadline_ns < next))
			next = job->deadline_ns;
	}
	return next;
}

/* --- one job --- */

/* Ids sort by time: 48 bits of milliseconds and 40 random bits, five bits per letter. */
static void make_id(char id[JOB_ID_MAX])
{
	static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
	uint64_t now_ms = clock_unix_ms();
	uint64_t random = 0;
	char *at = id + 4;

	if (getrandom(&random, sizeof random, 0) != sizeof random)
		random = clock_ns() * UINT64_C(0x9E3779B97F4A7C15);
	memcpy(id, "job-", 4);
	for (int shift = 45; shift >= 0; shift -= 5)
		*at++ = letters[now_ms >> shift & 31];
	for (int shift = 35; shift >= 0; shift -= 5)
		*at++ = letters[random >> shift & 31];
	*at = '\0';
}

static enum sc_status copy_stops(struct job *job, const struct job_request *request)
{
	if (!request->n_stops)
		return SC_OK;
	job->stops = texts_copy(request->stops, request->n_stops);
	job->n_stops = request->n_stops;
	return job->stops ? SC_OK : SC_E_NOMEM;
}

static enum sc_status copy_stop_tokens(struct job *job, const struct job_request *request)
{
	size_t n = request->n_stop_tokens;

	if (!n)
		return SC_OK;
	job->stop_tokens = calloc(n, sizeof job->stop_tokens[0]);
	if (!job->stop_tokens)
		return SC_E_NOMEM;
	memcpy(job->stop_tokens, request->stop_tokens, n * sizeof job->stop_tokens[0]);
	job->n_stop_tokens = (uint32_t)n;
	return SC_OK;
}

static char *copy_text(const char *text, enum sc_status *status)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		*status = SC_E_NOMEM;
	return copy;
}

static enum sc_status copy_texts(struct job *job, const struct job_request *request)
{
	enum sc_status status = copy_stops(job, request);

	if (status == SC_OK)
		status = copy_stop_tokens(job, request);
	job->hidden_open = copy_text(request->hidden_open, &status);
	job->hidden_close = copy_text(request->hidden_close, &status);
	return status;
}

/* Clients may send any number; a deadline beyond the range of time means none. */
static uint64_t deadline_in(uint64_t ms, uint64_t now_ns)
{
	return ms && ms < (UINT64_MAX - now_ns) / NS_PER_MS ? now_ns + ms * NS_PER_MS : 0;
}

enum sc_status job_create(struct jobs *jobs, const struct job_request *request, uint64_t now_ns,
			  struct job **job_out)
{
	struct job *job = calloc(1, sizeof *job);

	if (!job)
		return SC_E_NOMEM;
	list_init(&job->node);
	list_init(&job->active_node);
	list_init(&job->dirty_node);
	list_init(&job->watchers);
	job->jobs = jobs;
	job->n_holds = 1;
	job->n_streams = request->n_sequences ? request->n_sequences : 1;
	job->n_running = job->n_streams;
	job->is_attached = request->is_attached;
	job->ignore_end = request->ignore_end;
	job->seed = request->seed;
	job->times.submitted_ms = clock_unix_ms();
	job->deadline_ms = request->deadline_ms;
	job->deadline_ns = deadline_in(request->deadline_ms, now_ns);
	job->waiting_ns = now_ns;
	job->submitted_ns = now_ns;
	make_id(job->id);
	job->client_id = request->client;
	job->client = take_client(jobs, request->client);
	job->streams = calloc(job->n_streams, sizeof job->streams[0]);
	if (!job->client || !job->streams || copy_texts(job, request) != SC_OK) {
		job_destroy(job);
		return SC_E_NOMEM;
	}
	share_job_init(&job->share, &job->client->share);
	*job_out = job;
	return SC_OK;
}

void job_destroy(struct job *job)
{
	if (!job)
		return;
	for (uint32_t i = 0; job->streams && i < job->n_streams; i++) {
		output_writer_deinit(&job->streams[i].writer);
		sequence_deinit(&job->streams[i].sequence);
	}
	leave_client(job);
	if (job->annex)
		job->annex->destroy(job->annex);
	free(job->streams);
	job_sampling_deinit(&job->sampling);
	free(job->scores);
	free(job->score_tops);
	free(job->stops);
	free(job->stop_tokens);
	free(job->hidden_open);
	free(job->hidden_close);
	free(job);
}

static uint64_t output_bytes(const struct job *job)
{
	uint64_t n_bytes = sizeof *job + job->n_streams * sizeof job->streams[0] +
			   job->n_scores * (sizeof job->scores[0] +
					    job->n_score_tops * sizeof job->score_tops[0]) +
			   texts_bytes((const char *const *)job->stops, job->n_stops) +
			   (job->annex ? job->annex->n_bytes : 0);

	for (uint32_t i = 0; i < job->n_streams; i++) {
		const struct output *output = job_output(job, i);

		n_bytes += output->n_tokens * (sizeof output->tokens[0] +
					       output->n_tops * sizeof output->tops[0]) +
			   output->text.capacity;
	}
	return n_bytes;
}

void job_set_state(struct job *job, enum job_state state, const struct error *err)
{
	uint64_t now_ms = clock_unix_ms();

	assert(is_legal[job->state][state]);
	job->jobs->n_queued -= job->state == JOB_QUEUED;
	job->state = state;
	if (state == JOB_RUNNING)
		job->times.started_ms = now_ms;
	if (err)
		job->error = *err;
	if (job_is_ended(job)) {
		job->times.ended_ms = now_ms;
		job->is_recovering = false;
		job->jobs->n_active--;
		job->jobs->n_ended++;
		job->jobs->n_active_bytes -= job->n_bytes;
		job->client->n_bytes -= job->n_bytes;
		leave_client(job);
		job->n_bytes = output_bytes(job);
		job->jobs->n_ended_bytes += job->n_bytes;
		if (job->n_holds > 1)
			job->jobs->n_held_bytes += job->n_bytes;
		list_remove(&job->active_node);
		job->jobs->ended_by_state[state]++;
	}
	job_touch(job);
}

void job_hold(struct job *job)
{
	if (job->n_holds++ == 1 && job->jobs && job_is_ended(job))
		job->jobs->n_held_bytes += job->n_bytes;
}

void job_release(struct job *job)
{
	assert(job->n_holds);
	if (--job->n_holds == 1 && job->jobs && job_is_ended(job))
		job->jobs->n_held_bytes -= job->n_bytes;
	if (job->n_holds)
		return;
	list_remove(&job->dirty_node);
	job_destroy(job);
}

void job_watch(struct job *job, struct job_watcher *watcher)
{
	job_hold(job);
	job->n_watchers++;
	list_append(&job->watchers, &watcher->node);
}

void job_unwatch(struct job *job, struct job_watcher *watcher)
{
	list_remove(&watcher->node);
	job->n_watchers--;
	if (job->is_attached && !job->n_watchers && !job_is_ended(job))
		job->jobs->on_unwatched(job->jobs->arg, job);
	job_release(job);
}

const char *job_id(const struct job *job)
{
	return job->id;
}

uint64_t job_client_id(const struct job *job)
{
	return job->client_id;
}

enum job_state job_state(const struct job *job)
{
	return job->state;
}

bool job_is_ended(const struct job *job)
{
	return job->state >= JOB_DONE;
}

const char *job_state_name(enum job_state state)
{
	return state_names[state];
}

const struct error *job_error(const struct job *job)
{
	return &job->error;
}

const char *job_warning(const struct job *job)
{
	return job->warning;
}

uint32_t job_n_prompt_tokens(const struct job *job)
{
	return job->n_prompt_tokens;
}

uint64_t job_prompt_done(const struct job *job)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < job->n_streams; i++) {
		const struct sequence *sequence = &job->streams[i].sequence;

		/* A drawn token shows that the prompt was computed, even if it must be again. */
		n += sequence->n_tokens > sequence->n_prompt ? sequence->n_prompt :
							       sequence->n_done;
	}
	return n;
}

const float *job_prompt_scores(const struct job *job, uint32_t *n_out)
{
	*n_out = job->n_scores;
	return job->scores;
}

const struct token_top *job_prompt_tops(const struct job *job, uint32_t *n_tops_out)
{
	*n_tops_out = job->n_score_tops;
	return job->score_tops;
}

const char *job_stop_string(const struct job *job, uint32_t i)
{
	assert(i < job->n_stops);
	return job->stops[i];
}

const struct job_annex *job_annex(const struct job *job)
{
	return job->annex;
}

uint64_t job_seed(const struct job *job)
{
	return job->seed;
}

uint32_t job_n_outputs(const struct job *job)
{
	return job->n_streams;
}

const struct output *job_output(const struct job *job, uint32_t i)
{
	assert(i < job->n_streams);
	return &job->streams[i].writer.output;
}

struct job_times job_times(const struct job *job)
{
	return job->times;
}
