/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client_target.h"

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
#define DEFAULT_PORT 8080

static enum config_source later(enum config_source a, enum config_source b)
{
	return a > b ? a : b;
}

/* Whose word counts: the latest source that says anything of an address. */
static enum config_source source_of(const struct config *config)
{
	enum config_source tcp = later(config_source_of(config, "host"),
				       config_source_of(config, "port"));
	enum config_source whole = config_source_of(config, "listen");

	if (!*config->listen || config_listen_is_word(config))
		whole = CONFIG_DEFAULT;
	if (!*config->socket)
		return later(tcp, whole);
	return later(config_source_of(config, "socket"), later(tcp, whole));
}

void client_target_init(struct client_target *target, const struct config *config)
{
	const enum config_source source = source_of(config);
	const bool has_listen = *config->listen && !config_listen_is_word(config);

	*target = (struct client_target){
		.silence_ms = config->silence > 0.0 ? (uint64_t)ceil(config->silence * 1e3)
						    : UINT64_MAX,
		.uses_tls = config->uses_tls || *config->ca || *config->client_cert,
		.tls = { config->client_cert, config->client_cert_key, config->ca },
		.api_key = config->api_key,
	};
	if (source == CONFIG_DEFAULT)
		return;
	if (*config->socket && config_source_of(config, "socket") == source) {
		target->socket = config->socket;
	} else if (has_listen && config_source_of(config, "listen") == source) {
		target->listen = config->listen;
	} else {
		target->host = config->host;
		target->port = config->port;
	}
}

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

static enum sc_status choose_host(struct client_target *target, struct error *err)
{
	const char *host = target->host ? target->host : DEFAULT_HOST;
	char text[300];

	snprintf(text, sizeof text, strchr(host, ':') && host[0] != '[' ? "[%s]:%u" : "%s:%u",
		 host, target->port ? target->port : DEFAULT_PORT);
	return choose_tcp(target, text, err);
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
	return choose_host(target, err);
}

enum sc_status client_target_choose(struct client_target *target, struct error *err)
{
	if (target->socket)
		return choose_unix(target, target->socket, err);
	if (target->listen)
		return choose_tcp(target, target->listen, err);
	if (target->host || target->port)
		return choose_host(target, err);
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
