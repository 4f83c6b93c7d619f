/* SPDX-License-Identifier: Apache-2.0 */
/* Each test makes three generations: the test itself, which adopts orphans; a launcher, which it
 * kills; and a rank, which is this program again. A rank says 'w' once it watches, and holds the
 * pipe open as long as it lives. */
#include "transport/ancestor.h"
#include "transport/launcher.h"

#include "tests/base/hung_console.h"

#include <errno.h>
#include <fcntl.h>
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
#include <sys/resource.h>
#include <sys/stat.h>
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

static void forbid(int call, int code)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)code),
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

/* Ends as a process whose cluster has failed. Its log goes to the test. */
static int end_launcher(struct launcher *launcher, const char *what)
{
	if (!strcmp(what, "end without close_range"))	/* as on a kernel before 5.9 */
		forbid(SYS_close_range, ENOSYS);
	if (strstr(what, "without fork")) {
		forbid(SYS_clone, EAGAIN);
		if (dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
			return EXIT_BROKEN;
	}
	launcher_end(launcher, strstr(what, "coordinator") != NULL);
	return EXIT_OF_RANK;
}

static int be_rank(const char *what)
{
	struct launcher *launcher;
	struct error err;
	int exit_code;

	if (!strcmp(what, "without pidfd"))	/* as on a kernel before 5.3 */
		forbid(SYS_pidfd_open, ENOSYS);
	if (!strcmp(what, "hanging log"))
		hang_console();
	if (launcher_watch(&launcher, &err) != SC_OK)
		return EXIT_BROKEN;
	if (!strncmp(what, "end ", 4))
		return end_launcher(launcher, what);
	if (!strcmp(what, "tell pid")) {
		pid_t pid = launcher_pid(launcher);

		/* Once the pid is told, the launcher is killed. */
		launcher_destroy(launcher);
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
	char folder[32];	/* of start_open_mpi */
};

/* Copies this program to path. */
static void copy_self(const char *path)
{
	char text[65536];
	FILE *from = fopen("/proc/self/exe", "r"), *to = fopen(path, "w");
	size_t n;

	if (!from || !to)
		_exit(EXIT_BROKEN);
	while ((n = fread(text, 1, sizeof text, from)))
		if (fwrite(text, 1, n, to) != n)
			_exit(EXIT_BROKEN);
	fclose(from);
	if (fclose(to) || chmod(path, 0700))
		_exit(EXIT_BROKEN);
}

/* An mpirun: the program's name says so. Standard output is the pipe to the test. */
static int be_open_mpi(const char *what)
{
	pid_t pid = fork();

	if (pid == 0) {
		setenv("PMIX_NAMESPACE", "test_launcher", 1);
		exec_self("rank", what);
	}
	if (pid < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return EXIT_BROKEN;
	for (;;)
		pause();
}

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

static void start_open_mpi(struct family *family, const char *what)
{
	char folder[] = "/tmp/test_launcher.XXXXXX", path[64];
	int from_rank[2];

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/orterun", folder);
	copy_self(path);
	assert_int_equal(pipe2(from_rank, O_CLOEXEC), 0);
	family->launcher = fork();
	assert_true(family->launcher >= 0);
	if (!family->launcher) {
		dup2(from_rank[1], STDOUT_FILENO);
		execl(path, "orterun", "open mpi", what, NULL);
		_exit(EXIT_BROKEN);
	}
	close(from_rank[1]);
	family->from_rank = from_rank[0];
	snprintf(family->folder, sizeof family->folder, "%s", folder);
}

/* Its program is a file of its own. */
static void remove_open_mpi(const struct family *family)
{
	char path[64];

	snprintf(path, sizeof path, "%s/orterun", family->folder);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(family->folder), 0);
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

static void rank_whose_log_hangs_ends_with_its_launcher(void **state)
{
	struct family family;

	(void)state;
	start_rank(&family, "hanging log");
	kill_launcher(&family);
	assert_int_equal(wait_rank(&family), 69);
}

/* No file can be opened, so /proc tells nothing. */
static void ancestor_that_cannot_be_looked_up_is_alive(void **state)
{
	struct ancestor ancestor = { .pid = getpid(), .child = fork() };
	struct rlimit before, none;

	(void)state;
	assert_true(ancestor.child >= 0);
	if (!ancestor.child)
		for (;;)
			pause();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_true(ancestor_is_alive(&ancestor));
	kill(ancestor.child, SIGKILL);
	assert_int_equal(waitpid(ancestor.child, NULL, 0), ancestor.child);
	assert_false(ancestor_is_alive(&ancestor));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* The launcher waits for the end of the rank's output. */
static void helper_holds_no_descriptor_of_its_rank(void **state)
{
	struct family family;
	char letter;

	(void)state;
	start_open_mpi(&family, "end without close_range");
	assert_int_equal(read(family.from_rank, &letter, 1), 0);
	close(family.from_rank);
	/* The helper waits for eight seconds before it kills the launcher. */
	assert_int_equal(waitpid(family.launcher, NULL, WNOHANG), 0);
	kill_launcher(&family);
	while (waitpid(-1, NULL, 0) > 0)	/* the rank and the helper */
		;
	remove_open_mpi(&family);
}

/* Without fork, a rank that would end its launcher says that it cannot. */
static bool tries_to_end_launcher(const char *what)
{
	struct family family;
	char text[1024];
	size_t n_bytes = 0;
	ssize_t n;

	start_open_mpi(&family, what);
	while ((n = read(family.from_rank, text + n_bytes, sizeof text - 1 - n_bytes)) > 0)
		n_bytes += (size_t)n;
	text[n_bytes] = '\0';
	close(family.from_rank);
	kill_launcher(&family);
	while (waitpid(-1, NULL, 0) > 0)
		;
	remove_open_mpi(&family);
	return strstr(text, "starting a process that ends it failed: "
			    "Resource temporarily unavailable") != NULL;
}

static void helper_that_cannot_be_started_is_told(void **state)
{
	(void)state;
	assert_true(tries_to_end_launcher("end without fork"));
}

static void with_recovery_only_the_coordinator_ends_the_launcher(void **state)
{
	(void)state;
	setenv("OMPI_MCA_orte_enable_recovery", "1", 1);
	assert_false(tries_to_end_launcher("end without fork"));
	assert_true(tries_to_end_launcher("end coordinator without fork"));
	unsetenv("OMPI_MCA_orte_enable_recovery");
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
		cmocka_unit_test(rank_whose_log_hangs_ends_with_its_launcher),
		cmocka_unit_test(ancestor_that_cannot_be_looked_up_is_alive),
		cmocka_unit_test(helper_holds_no_descriptor_of_its_rank),
		cmocka_unit_test(helper_that_cannot_be_started_is_told),
		cmocka_unit_test(with_recovery_only_the_coordinator_ends_the_launcher),
		cmocka_unit_test(names_are_read_from_proc),
	};

	if (argc > 2 && !strcmp(argv[1], "rank"))
		return be_rank(argv[2]);
	if (argc > 2 && !strcmp(argv[1], "open mpi"))
		return be_open_mpi(argv[2]);
	if (argc > 2)
		return be_wrapper(argv[1], argv[2]);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
		return EXIT_BROKEN;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
