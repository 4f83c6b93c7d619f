/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/process.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* A child that tells who it is and waits. */
static pid_t start_child(struct process_id *id_out)
{
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct process_id id;

		process_id_of_self(&id);
		if (write(ends[1], &id, sizeof id) != sizeof id)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ends[0], id_out, sizeof *id_out), sizeof *id_out);
	close(ends[0]);
	close(ends[1]);
	return pid;
}

static void end_child(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void end_of_a_process_is_seen(void **state)
{
	struct process_watch watch;
	struct process_id id;
	pid_t pid = start_child(&id);

	(void)state;
	process_watch_open(&watch, &id);
	assert_false(process_watch_is_ended(&watch));
	end_child(pid);
	assert_true(process_watch_is_ended(&watch));
	assert_true(process_watch_is_ended(&watch));
	process_watch_close(&watch);
}

/* Before its parent has asked for its exit status, too. */
static void zombie_has_ended(void **state)
{
	struct process_watch watch;
	struct process_id id;
	siginfo_t info;
	pid_t pid = start_child(&id);

	(void)state;
	process_watch_open(&watch, &id);
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_true(process_watch_is_ended(&watch));
	process_watch_close(&watch);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void process_that_is_gone_has_ended(void **state)
{
	struct process_watch watch;
	struct process_id id;

	(void)state;
	end_child(start_child(&id));
	process_watch_open(&watch, &id);
	assert_true(process_watch_is_ended(&watch));
	process_watch_close(&watch);
}

static void another_process_with_the_same_pid_is_not_it(void **state)
{
	struct process_watch watch;
	struct process_id id;

	(void)state;
	process_id_of_self(&id);
	id.started--;
	process_watch_open(&watch, &id);
	assert_true(process_watch_is_ended(&watch));
	process_watch_close(&watch);
}

/* One descriptor is free, and the watch needs it. */
static void living_process_whose_start_cannot_be_read_has_not_ended(void **state)
{
	struct process_watch watch;
	struct process_id id;
	struct rlimit before, tight;
	pid_t pid = start_child(&id);
	int next = dup(STDIN_FILENO);

	(void)state;
	assert_true(next >= 0);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = before;
	tight.rlim_cur = (rlim_t)next + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	process_watch_open(&watch, &id);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(watch.fd >= 0);
	assert_false(process_watch_is_ended(&watch));
	end_child(pid);
	assert_true(process_watch_is_ended(&watch));
	process_watch_close(&watch);
}

/* It could not read its own start. */
static void process_with_an_unknown_start_is_watched(void **state)
{
	struct process_watch watch;
	struct process_id id;
	pid_t pid = start_child(&id);

	(void)state;
	id.started = 0;
	process_watch_open(&watch, &id);
	assert_false(process_watch_is_ended(&watch));
	end_child(pid);
	assert_true(process_watch_is_ended(&watch));
	process_watch_close(&watch);
}

static void processes_elsewhere_are_not_watched(void **state)
{
	struct process_watch watch;
	struct process_id id, elsewhere;

	(void)state;
	end_child(start_child(&id));
	elsewhere = id;
	elsewhere.boot[3] ^= 1;
	process_watch_open(&watch, &elsewhere);
	assert_false(process_watch_is_ended(&watch));
	process_watch_close(&watch);
	elsewhere = id;
	elsewhere.pid_namespace++;
	process_watch_open(&watch, &elsewhere);
	assert_false(process_watch_is_ended(&watch));
	process_watch_close(&watch);
	memset(&elsewhere, 0, sizeof elsewhere);
	process_watch_open(&watch, &elsewhere);
	assert_false(process_watch_is_ended(&watch));
	process_watch_close(&watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(end_of_a_process_is_seen),
		cmocka_unit_test(zombie_has_ended),
		cmocka_unit_test(process_that_is_gone_has_ended),
		cmocka_unit_test(another_process_with_the_same_pid_is_not_it),
		cmocka_unit_test(living_process_whose_start_cannot_be_read_has_not_ended),
		cmocka_unit_test(process_with_an_unknown_start_is_watched),
		cmocka_unit_test(processes_elsewhere_are_not_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
