/* SPDX-License-Identifier: Apache-2.0 */
#include "net/listener_private.h"

#include "net/net_address.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 128
#define SOCKET_TYPE (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)

static struct listener *new_listener(uv_loop_t *uv, listener_fn *fn, void *arg)
{
	struct listener *listener = calloc(1, sizeof *listener);

	if (!listener)
		return NULL;
	listener->uv = uv;
	listener->fn = fn;
	listener->arg = arg;
	listener->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return listener;
}

/* --- sockets --- */

/* Listens on the bound fd. Takes fd, also on failure. */
static enum sc_status add_socket(struct listener *listener, int fd, const char *address,
				 struct error *err)
{
	struct listening_socket *socket = calloc(1, sizeof *socket);
	int rc;

	if (!socket) {
		close(fd);
		return error_set(err, SC_E_NOMEM, "%s: out of memory", address);
	}
	socket->listener = listener;
	socket->fd = fd;
	rc = listen(fd, BACKLOG) == 0 ? listening_socket_start(socket) : -errno;
	if (rc != 0) {
		listening_socket_close(socket);
		return error_set(err, SC_E_IO, "%s: %s", address, uv_strerror(rc));
	}
	listener->sockets[listener->n_sockets++] = socket;
	return SC_OK;
}

/* is_ipv6_only: "localhost" stands for two addresses, and its IPv6 one must not claim both. */
static int bind_tcp(const struct sockaddr *address, socklen_t length, int is_ipv6_only)
{
	int one = 1;
	int fd = socket(address->sa_family, SOCKET_TYPE, 0);

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (address->sa_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_ipv6_only,
				 sizeof is_ipv6_only);
	if (bind(fd, address, length) != 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static void remember_address(struct listener *listener, int fd)
{
	struct sockaddr_storage bound;
	socklen_t length = sizeof bound;

	if (getsockname(fd, (struct sockaddr *)&bound, &length) != 0)
		return;
	listener->is_exposed |= !net_address_is_loopback((struct sockaddr *)&bound);
	if (!listener->address[0])
		net_address_format((struct sockaddr *)&bound, length, listener->address,
				   sizeof listener->address);
}

/* Is that what a machine without IPv6, or without that address, says? */
static bool is_missing(int errnum)
{
	return errnum == EADDRNOTAVAIL || errnum == EAFNOSUPPORT;
}

/* All addresses of this machine: one socket of both families, or of IPv4 where there is no IPv6. */
static enum sc_status open_any(struct listener *listener, const char *port,
			       const char *address, struct error *err)
{
	const in_port_t n = htons((in_port_t)strtoul(port, NULL, 10));
	const struct sockaddr_in6 both = { .sin6_family = AF_INET6, .sin6_port = n };
	const struct sockaddr_in ipv4 = { .sin_family = AF_INET, .sin_port = n };
	int fd = bind_tcp((const struct sockaddr *)&both, sizeof both, 0);

	if (fd < 0 && is_missing(errno))
		fd = bind_tcp((const struct sockaddr *)&ipv4, sizeof ipv4, 0);
	if (fd < 0)
		return error_errno(err, SC_E_IO, errno, "%s", address);
	remember_address(listener, fd);
	return add_socket(listener, fd, address, err);
}

/* Returns true if info is a repetition: a name may have the same address twice. */
static bool is_repeated(const struct addrinfo *list, const struct addrinfo *info)
{
	for (; list != info; list = list->ai_next)
		if (list->ai_addrlen == info->ai_addrlen &&
		    memcmp(list->ai_addr, info->ai_addr, info->ai_addrlen) == 0)
			return true;
	return false;
}

static enum sc_status open_all(struct listener *listener, const struct addrinfo *list,
			       bool is_any_port, const char *address, struct error *err)
{
	enum sc_status status;
	int errnum = 0;

	for (const struct addrinfo *info = list; info && listener->n_sockets < LISTENER_MAX_SOCKETS;
	     info = info->ai_next) {
		int fd = -1;

		if (is_repeated(list, info))
			continue;
		fd = bind_tcp(info->ai_addr, info->ai_addrlen, 1);
		/* A host without IPv6 may still resolve to IPv6 addresses: one address that works
		 * is enough. */
		if (fd < 0) {
			errnum = errno;
			if (is_missing(errnum))
				continue;
			return error_errno(err, SC_E_IO, errnum, "%s", address);
		}
		remember_address(listener, fd);
		status = add_socket(listener, fd, address, err);
		if (status != SC_OK)
			return status;
		if (is_any_port)
			return SC_OK;
	}
	if (!listener->n_sockets)
		return error_errno(err, SC_E_IO, errnum, "%s", address);
	return SC_OK;
}

enum sc_status listener_open_tcp(uv_loop_t *uv, const char *address, listener_fn *fn, void *arg,
				 struct listener **listener_out, struct error *err)
{
	struct listener *listener = new_listener(uv, fn, arg);
	struct addrinfo *list = NULL;
	struct net_address parsed;
	enum sc_status status;

	if (!listener)
		return error_set(err, SC_E_NOMEM, "%s: out of memory", address);
	status = net_address_parse(address, &parsed, err);
	if (status == SC_OK && net_address_is_any(&parsed)) {
		status = open_any(listener, parsed.port, address, err);
	} else if (status == SC_OK) {
		status = net_address_resolve(&parsed, &list, err);
		if (status == SC_OK)
			status = open_all(listener, list, strcmp(parsed.port, "0") == 0, address,
					  err);
	}
	if (list)
		freeaddrinfo(list);
	if (status != SC_OK) {
		listener_close(listener);
		return status;
	}
	*listener_out = listener;
	return SC_OK;
}

/* Does the address belong to this machine? */
static bool is_bindable(const struct addrinfo *info)
{
	struct sockaddr_storage address;
	int fd;

	memcpy(&address, info->ai_addr, info->ai_addrlen);
	if (info->ai_family == AF_INET6)
		((struct sockaddr_in6 *)&address)->sin6_port = 0;
	else
		((struct sockaddr_in *)&address)->sin_port = 0;
	fd = bind_tcp((const struct sockaddr *)&address, info->ai_addrlen, 1);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

enum sc_status listener_check_tcp(const char *address, struct error *err)
{
	struct addrinfo *list = NULL;
	struct net_address parsed;
	enum sc_status status = net_address_parse(address, &parsed, err);
	bool is_ours = false;
	int errnum = 0;

	if (status == SC_OK && net_address_is_any(&parsed))
		return SC_OK;
	if (status == SC_OK)
		status = net_address_resolve(&parsed, &list, err);
	if (status != SC_OK)
		return status;
	for (const struct addrinfo *info = list; info && !is_ours; info = info->ai_next) {
		is_ours = is_bindable(info);
		errnum = errno;
	}
	freeaddrinfo(list);
	return is_ours ? SC_OK : error_errno(err, SC_E_IO, errnum, "%s", address);
}

static enum sc_status not_a_socket(const char *path, struct error *err)
{
	return error_set(err, SC_E_IO, "%s: exists and is not a socket: remove it or choose "
			 "another path", path);
}

/* The directory does not take a socket of that path, because of errnum. */
static enum sc_status cannot_create(const char *path, int errnum, struct error *err)
{
	if (errnum == ENOENT)
		return error_set(err, SC_E_IO, "%s: the directory does not exist", path);
	return error_errno(err, SC_E_IO, errnum, "%s", path);
}

/* The path exists: removes it if it is a socket where nobody listens. */
static enum sc_status remove_stale(const struct sockaddr_un *address, struct error *err)
{
	const char *path = address->sun_path;
	struct stat st;
	int errnum;
	int fd;

	if (lstat(path, &st) != 0)
		return error_errno(err, SC_E_IO, errno, "%s", path);
	if (!S_ISSOCK(st.st_mode))
		return not_a_socket(path, err);
	fd = socket(AF_UNIX, SOCKET_TYPE, 0);
	if (fd < 0)
		return error_errno(err, SC_E_IO, errno, "%s", path);
	errnum = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : errno;
	close(fd);
	if (errnum != ECONNREFUSED)
		return error_errno(err, SC_E_IO, EADDRINUSE, "%s", path);
	if (unlink(path) != 0)
		return error_errno(err, SC_E_IO, errno, "%s: cannot remove the old socket", path);
	return SC_OK;
}

static enum sc_status bind_unix(int fd, const struct sockaddr_un *address, struct error *err)
{
	const struct sockaddr *generic = (const struct sockaddr *)address;
	enum sc_status status;

	if (bind(fd, generic, sizeof *address) != 0) {
		if (errno != EADDRINUSE)
			return cannot_create(address->sun_path, errno, err);
		status = remove_stale(address, err);
		if (status != SC_OK)
			return status;
		if (bind(fd, generic, sizeof *address) != 0)
			return error_errno(err, SC_E_IO, errno, "%s", address->sun_path);
	}
	/* Nobody can connect before listen, so the mode is never wider than this. */
	if (chmod(address->sun_path, 0660) != 0)
		return error_errno(err, SC_E_IO, errno, "%s", address->sun_path);
	return SC_OK;
}

static enum sc_status open_unix(struct listener *listener, const struct sockaddr_un *address,
				struct error *err)
{
	enum sc_status status;
	struct stat st;
	int fd = socket(AF_UNIX, SOCKET_TYPE, 0);

	if (fd < 0)
		return error_errno(err, SC_E_IO, errno, "%s", address->sun_path);
	status = bind_unix(fd, address, err);
	if (status != SC_OK) {
		close(fd);
		return status;
	}
	if (stat(address->sun_path, &st) == 0) {
		listener->device = st.st_dev;
		listener->inode = st.st_ino;
	}
	return add_socket(listener, fd, address->sun_path, err);
}

enum sc_status listener_open_unix(uv_loop_t *uv, const char *path, listener_fn *fn, void *arg,
				  struct listener **listener_out, struct error *err)
{
	struct listener *listener = new_listener(uv, fn, arg);
	struct sockaddr_un address;
	enum sc_status status;

	if (!listener)
		return error_set(err, SC_E_NOMEM, "%s: out of memory", path);
	listener->is_unix = true;
	snprintf(listener->address, sizeof listener->address, "%s", path);
	status = net_address_unix(path, &address, err);
	if (status == SC_OK)
		status = open_unix(listener, &address, err);
	if (status != SC_OK) {
		listener_close(listener);
		return status;
	}
	*listener_out = listener;
	return SC_OK;
}

enum sc_status listener_check_unix(const char *path, struct error *err)
{
	struct sockaddr_un address;
	enum sc_status status = net_address_unix(path, &address, err);
	char directory[sizeof address.sun_path];
	struct stat st;

	if (status != SC_OK)
		return status;
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return not_a_socket(path, err);
	memcpy(directory, address.sun_path, sizeof directory);
	if (access(dirname(directory), W_OK | X_OK) == 0)
		return SC_OK;
	return cannot_create(path, errno, err);
}

void listener_take_waiting(struct listener *listener)
{
	for (unsigned i = 0; i < listener->n_sockets; i++)
		listening_socket_take_waiting(listener->sockets[i]);
}

void listener_close(struct listener *listener)
{
	struct stat st;

	if (!listener)
		return;
	if (listener->inode && stat(listener->address, &st) == 0 &&
	    st.st_dev == listener->device && st.st_ino == listener->inode)
		(void)unlink(listener->address);
	for (unsigned i = 0; i < listener->n_sockets; i++)
		listening_socket_close(listener->sockets[i]);
	if (listener->spare_fd >= 0)
		close(listener->spare_fd);
	free(listener);
}

const char *listener_address(const struct listener *listener)
{
	return listener->address;
}

bool listener_is_exposed(const struct listener *listener)
{
	return listener->is_exposed;
}
