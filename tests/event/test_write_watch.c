/* SPDX-License-Identifier: Apache-2.0 */
#include "event/loop.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

struct fixture {
	struct loop *loop;
	struct write_watch *watch;
	int read_fd, write_fd;
	unsigned n_calls;
	bool destroys;		/* inside the callback */
};

static void on_room(void *arg)
{
	struct fixture *f = arg;

	f->n_calls++;
	if (f->destroys) {
		write_watch_destroy(f->watch);
		f->watch = NULL;
	}
}

/* Until nothing more fits; the flags are as before. */
static void fill(int fd)
{
	static const char text[4096];
	int flags = fcntl(fd, F_GETFL);

	assert_int_equal(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
	while (write(fd, text, sizeof text) > 0)
		;
	assert_int_equal(fcntl(fd, F_SETFL, flags), 0);
}

static void begin(struct fixture *f)
{
	struct error err;
	int fds[2];

	*f = (struct fixture){ 0 };
	assert_int_equal(pipe(fds), 0);
	f->read_fd = fds[0];
	f->write_fd = fds[1];
	assert_int_equal(loop_create(&f->loop), SC_OK);
	assert_int_equal(write_watch_create(f->loop, f->write_fd, on_room, f, &f->watch, &err),
			 SC_OK);
	assert_int_equal(write_watch_start(f->watch, &err), SC_OK);
}

static void end(struct fixture *f)
{
	write_watch_destroy(f->watch);
	loop_destroy(f->loop);
	close(f->read_fd);
	close(f->write_fd);
}

static void room_is_told_when_the_reader_has_read(void **state)
{
	static char text[1 << 20];
	struct fixture f;
	struct error err;

	(void)state;
	begin(&f);
	fill(f.write_fd);
	loop_turn(f.loop, false);
	assert_int_equal(f.n_calls, 0);
	assert_true(read(f.read_fd, text, sizeof text) > 0);
	loop_turn(f.loop, true);
	assert_int_equal(f.n_calls, 1);
	write_watch_stop(f.watch);
	loop_turn(f.loop, false);
	assert_int_equal(f.n_calls, 1);
	assert_int_equal(write_watch_start(f.watch, &err), SC_OK);
	loop_turn(f.loop, true);
	assert_int_equal(f.n_calls, 2);
	end(&f);
}

static void flags_of_the_descriptor_stay(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	loop_turn(f.loop, true);
	assert_int_equal(fcntl(f.write_fd, F_GETFL) & O_NONBLOCK, 0);
	end(&f);
}

static void lost_reader_is_told(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	fill(f.write_fd);
	close(f.read_fd);
	f.read_fd = -1;
	loop_turn(f.loop, true);
	assert_int_equal(f.n_calls, 1);
	end(&f);
}

static void watch_may_be_destroyed_in_its_callback(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	f.destroys = true;
	loop_turn(f.loop, true);
	loop_turn(f.loop, false);
	assert_int_equal(f.n_calls, 1);
	end(&f);
}

static void regular_file_cannot_be_watched(void **state)
{
	struct write_watch *watch = NULL;
	struct fixture f;
	struct error err;
	char path[] = "/tmp/test_write_watch.XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	unlink(path);
	begin(&f);
	assert_int_equal(write_watch_create(f.loop, fd, on_room, &f, &watch, &err), SC_E_IO);
	assert_null(watch);
	close(fd);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(room_is_told_when_the_reader_has_read),
		cmocka_unit_test(flags_of_the_descriptor_stay),
		cmocka_unit_test(lost_reader_is_told),
		cmocka_unit_test(watch_may_be_destroyed_in_its_callback),
		cmocka_unit_test(regular_file_cannot_be_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
