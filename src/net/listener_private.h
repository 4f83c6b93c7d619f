/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_NET_LISTENER_PRIVATE_H
#define STAGECOACH_NET_LISTENER_PRIVATE_H
/* listener_private - a listener's sockets, and how they accept. Private to listener*.c. */
#include "net/listener.h"

#include <sys/types.h>

#define LISTENER_MAX_SOCKETS 8

struct listening_socket {
	uv_poll_t poll;
	uv_timer_t pause;	/* runs while new connections must wait */
	unsigned n_handles;	/* initialised, and not closed yet */
	struct listener *listener;
	int fd;
};

struct listener {
	listener_fn *fn;
	void *arg;
	uv_loop_t *uv;
	struct listening_socket *sockets[LISTENER_MAX_SOCKETS];
	unsigned n_sockets;
	int spare_fd;		/* given up to close a connection that has no descriptor; or -1 */
	unsigned n_shed;	/* connections closed so since the last warning */
	uint64_t quiet_until_ms;	/* no warning before; of uv_now */
	char address[512];
	bool is_exposed;	/* other machines may reach it */
	bool is_unix;
	dev_t device;		/* device of the Unix socket's file */
	ino_t inode;
};

/* Accepts clients on socket->fd, which listens. Returns 0 or an error of libuv. */
int listening_socket_start(struct listening_socket *socket);
/* Accepts the clients that are there already. */
void listening_socket_take_waiting(struct listening_socket *socket);
/* Closes fd now, and frees the socket, which may be started or not, in a later phase of the loop or
 * now. */
void listening_socket_close(struct listening_socket *socket);

#endif
