/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client_target.h"

#include "base/parse.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_HOST "127.0.0.1"
#define DEFAULT_PORT "8080"

enum { KEY_SOCKET = 0x400, KEY_LISTEN, KEY_HOST, KEY_PORT, KEY_SILENCE, KEY_JSON };

static const struct argp_option target_options[] = {
	{ NULL, 0, NULL, 0, "Server:", 10 },
	{ "socket", KEY_SOCKET, "PATH", 0, "Unix socket of the server (STAGECOACH_SOCKET)", 0 },
	{ "listen", KEY_LISTEN, "HOST:PORT", 0,
	  "TCP address of the server (STAGECOACH_LISTEN)", 0 },
	{ "host", KEY_HOST, "HOST", 0, "host of the server (127.0.0.1)", 0 },
	{ "port", KEY_PORT, "PORT", 0, "port of the server (8080)", 0 },
	{ "silence", KEY_SILENCE, "SECONDS", 0,
	  "give up when the server gives no sign of life for that long (20; 0: never)", 0 },
	{ NULL, 0, NULL, 0, "Output:", 20 },
	{ "json", KEY_JSON, NULL, 0, "JSON Lines on standard output", 0 },
	{ 0 },
};

static error_t parse_target(int key, char *arg, struct argp_state *state)
{
	struct client_target *target = state->input;
	double seconds;

	switch (key) {
	case KEY_SOCKET:
		target->socket = arg;
		return 0;
	case KEY_LISTEN:
		target->listen = arg;
		return 0;
	case KEY_HOST:
		target->host = arg;
		return 0;
	case KEY_PORT:
		target->port = arg;
		return 0;
	case KEY_SILENCE:
		if (!parse_f64(arg, &seconds) || seconds < 0.0 || seconds > 1e6)
			argp_error(state, "--silence: expected a number of seconds from 0 to "
				   "1000000, found '%s'", arg);
		target->silence_ms = seconds > 0.0 ? (uint64_t)ceil(seconds * 1e3) : UINT64_MAX;
		return 0;
	case KEY_JSON:
		target->is_json = true;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

const struct argp client_target_argp = { target_options, parse_target, NULL, NULL, NULL, NULL,
					 NULL };

static enum sc_status choose_unix(struct client_target *target, const char *path,
				  struct error *err)
{
	target->is_unix = true;
	snprintf(target->name, sizeof target->name, "%s", path);
	return net_address_unix(path, &target->unix_address, err);
}

static enum sc_status choose_tcp(struct client_target *target, const char *text,
				 struct error *err)
{
	target->is_unix = false;
	snprintf(target->name, sizeof target->name, "%s", text);
	return net_address_parse(text, &target->address, err);
}

static bool is_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static enum sc_status choose_default(struct client_target *target, struct error *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char path[256];

	if (runtime && runtime[0]) {
		snprintf(path, sizeof path, "%s/stagecoach/grpc.sock", runtime);
		if (is_socket(path))
			return choose_unix(target, path, err);
	}
	if (is_socket("/run/stagecoach/grpc.sock"))
		return choose_unix(target, "/run/stagecoach/grpc.sock", err);
	return choose_tcp(target, DEFAULT_HOST ":" DEFAULT_PORT, err);
}

enum sc_status client_target_choose(struct client_target *target, struct error *err)
{
	const char *host = target->host ? target->host : DEFAULT_HOST;
	const char *port = target->port ? target->port : DEFAULT_PORT;
	const char *variable;
	char text[300];

	if (target->socket)
		return choose_unix(target, target->socket, err);
	if (target->listen)
		return choose_tcp(target, target->listen, err);
	if (target->host || target->port) {
		snprintf(text, sizeof text, strchr(host, ':') && host[0] != '[' ? "[%s]:%s" :
			 "%s:%s", host, port);
		return choose_tcp(target, text, err);
	}
	variable = getenv("STAGECOACH_SOCKET");
	if (variable && variable[0])
		return choose_unix(target, variable, err);
	variable = getenv("STAGECOACH_LISTEN");
	if (variable && variable[0] && strcmp(variable, "none") != 0)
		return choose_tcp(target, variable, err);
	return choose_default(target, err);
}

/* 0, or an errno. */
static int finish_connect(int fd, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
	socklen_t length = sizeof(int);
	int errnum = 0;
	int n;

	do
		n = poll(&poll_fd, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return ETIMEDOUT;
	if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &length) != 0)
		return errno;
	return errnum;
}

/* 0 and an open socket, or an errno. */
static int connect_to(int family, const struct sockaddr *address, socklen_t length,
		      int timeout_ms, int *fd_out)
{
	int errnum = 0;
	int one = 1;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	if (connect(fd, address, length) != 0)
		errnum = errno == EINPROGRESS ? finish_connect(fd, timeout_ms) : errno;
	if (errnum) {
		close(fd);
		return errnum;
	}
	if (family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	*fd_out = fd;
	return 0;
}

static int connect_tcp(const struct addrinfo *list, int timeout_ms, int *fd_out)
{
	int errnum = ENOENT;

	for (; list; list = list->ai_next) {
		errnum = connect_to(list->ai_family, list->ai_addr, list->ai_addrlen, timeout_ms,
				    fd_out);
		if (!errnum)
			break;
	}
	return errnum;
}

enum sc_status client_target_connect(const struct client_target *target, int timeout_ms,
				     int *fd_out, struct error *err)
{
	struct addrinfo *list = NULL;
	int errnum;

	if (target->is_unix) {
		errnum = connect_to(AF_UNIX, (const struct sockaddr *)&target->unix_address,
				    sizeof target->unix_address, timeout_ms, fd_out);
	} else {
		if (net_address_resolve(&target->address, &list, err) != SC_OK)
			return err->status = SC_E_UNAVAILABLE;
		errnum = connect_tcp(list, timeout_ms, fd_out);
		freeaddrinfo(list);
	}
	if (errnum)
		return error_errno(err, SC_E_UNAVAILABLE, errnum,
				   "no server at %s", target->name);
	return SC_OK;
}
