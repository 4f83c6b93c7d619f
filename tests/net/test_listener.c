/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses a listener opens, as its clients see it. */
#include "net/listener.h"

#include "base/clock.h"
#include "event/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static struct loop *loop;
static struct listener *listener;
static struct error err;

static int setup(void **state)
{
	(void)state;
	listener = NULL;
	return loop_create(&loop) != SC_OK;
}

static int teardown(void **state)
{
	(void)state;
	listener_close(listener);
	loop_destroy(loop);
	return 0;
}

static unsigned n_clients;

static void on_client(void *arg, int fd, bool is_unix)
{
	(void)arg;
	(void)is_unix;
	n_clients++;
	close(fd);
}

static void listen_on(const char *address)
{
	if (listener_open_tcp(loop_uv(loop), address, on_client, NULL, &listener, &err) != SC_OK)
		fail_msg("%s", err.text);
}

static bool has_ipv6(void)
{
	const struct sockaddr_in6 address = {
		.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

/* Can a client connect to the listener's port on that address? */
static bool is_open_on(const char *host)
{
	const char *port = strrchr(listener_address(listener), ':') + 1;
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
	struct addrinfo *info;
	bool is_open;
	int fd;

	assert_int_equal(getaddrinfo(host, port, &hints, &info), 0);
	fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	is_open = fd >= 0 && connect(fd, info->ai_addr, info->ai_addrlen) == 0;
	if (fd >= 0)
		close(fd);
	freeaddrinfo(info);
	return is_open;
}

/* 127.0.0.2 is no address of loopback that a name stands for: only all addresses include it. */
static void expect_all_addresses(const char *address)
{
	listen_on(address);
	assert_true(is_open_on("127.0.0.2"));
	assert_true(is_open_on("::1") == has_ipv6());
	assert_true(listener_is_exposed(listener));
	if (has_ipv6())
		assert_int_equal(strncmp(listener_address(listener), "[::]:", 5), 0);
}

static void zeros_mean_all_addresses_of_both_families(void **state)
{
	(void)state;
	expect_all_addresses("0.0.0.0:0");
}

static void two_colons_mean_all_addresses_of_both_families(void **state)
{
	(void)state;
	expect_all_addresses("[::]:0");
}

static void a_star_means_all_addresses_and_not_loopback(void **state)
{
	(void)state;
	expect_all_addresses("*:0");
}

static void loopback_is_not_exposed(void **state)
{
	static const char *const addresses[] = { "127.0.0.1:0", "127.1.2.3:0", "localhost:0",
						 "[::1]:0" };

	(void)state;
	for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
		if (strchr(addresses[i], '[') && !has_ipv6())
			continue;
		listen_on(addresses[i]);
		assert_false(listener_is_exposed(listener));
		listener_close(listener);
		listener = NULL;
	}
}

static void clients_that_wait_are_taken_before_the_end(void **state)
{
	(void)state;
	listen_on("127.0.0.1:0");
	n_clients = 0;
	for (int i = 0; i < 3; i++)
		assert_true(is_open_on("127.0.0.1"));
	listener_take_waiting(listener);
	assert_int_equal(n_clients, 3);
	listener_take_waiting(listener);
	assert_int_equal(n_clients, 3);
}

static void a_taken_port_is_an_error_that_names_the_address(void **state)
{
	struct listener *second = NULL;
	char address[64];

	(void)state;
	listen_on("*:0");
	snprintf(address, sizeof address, "0.0.0.0:%s",
		 strrchr(listener_address(listener), ':') + 1);
	assert_int_equal(listener_open_tcp(loop_uv(loop), address, on_client, NULL, &second, &err),
			 SC_E_IO);
	assert_int_equal(strncmp(err.text, address, strlen(address)), 0);
	assert_non_null(strstr(err.text, "in use"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* A connection to the listener, which is on loopback, with a socket that was made before. */
static void connect_to(int fd)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) },
	};

	address.sin_port = htons((in_port_t)atoi(strrchr(listener_address(listener), ':') + 1));
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
}

/* Waits until the listener has closed the connection. */
static void expect_closed(int fd)
{
	char byte;
	ssize_t n;

	while ((n = recv(fd, &byte, 1, MSG_DONTWAIT)) < 0 && errno == EAGAIN)
		loop_turn(loop, false);
	assert_true(n == 0 || errno == ECONNRESET);
}

/* From here on no descriptor is free, and standard error is a file. Returns the file. */
static int use_all_descriptors(int *fillers, unsigned *n_fillers, unsigned most)
{
	int log = memfd_create("log", MFD_CLOEXEC);
	struct rlimit limit;

	assert_true(log >= 0);
	assert_true(dup2(log, STDERR_FILENO) >= 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)log + 8;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (*n_fillers < most && (fillers[*n_fillers] = dup(log)) >= 0)
		++*n_fillers;
	assert_true(*n_fillers < most && errno == EMFILE);
	return log;
}

static unsigned count_lines(int log, const char *words)
{
	char text[4096] = "";
	unsigned n = 0;

	assert_true(pread(log, text, sizeof text - 1, 0) >= 0);
	for (const char *at = text; (at = strstr(at, words)); at++)
		n++;
	return n;
}

static void without_descriptors_clients_are_closed_with_one_warning(void **state)
{
	int clients[4], fillers[64], log, real_stderr = dup(STDERR_FILENO);
	unsigned n_fillers = 0;
	struct rlimit before;

	(void)state;
	listen_on("127.0.0.1:0");
	n_clients = 0;
	for (int i = 0; i < 4; i++)
		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	log = use_all_descriptors(fillers, &n_fillers, 64);
	for (int i = 0; i < 3; i++) {
		connect_to(clients[i]);
		expect_closed(clients[i]);
	}
	assert_int_equal(n_clients, 0);
	assert_int_equal(count_lines(log, "no file descriptor left (ulimit -n)"), 1);
	while (n_fillers)
		close(fillers[--n_fillers]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	dup2(real_stderr, STDERR_FILENO);
	/* There is room again. */
	connect_to(clients[3]);
	expect_closed(clients[3]);
	assert_int_equal(n_clients, 1);
	for (int i = 0; i < 4; i++)
		close(clients[i]);
	close(log);
	close(real_stderr);
}

/* With an accept in every turn the loop would not rest while descriptors are missing. */
static void where_nothing_can_be_done_the_listener_pauses(void **state)
{
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct rlimit before, none;
	uint64_t begin_ns;

	(void)state;
	listen_on("127.0.0.1:0");
	n_clients = 0;
	connect_to(client);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 3;	/* so the spare descriptor cannot be had back either */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	begin_ns = clock_ns();
	loop_turn(loop, true);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	/* The client waits, unless this machine was so slow that the pause of 100 ms is over. */
	loop_turn(loop, false);
	if (clock_ns() - begin_ns < 100 * NS_PER_MS)
		assert_int_equal(n_clients, 0);
	for (int i = 0; i < 1000 && !n_clients; i++)
		loop_turn(loop, true);
	assert_int_equal(n_clients, 1);
	close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(zeros_mean_all_addresses_of_both_families),
		TEST(two_colons_mean_all_addresses_of_both_families),
		TEST(a_star_means_all_addresses_and_not_loopback),
		TEST(loopback_is_not_exposed),
		TEST(clients_that_wait_are_taken_before_the_end),
		TEST(a_taken_port_is_an_error_that_names_the_address),
		TEST(without_descriptors_clients_are_closed_with_one_warning),
		TEST(where_nothing_can_be_done_the_listener_pauses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
