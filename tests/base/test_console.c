/* SPDX-License-Identifier: Apache-2.0 */
/* Standard error that nobody reads: a pipe, a terminal, a socket. Whoever waits for it hangs here,
 * until the alarm ends the program. */
#include "base/console.h"

#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <cmocka.h>

#define PATIENCE_S 120
#define N_LINES 20000
#define FILLING "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define NOBODY 65534

static int real_stderr;
static int reader, writer;

/* What was read, up to a line that has not come whole: a terminal passes text on in pieces. */
static char text[1 << 20];
static size_t n_text;

static int start(void **state)
{
	(void)state;
	alarm(PATIENCE_S);
	reader = writer = -1;
	n_text = 0;
	real_stderr = dup(STDERR_FILENO);
	return real_stderr < 0 ? -1 : 0;
}

static int stop(void **state)
{
	(void)state;
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(reader);
	close(writer);
	alarm(0);
	return 0;
}

static void use_as_stderr(int read_fd, int write_fd)
{
	reader = read_fd;
	writer = write_fd;
	assert_true(dup2(writer, STDERR_FILENO) >= 0);
	assert_int_equal(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
}

static void use_pipe(void)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	use_as_stderr(fds[0], fds[1]);
}

/* One of write_lines, or "TIME warning: N lines dropped", which gives N. */
static bool is_line(const char *line, uint64_t *n_told)
{
	unsigned long long n;
	const char *note;
	unsigned number;
	int end = 0;

	if (sscanf(line, "line %u %n", &number, &end) == 1 && end) {
		assert_string_equal(line + end, FILLING);
		return true;
	}
	note = strstr(line, " warning: ");
	if (!note || sscanf(note, " warning: %llu lines dropped", &n) != 1)
		fail_msg("neither a line nor a note: %s", line);
	*n_told += n;
	return false;
}

/* Read all there is. Each line must be whole; returns how many there are, and what all notes of
 * dropped lines say together. */
static unsigned read_lines(uint64_t *n_told_out)
{
	unsigned n_lines = 0;
	char *line = text, *end;
	ssize_t n;

	*n_told_out = 0;
	while ((n = read(reader, text + n_text, sizeof text - 1 - n_text)) > 0)
		n_text += (size_t)n;
	text[n_text] = '\0';
	while ((end = strchr(line, '\n'))) {
		*end = '\0';
		line[strcspn(line, "\r")] = '\0';
		n_lines += is_line(line, n_told_out);
		line = end + 1;
	}
	n_text -= (size_t)(line - text);
	memmove(text, line, n_text);
	return n_lines;
}

static void write_lines(unsigned n)
{
	char line[128];

	for (unsigned i = 0; i < n; i++) {
		int length = snprintf(line, sizeof line, "line %u %s\n", i, FILLING);

		console_write(line, (size_t)length, CONSOLE_ANY);
	}
}

/* More than fits is written; all that was is told, line by line: read or dropped. */
static void is_never_waited_for(void)
{
	uint64_t n_before = console_n_dropped(), n_told, n_dropped;
	unsigned n_read;

	write_lines(N_LINES);
	n_dropped = console_n_dropped() - n_before;
	assert_true(n_dropped > 0);
	n_read = read_lines(&n_told);
	assert_int_equal(n_read + n_dropped, N_LINES);
	assert_int_equal(n_told, 0);
	/* There is room again. */
	write_lines(1);
	assert_int_equal(read_lines(&n_told), 1);
	assert_int_equal(n_told, n_dropped);
	write_lines(1);
	assert_int_equal(read_lines(&n_told), 1);
	assert_int_equal(n_told, 0);
	assert_int_equal(console_n_dropped() - n_before, n_dropped);
}

static void a_pipe_that_nobody_reads_is_never_waited_for(void **state)
{
	(void)state;
	use_pipe();
	is_never_waited_for();
	/* Others that share the pipe did not ask for O_NONBLOCK. */
	assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
}

static void a_socket_that_nobody_reads_is_never_waited_for(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	use_as_stderr(fds[0], fds[1]);
	is_never_waited_for();
	assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
}

static void a_terminal_that_is_stopped_is_never_waited_for(void **state)
{
	uint64_t n_before = console_n_dropped(), n_told;
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;

	(void)state;
	if (master < 0)
		skip();
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	if (slave < 0)
		skip();
	use_as_stderr(master, slave);
	assert_int_equal(tcflow(slave, TCOOFF), 0);	/* Ctrl-S */
	write_lines(100);
	assert_true(console_n_dropped() > n_before);
	assert_int_equal(tcflow(slave, TCOON), 0);
	/* What was dropped is told as soon as there is room, lines are whole. */
	read_lines(&n_told);
	write_lines(1);
	console_flush(PATIENCE_S * 1000);
	for (uint64_t n_more = 0; n_told < console_n_dropped() - n_before; n_told += n_more)
		read_lines(&n_more);
	assert_int_equal(n_told, console_n_dropped() - n_before);
	/* As much as its buffer takes; then the rest of a line comes before the next. */
	write_lines(N_LINES);
	read_lines(&n_told);
	write_lines(1);
	read_lines(&n_told);
}

/* A pipe of another user has no description for us alone. */
static void without_a_description_of_its_own_it_looks_for_room_before(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	use_pipe();
	assert_int_equal(fchmod(writer, 0), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		alarm(PATIENCE_S);
		if (!getuid() && setuid(NOBODY))
			_exit(77);
		write_lines(N_LINES);
		_exit(!console_n_dropped());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
}

static void a_pipe_without_reader_is_no_end(void **state)
{
	uint64_t n_before = console_n_dropped();

	(void)state;
	use_pipe();
	write_lines(1);
	close(reader);
	reader = -1;
	write_lines(10);	/* no SIGPIPE */
	assert_int_equal(console_n_dropped() - n_before, 10);
	console_flush(PATIENCE_S * 1000);
}

static void last_words_wait_for_room(void **state)
{
	char last[256] = "";
	uint64_t n_told;

	(void)state;
	use_pipe();
	write_lines(N_LINES);
	log_error("it breaks");
	console_flush(0);
	read_lines(&n_told);
	console_flush(PATIENCE_S * 1000);
	assert_true(read(reader, last, sizeof last - 1) > 0);
	assert_non_null(strstr(last, "error: it breaks\n"));
	assert_non_null(strstr(last, " lines dropped\n"));
}

static void *write_many(void *arg)
{
	(void)arg;
	write_lines(N_LINES / 4);
	return NULL;
}

static void lines_of_many_threads_stay_whole(void **state)
{
	uint64_t n_before = console_n_dropped(), n_told;
	pthread_t threads[4];
	unsigned n_read = 0;

	(void)state;
	use_pipe();
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	n_read = read_lines(&n_told);
	assert_int_equal(n_read + (console_n_dropped() - n_before), N_LINES / 4 * 4);
}

static void a_text_of_many_lines_is_cut_between_them(void **state)
{
	static char many[3 * 4096];
	uint64_t n_told;
	size_t length = 0;
	unsigned n = 0;

	(void)state;
	use_pipe();
	while (length < sizeof many - 64)
		length += (size_t)snprintf(many + length, sizeof many - length, "line %u %s\n",
					   n++, FILLING);
	console_print(many);
	assert_int_equal(read_lines(&n_told), n);
}

static void expect_output(const char *expected)
{
	char found[512];
	ssize_t n = read(reader, found, sizeof found - 1);

	found[n < 0 ? 0 : n] = '\0';
	assert_string_equal(found, expected);
}

static void a_line_that_is_shown_gives_way_to_the_next_and_to_any_text(void **state)
{
	(void)state;
	use_pipe();
	console_show("10 %");
	console_show("20 %");
	expect_output("\r10 %\033[K\r20 %\033[K");
	console_print("a word\n");
	expect_output("\r\033[Ka word\n");
	console_print("another\n");
	expect_output("another\n");
	console_show("30 %");
	console_show(NULL);
	console_show(NULL);
	expect_output("\r30 %\033[K\r\033[K");
}

static void a_line_below_leaves_the_line_that_was_begun(void **state)
{
	(void)state;
	use_pipe();
	console_show_below("10 %");
	expect_output("\033D\033M\0337\r\n10 %\033[K\0338");
	console_show_below("20 %");
	console_show_below(NULL);
	console_show_below(NULL);
	expect_output("\033D\033M\0337\r\n20 %\033[K\0338\033[J");
	console_show_below("30 %");
	(void)read(reader, (char[64]){ 0 }, 64);
	console_show("40 %");
	console_show(NULL);
	expect_output("\033[J\r40 %\033[K\r\033[K");
}

static void a_line_without_room_is_left_out_and_not_counted(void **state)
{
	uint64_t n_before, n_told, n_dropped;
	unsigned n_read;

	(void)state;
	use_pipe();
	write_lines(N_LINES);
	n_before = console_n_dropped();
	for (int i = 0; i < 100; i++)
		console_show("10 %");
	assert_int_equal(console_n_dropped(), n_before);
	n_read = read_lines(&n_dropped);
	assert_true(n_read > 0);
	assert_int_equal(n_dropped, 0);
	write_lines(1);
	assert_int_equal(read_lines(&n_told), 1);
	assert_int_equal(n_read + n_told, N_LINES);
}

/* As streams_reserve leaves what was closed; and a disk without room. */
static void where_writing_fails_the_end_waits_for_nothing(void **state)
{
	static const struct { const char *path; int flags; } places[] = {
		{ "/dev/null", O_RDONLY }, { "/dev/full", O_WRONLY },
	};

	(void)state;
	for (int i = 0; i < 2; i++) {
		const int fd = open(places[i].path, places[i].flags | O_CLOEXEC);

		dup2(fd, STDERR_FILENO);
		console_write("last\n", 5, CONSOLE_LAST_WORDS);
		console_flush(10 * PATIENCE_S * 1000);
		close(fd);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(a_pipe_that_nobody_reads_is_never_waited_for),
		TEST(a_socket_that_nobody_reads_is_never_waited_for),
		TEST(a_terminal_that_is_stopped_is_never_waited_for),
		TEST(without_a_description_of_its_own_it_looks_for_room_before),
		TEST(a_pipe_without_reader_is_no_end),
		TEST(last_words_wait_for_room),
		TEST(lines_of_many_threads_stay_whole),
		TEST(a_text_of_many_lines_is_cut_between_them),
		TEST(a_line_that_is_shown_gives_way_to_the_next_and_to_any_text),
		TEST(a_line_below_leaves_the_line_that_was_begun),
		TEST(a_line_without_room_is_left_out_and_not_counted),
		TEST(where_writing_fails_the_end_waits_for_nothing),
	};
#undef TEST

	log_init(LOG_LEVEL_INFO, "");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
