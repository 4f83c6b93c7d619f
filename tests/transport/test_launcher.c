/* SPDX-License-Identifier: Apache-2.0 */
/* Each test makes three generations: the test itself, which adopts orphans; a launcher, which it
 * kills; and a rank, which is this program again. A rank says 'w' once it watches, and holds the
 * pipe open as long as it lives. */
#include "transport/ancestor.h"
#include "transport/launcher.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { EXIT_OF_RANK = 7, EXIT_TOLD = 8, EXIT_BROKEN = 99 };

static void say(char letter)
{
	if (write(STDOUT_FILENO, &letter, 1) != 1)
		_exit(EXIT_BROKEN);
}

/* --- the rank --- */

/* As on a kernel before 5.3. */
static void forbid_pidfd(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof filter / sizeof *filter, filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(EXIT_BROKEN);
}

struct told {
	struct loop *loop;
	struct error err;
};

static void on_gone(void *arg, const struct error *err)
{
	struct told *told = arg;

	told->err = *err;
	loop_stop(told->loop);
}

static int run_loop(struct launcher *launcher)
{
	struct told told = { 0 };
	struct timer *timer;	/* keeps the loop going */
	char pid[32];

	snprintf(pid, sizeof pid, "pid %d) has ended", (int)launcher_pid(launcher));
	if (loop_create(&told.loop) != SC_OK ||
	    timer_create_on(told.loop, NULL, NULL, &timer) != SC_OK ||
	    launcher_attach(launcher, told.loop, on_gone, &told) != SC_OK)
		return EXIT_BROKEN;
	timer_start(timer, 1000000, 0);
	say('w');
	loop_run(told.loop);
	launcher_detach(launcher);
	timer_destroy(timer);
	loop_destroy(told.loop);
	return strstr(told.err.text, pid) ? EXIT_TOLD : EXIT_BROKEN;
}

static int be_rank(const char *what)
{
	struct launcher *launcher;
	struct error err;
	int exit_code;

	if (!strcmp(what, "without pidfd"))
		forbid_pidfd();
	if (launcher_watch(&launcher, &err) != SC_OK)
		return EXIT_BROKEN;
	if (!strcmp(what, "tell pid")) {
		pid_t pid = launcher_pid(launcher);

		return write(STDOUT_FILENO, &pid, sizeof pid) == sizeof pid ? 0 : EXIT_BROKEN;
	}
	if (!strcmp(what, "loop") || !strcmp(what, "hang after loop")) {
		exit_code = run_loop(launcher);
		while (!strcmp(what, "hang after loop") && exit_code == EXIT_TOLD)
			pause();
		launcher_destroy(launcher);
		return exit_code;
	}
	if (!strcmp(what, "destroy")) {
		launcher_destroy(launcher);
		say('w');
		/* The end of the launcher closes the test's other pipe. */
		return read(STDIN_FILENO, &(char){ 0 }, 1) == 0 ? EXIT_OF_RANK : EXIT_BROKEN;
	}
	say('w');
	for (;;)
		pause();
}

static void exec_self(const char *mode, const char *what)
{
	execl("/proc/self/exe", "test_launcher", mode, what, NULL);
	_exit(EXIT_BROKEN);
}

/* A shell, say, between launcher and rank, with the rank's environment. Two of them: "wrappers". */
static int be_wrapper(const char *mode, const char *what)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		exec_self(!strcmp(mode, "wrappers") ? "wrapper" : "rank", what);
	return waitpid(pid, &status, 0) == pid ? WEXITSTATUS(status) : EXIT_BROKEN;
}

/* --- the launcher --- */

struct family {
	pid_t launcher;
	int from_rank;
};

static void be_launcher(const char *mode, const char *what, int to_test, int life[2])
{
	pid_t pid = fork();

	if (pid == 0) {
		setenv("PMIX_NAMESPACE", "test_launcher", 1);
		dup2(life[0], STDIN_FILENO);
		dup2(to_test, STDOUT_FILENO);
		close(life[0]);
		close(life[1]);
		close(to_test);
		exec_self(mode, what);
	}
	close(to_test);
	for (;;)
		pause();
}

static void start_family(struct family *family, const char *mode, const char *what)
{
	int from_rank[2], life[2];

	assert_int_equal(pipe(from_rank), 0);
	assert_int_equal(pipe(life), 0);
	family->launcher = fork();
	assert_true(family->launcher >= 0);
	if (!family->launcher) {
		close(from_rank[0]);
		be_launcher(mode, what, from_rank[1], life);
	}
	close(from_rank[1]);
	close(life[0]);
	close(life[1]);
	family->from_rank = from_rank[0];
}

static void start_rank(struct family *family, const char *what)
{
	char letter;

	start_family(family, "rank", what);
	assert_int_equal(read(family->from_rank, &letter, 1), 1);
	assert_int_equal(letter, 'w');
}

static void kill_launcher(struct family *family)
{
	kill(family->launcher, SIGKILL);
	assert_int_equal(waitpid(family->launcher, NULL, 0), family->launcher);
}

/* The exit code of the orphan, which this process adopted. */
static int wait_rank(struct family *family)
{
	char letter;
	int status;

	assert_int_equal(read(family->from_rank, &letter, 1), 0);
	close(family->from_rank);
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* --- tests --- */

static void rank_without_a_loop_ends_with_its_launcher(void **state)
{
	struct family family;

	(void)state;
	start_rank(&family, "stuck");
	kill_launcher(&family);
	assert_int_equal(wait_rank(&family), 69);
}

static void kernel_without_pidfd_is_no_obstacle(void **state)
{
	struct family family;

	(void)state;
	start_rank(&family, "without pidfd");
	kill_launcher(&family);
	assert_int_equal(wait_rank(&family), 69);
}

static void loop_is_told_and_may_leave_in_order(void **state)
{
	struct family family;

	(void)state;
	start_rank(&family, "loop");
	kill_launcher(&family);
	assert_int_equal(wait_rank(&family), EXIT_TOLD);
}

static void rank_that_does_not_leave_is_ended(void **state)
{
	struct family family;

	(void)state;
	start_rank(&family, "hang after loop");
	kill_launcher(&family);
	assert_int_equal(wait_rank(&family), 69);
}

static void watch_that_was_ended_ends_nothing(void **state)
{
	struct family family;

	(void)state;
	start_rank(&family, "destroy");
	kill_launcher(&family);
	assert_int_equal(wait_rank(&family), EXIT_OF_RANK);
}

static void wrappers_of_a_rank_are_not_its_launcher(void **state)
{
	struct family family;
	pid_t pid = 0;

	(void)state;
	start_family(&family, "wrappers", "tell pid");
	assert_int_equal(read(family.from_rank, &pid, sizeof pid), sizeof pid);
	assert_int_equal(pid, family.launcher);
	kill_launcher(&family);
	assert_int_equal(wait_rank(&family), 0);
}

static void names_are_read_from_proc(void **state)
{
	char name[ANCESTOR_NAME_BYTES];

	(void)state;
	ancestor_name(getpid(), name);
	assert_string_equal(name, "test_launcher");
	ancestor_name(-1, name);
	assert_string_equal(name, "unknown");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rank_without_a_loop_ends_with_its_launcher),
		cmocka_unit_test(kernel_without_pidfd_is_no_obstacle),
		cmocka_unit_test(loop_is_told_and_may_leave_in_order),
		cmocka_unit_test(rank_that_does_not_leave_is_ended),
		cmocka_unit_test(watch_that_was_ended_ends_nothing),
		cmocka_unit_test(wrappers_of_a_rank_are_not_its_launcher),
		cmocka_unit_test(names_are_read_from_proc),
	};

	if (argc > 2 && !strcmp(argv[1], "rank"))
		return be_rank(argv[2]);
	if (argc > 2)
		return be_wrapper(argv[1], argv[2]);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
		return EXIT_BROKEN;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
