/* SPDX-License-Identifier: Apache-2.0 */
/* The table of jobs: states, who is told, what is kept and for how long. */
#include "coordinator/jobs.h"

#include "base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define NOW_NS UINT64_C(12345678901)

static struct jobs jobs;
static unsigned n_dirty, n_unwatched;

static void on_dirty(void *arg)
{
	(void)arg;
	n_dirty++;
}

static void on_unwatched(void *arg, struct job *job)
{
	(void)arg;
	n_unwatched++;
	job_set_state(job, JOB_CANCELLED, NULL);
}

static int start(void **state)
{
	(void)state;
	n_dirty = n_unwatched = 0;
	jobs_init(&jobs, 3);
	jobs.on_dirty = on_dirty;
	jobs.on_unwatched = on_unwatched;
	return 0;
}

/* What a test has left running is cancelled. */
static int stop(void **state)
{
	(void)state;
	list_for_each(node, &jobs.all) {
		struct job *job = list_entry(node, struct job, node);

		if (!job_is_ended(job))
			job_set_state(job, JOB_CANCELLED, NULL);
	}
	jobs_deinit(&jobs);
	return 0;
}

/* Held by the test. */
static struct job *add(uint64_t deadline_ms, bool is_attached)
{
	struct job_request request = { .deadline_ms = deadline_ms, .is_attached = is_attached };
	struct job *job;

	assert_int_equal(job_create(&jobs, &request, NOW_NS, &job), SC_OK);
	jobs_add(&jobs, job, 0);
	return job;
}

/* Held by the table alone; n_bytes of memory. */
static struct job *add_for(uint64_t client, uint64_t n_bytes)
{
	struct job_request request = { .client = client };
	struct job *job;

	assert_int_equal(job_create(&jobs, &request, NOW_NS, &job), SC_OK);
	jobs_add(&jobs, job, n_bytes);
	job_release(job);
	return job;
}

static void finish(struct job *job, enum job_state state)
{
	if (state == JOB_DONE)
		job_set_state(job, JOB_RUNNING, NULL);
	job_set_state(job, state, NULL);
}

/* Tried in a child. */
static bool does_abort(struct job *job, enum job_state state)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		fclose(stderr);
		signal(SIGABRT, SIG_DFL);
		job_set_state(job, state, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* In every state, every transition: the legal ones happen, the others hit the assertion. */
static void only_legal_transitions_happen(void **state)
{
	static const char legal[JOB_N_STATES][JOB_N_STATES + 1] = {
		[JOB_QUEUED] =    ".r.cf",
		[JOB_RUNNING] =   "..dcf",
		[JOB_DONE] =      ".....",
		[JOB_CANCELLED] = ".....",
		[JOB_FAILED] =    ".....",
	};

	(void)state;
	for (int from = 0; from < JOB_N_STATES; from++) {
		for (int to = 0; to < JOB_N_STATES; to++) {
			struct job *job;

			job = add(0, false);
			if (from == JOB_RUNNING || from == JOB_DONE)
				job_set_state(job, JOB_RUNNING, NULL);
			if (from > JOB_RUNNING)
				job_set_state(job, (enum job_state)from, NULL);
			assert_int_equal(does_abort(job, (enum job_state)to),
					 legal[from][to] == '.');
			if (legal[from][to] != '.')
				job_set_state(job, (enum job_state)to, NULL);
			if (!job_is_ended(job))
				job_set_state(job, JOB_CANCELLED, NULL);
			job_release(job);
		}
	}
	assert_int_equal(jobs.n_ended, JOB_N_STATES * JOB_N_STATES);
	assert_int_equal(jobs.n_active, 0);
	assert_int_equal(jobs.n_queued, 0);
	assert_int_equal(jobs.ended_by_state[JOB_DONE], JOB_N_STATES + 1);
	assert_int_equal(jobs.ended_by_state[JOB_FAILED], JOB_N_STATES + 2);
}

static void times_and_errors_belong_to_the_transition(void **state)
{
	struct job *job = add(0, false);
	struct error err;

	(void)state;
	assert_true(job_times(job).submitted_ms > 0);
	assert_int_equal(job_times(job).started_ms, 0);
	assert_int_equal(job_error(job)->status, SC_OK);
	job_set_state(job, JOB_RUNNING, NULL);
	assert_true(job_times(job).started_ms >= job_times(job).submitted_ms);
	assert_int_equal(job_times(job).ended_ms, 0);
	error_set(&err, SC_E_DEADLINE, "too late");
	job_set_state(job, JOB_CANCELLED, &err);
	assert_true(job_times(job).ended_ms >= job_times(job).started_ms);
	assert_string_equal(job_error(job)->text, "too late");
	job_release(job);
}

static void ids_are_unique_and_found(void **state)
{
	struct job *first = add(0, false), *second = add(0, false);

	(void)state;
	assert_string_not_equal(job_id(first), job_id(second));
	assert_ptr_equal(jobs_find(&jobs, job_id(first)), first);
	assert_ptr_equal(jobs_find(&jobs, job_id(second)), second);
	assert_null(jobs_find(&jobs, "job-"));
	job_release(first);
	job_release(second);
}

/* More than there are buckets, the older half forgotten. */
static void each_of_very_many_jobs_is_found_by_its_id(void **state)
{
	enum { N = 3 * JOBS_N_BUCKETS };
	static char ids[N][JOB_ID_MAX];

	(void)state;
	jobs.keep_ended = N / 2;
	for (int i = 0; i < N; i++) {
		struct job *job = add(0, false);

		strcpy(ids[i], job_id(job));
		finish(job, JOB_DONE);
		job_release(job);
	}
	for (int i = 0; i < N; i++)
		assert_string_equal(job_id(jobs_find(&jobs, ids[i])), ids[i]);
	jobs_tell(&jobs);
	for (int i = 0; i < N; i++)
		assert_int_equal(!!jobs_find(&jobs, ids[i]), i >= N / 2);
	assert_true(list_is_empty(&jobs.active));
}

/* What n_held_bytes is to be. */
static uint64_t count_held_bytes(void)
{
	uint64_t n_bytes = 0;

	list_for_each(node, &jobs.all) {
		const struct job *job = list_entry(node, struct job, node);

		if (job_is_ended(job) && job->n_holds > 1)
			n_bytes += job->n_bytes;
	}
	return n_bytes;
}

static void the_bytes_of_ended_jobs_that_are_held_are_known(void **state)
{
	struct job *job = add(0, false), *other = add(0, false);

	(void)state;
	assert_int_equal(jobs.n_held_bytes, 0);
	finish(job, JOB_DONE);
	assert_true(jobs.n_held_bytes > 0);
	assert_int_equal(jobs.n_held_bytes, count_held_bytes());
	job_hold(job);
	job_release(other);
	finish(other, JOB_FAILED);
	assert_int_equal(jobs.n_held_bytes, count_held_bytes());
	job_hold(other);
	assert_int_equal(jobs.n_held_bytes, count_held_bytes());
	job_release(other);
	job_release(job);
	assert_int_equal(jobs.n_held_bytes, count_held_bytes());
	assert_true(jobs.n_held_bytes > 0);
	job_release(job);
	assert_int_equal(jobs.n_held_bytes, 0);
}

static void only_the_newest_ended_jobs_are_remembered(void **state)
{
	char ids[6][JOB_ID_MAX];
	struct job *running = add(0, false);

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct job *job = add(0, false);

		strcpy(ids[i], job_id(job));
		finish(job, i % 2 ? JOB_DONE : JOB_FAILED);
		job_release(job);
	}
	jobs_tell(&jobs);
	for (int i = 0; i < 6; i++)
		assert_int_equal(!!jobs_find(&jobs, ids[i]), i >= 3);
	/* The oldest of all, but it has not ended. */
	assert_non_null(jobs_find(&jobs, job_id(running)));
	job_release(running);
}

static void a_held_job_is_forgotten_only_after_it_is_let_go(void **state)
{
	struct job *job = add(0, false);

	(void)state;
	jobs.keep_ended = 0;
	finish(job, JOB_DONE);
	jobs_tell(&jobs);
	assert_ptr_equal(jobs_find(&jobs, job_id(job)), job);
	assert_int_equal(job_state(job), JOB_DONE);
	job_release(job);
	jobs_tell(&jobs);
	assert_int_equal(jobs.n_ended, 0);
	assert_int_equal(jobs.n_ended_bytes, 0);
}

/* A watcher that may take watchers off while it is told. */
struct listener {
	struct job_watcher watcher;
	struct job *job;
	unsigned n_calls;
	struct listener *takes_off[3];
	bool touches;
};

static void leave(struct listener *listener)
{
	if (!listener->job)
		return;
	job_unwatch(listener->job, &listener->watcher);
	listener->job = NULL;
}

static void on_change(void *arg, struct job *job)
{
	struct listener *listener = arg;

	listener->n_calls++;
	assert_ptr_equal(listener->job, job);
	for (int i = 0; i < 3; i++)
		if (listener->takes_off[i])
			leave(listener->takes_off[i]);
	if (listener->touches) {
		listener->touches = false;
		job_touch(job);
	}
}

static void listen_to(struct listener *listener, struct job *job)
{
	*listener = (struct listener){ .watcher = { .on_change = on_change, .arg = listener },
				       .job = job };
	job_watch(job, &listener->watcher);
}

static void several_changes_may_become_one_call(void **state)
{
	struct job *job = add(0, false);
	struct listener a;

	(void)state;
	listen_to(&a, job);
	job_touch(job);
	job_touch(job);
	job_set_state(job, JOB_RUNNING, NULL);
	assert_int_equal(n_dirty, 1);
	assert_int_equal(a.n_calls, 0);
	jobs_tell(&jobs);
	assert_int_equal(a.n_calls, 1);
	jobs_tell(&jobs);
	assert_int_equal(a.n_calls, 1);
	leave(&a);
	job_release(job);
}

static void a_change_while_telling_is_told_too(void **state)
{
	struct job *job = add(0, false);
	struct listener a, b;

	(void)state;
	listen_to(&a, job);
	listen_to(&b, job);
	b.touches = true;
	job_touch(job);
	jobs_tell(&jobs);
	assert_int_equal(a.n_calls, 2);
	assert_int_equal(b.n_calls, 2);
	leave(&a);
	leave(&b);
	job_release(job);
}

/* Each of three, in turn, takes off every subset of the three. */
static void watchers_may_take_off_each_other_while_they_are_told(void **state)
{
	(void)state;
	for (unsigned who = 0; who < 3; who++) {
		for (unsigned whom = 0; whom < 8; whom++) {
			struct job *job = add(0, false);
			struct listener all[3];

			for (int i = 0; i < 3; i++)
				listen_to(&all[i], job);
			for (unsigned i = 0; i < 3; i++)
				if (whom >> i & 1)
					all[who].takes_off[i] = &all[i];
			job_touch(job);
			jobs_tell(&jobs);
			for (unsigned i = 0; i < 3; i++) {
				/* Told in order: those before it, itself, those it left. */
				assert_int_equal(all[i].n_calls, i <= who || !(whom >> i & 1));
				leave(&all[i]);
			}
			finish(job, JOB_DONE);
			job_release(job);
		}
	}
}

static void the_last_watcher_may_leave_and_let_go_while_it_is_told(void **state)
{
	struct job *job = add(0, false);
	struct listener a;

	(void)state;
	jobs.keep_ended = 0;
	listen_to(&a, job);
	a.takes_off[0] = &a;
	job_release(job);
	finish(job, JOB_DONE);
	/* Nobody but the telling itself keeps it now. */
	jobs_tell(&jobs);
	assert_int_equal(a.n_calls, 1);
	assert_int_equal(jobs.n_ended, 0);
}

static void an_attached_job_ends_when_its_last_watcher_leaves(void **state)
{
	struct job *job = add(0, true), *done = add(0, true);
	struct listener a, b, c;

	(void)state;
	listen_to(&a, job);
	listen_to(&b, job);
	leave(&a);
	assert_int_equal(n_unwatched, 0);
	leave(&b);
	assert_int_equal(n_unwatched, 1);
	assert_int_equal(job_state(job), JOB_CANCELLED);
	/* One that has ended does not end again. */
	listen_to(&c, done);
	finish(done, JOB_DONE);
	leave(&c);
	assert_int_equal(n_unwatched, 1);
	job_release(job);
	job_release(done);
}

static void watchers_outlive_the_table(void **state)
{
	struct job *job = add(0, true);
	struct listener a;

	(void)state;
	listen_to(&a, job);
	finish(job, JOB_FAILED);
	jobs_deinit(&jobs);
	jobs_init(&jobs, 3);
	leave(&a);
	assert_int_equal(job_state(job), JOB_FAILED);
	job_release(job);
}

static void the_next_deadline_is_the_earliest_of_those_that_run(void **state)
{
	struct job *late = add(50000, false), *none = add(0, false), *early = add(1000, false);

	(void)state;
	assert_int_equal(early->deadline_ns, NOW_NS + 1000 * NS_PER_MS);
	assert_int_equal(jobs_next_deadline(&jobs), early->deadline_ns);
	finish(early, JOB_DONE);
	assert_int_equal(jobs_next_deadline(&jobs), late->deadline_ns);
	finish(late, JOB_FAILED);
	assert_int_equal(jobs_next_deadline(&jobs), 0);
	job_release(late);
	job_release(none);
	job_release(early);
}

static void the_next_deadline_may_be_that_of_the_oldest_job(void **state)
{
	struct job *early = add(1000, false), *late = add(50000, false);

	(void)state;
	assert_int_equal(jobs_next_deadline(&jobs), early->deadline_ns);
	finish(early, JOB_DONE);
	assert_int_equal(jobs_next_deadline(&jobs), late->deadline_ns);
	job_release(early);
	job_release(late);
}

static void a_client_that_fills_the_queue_keeps_no_other_out(void **state)
{
	unsigned n = 0;

	(void)state;
	for (; jobs_has_place(&jobs, 1, 8); n++)
		add_for(1, 0);
	assert_int_equal(n, 8);
	/* Three places are left for others, until they have as many as everybody's part is. */
	assert_true(jobs_has_place(&jobs, 2, 8));
	add_for(2, 0);
	assert_true(jobs_has_place(&jobs, 3, 8));
	add_for(3, 0);
	add_for(2, 0);
	assert_int_equal(jobs.n_clients, 3);
	assert_false(jobs_has_place(&jobs, 4, 8));
	assert_false(jobs_has_place(&jobs, 1, 8));
	/* The part of one of three is two. */
	finish(jobs_find(&jobs, list_entry(jobs.all.prev, struct job, node)->id), JOB_DONE);
	assert_true(jobs_has_place(&jobs, 3, 8));
	assert_false(jobs_has_place(&jobs, 2, 8));
	assert_false(jobs_has_place(&jobs, 1, 8));
}

static void a_client_is_known_as_long_as_it_has_jobs(void **state)
{
	struct job *first = add_for(7, 10), *second = add_for(7, 20);

	(void)state;
	assert_int_equal(jobs.n_clients, 1);
	assert_ptr_equal(first->client, second->client);
	assert_int_equal(first->client->n_bytes, 30);
	finish(first, JOB_DONE);
	assert_int_equal(second->client->n_jobs, 1);
	assert_int_equal(second->client->n_bytes, 20);
	finish(second, JOB_FAILED);
	assert_int_equal(jobs.n_clients, 0);
	assert_true(list_is_empty(&jobs.clients));
}

static void a_quarter_of_the_memory_is_kept_for_clients_with_little(void **state)
{
	(void)state;
	jobs.max_bytes = 1000;
	assert_int_equal(jobs_max_bytes(&jobs, 1), 750);
	assert_true(jobs_make_room(&jobs, 1, 750));
	assert_false(jobs_make_room(&jobs, 1, 751));
	add_for(1, 700);
	assert_true(jobs_make_room(&jobs, 1, 50));
	assert_false(jobs_make_room(&jobs, 1, 51));
	assert_true(jobs_make_room(&jobs, 2, 250));
	assert_false(jobs_make_room(&jobs, 2, 251));
	add_for(2, 200);
	assert_true(jobs_make_room(&jobs, 2, 50));
	assert_true(jobs_make_room(&jobs, 3, 100));
	assert_false(jobs_make_room(&jobs, 3, 101));
	/* This process itself may have all. */
	assert_true(jobs_make_room(&jobs, 0, 100));
	assert_int_equal(jobs_max_bytes(&jobs, 0), 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(only_legal_transitions_happen),
		TEST(times_and_errors_belong_to_the_transition),
		TEST(ids_are_unique_and_found),
		TEST(each_of_very_many_jobs_is_found_by_its_id),
		TEST(the_bytes_of_ended_jobs_that_are_held_are_known),
		TEST(only_the_newest_ended_jobs_are_remembered),
		TEST(a_held_job_is_forgotten_only_after_it_is_let_go),
		TEST(several_changes_may_become_one_call),
		TEST(a_change_while_telling_is_told_too),
		TEST(watchers_may_take_off_each_other_while_they_are_told),
		TEST(the_last_watcher_may_leave_and_let_go_while_it_is_told),
		TEST(an_attached_job_ends_when_its_last_watcher_leaves),
		TEST(watchers_outlive_the_table),
		TEST(a_client_that_fills_the_queue_keeps_no_other_out),
		TEST(a_client_is_known_as_long_as_it_has_jobs),
		TEST(a_quarter_of_the_memory_is_kept_for_clients_with_little),
		TEST(the_next_deadline_may_be_that_of_the_oldest_job),
		TEST(the_next_deadline_is_the_earliest_of_those_that_run),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
