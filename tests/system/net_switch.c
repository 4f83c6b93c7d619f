/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_switch - an Ethernet switch in user space, for tests of several hosts on one machine. It can
 * delay and lose frames, and cut single directions, which a bridge of the kernel cannot do.
 *
 *	net_switch NAME...	makes one tap device for each NAME, in the network namespace that it
 *				runs in, and prints "ready". The test moves each device into the
 *				namespace of a host. Commands come from standard input, one a line;
 *				each is answered with "ok" or "error: ...".
 *	delay MICROSECONDS	every frame waits for so long; 0 at the start
 *	loss PER_MILLE		so many frames of a thousand are lost, by a fixed sequence of draws
 *	cut FROM TO		frames of FROM do not reach TO; "*" means every host
 *	join FROM TO		they do again
 *	frames			the number of frames that were delivered, as "ok N"
 * End of input ends the program and removes the devices.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_PORTS = 16,
	MAX_FRAME = 2048,
	MAX_WAITING = 8192,	/* frames that are delayed; more are lost, as in a full switch */
	MAC_BYTES = 6,
	LINE_BYTES = 256,
};

struct port {
	const char *name;
	int fd;
	uint8_t mac[MAC_BYTES];
	bool has_mac;
	bool is_cut[MAX_PORTS];		/* frames of this port do not reach that one */
};

struct waiting {
	uint64_t due_ns;
	unsigned from;
	size_t n_bytes;
	uint8_t data[MAX_FRAME];
};

static struct port ports[MAX_PORTS];
static unsigned n_ports;
static struct waiting queue[MAX_WAITING];	/* a ring, in the order of arrival */
static size_t first_waiting, n_waiting;
static uint64_t delay_ns, n_delivered;
static unsigned loss_per_mille;
static uint64_t draw_state = 88172645463325252u;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Xorshift, so that every run loses the same frames. */
static bool is_lost(void)
{
	draw_state ^= draw_state << 13;
	draw_state ^= draw_state >> 7;
	draw_state ^= draw_state << 17;
	return draw_state % 1000 < loss_per_mille;
}

static int open_port(struct port *port, const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	if (strlen(name) >= sizeof request.ifr_name)
		return -1;
	strcpy(request.ifr_name, name);
	port->name = name;
	port->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return port->fd < 0 ? -1 : ioctl(port->fd, TUNSETIFF, &request);
}

static void deliver_to(const struct waiting *frame, unsigned to)
{
	if (to == frame->from || ports[frame->from].is_cut[to])
		return;
	/* A host that is not up yet, or whose queue is full, loses the frame. */
	if (write(ports[to].fd, frame->data, frame->n_bytes) > 0)
		n_delivered++;
}

/* To the port that has sent from this address, or to all. */
static void deliver(const struct waiting *frame)
{
	for (unsigned i = 0; i < n_ports; i++) {
		if (ports[i].has_mac && !memcmp(ports[i].mac, frame->data, MAC_BYTES)) {
			deliver_to(frame, i);
			return;
		}
	}
	for (unsigned i = 0; i < n_ports; i++)
		deliver_to(frame, i);
}

static void receive(unsigned from)
{
	struct port *port = &ports[from];

	for (;;) {
		struct waiting *frame = &queue[(first_waiting + n_waiting) % MAX_WAITING];
		static struct waiting surplus;
		ssize_t n;

		if (n_waiting == MAX_WAITING)
			frame = &surplus;
		n = read(port->fd, frame->data, sizeof frame->data);
		if (n < 2 * MAC_BYTES)
			return;
		memcpy(port->mac, frame->data + MAC_BYTES, MAC_BYTES);
		port->has_mac = true;
		if (frame == &surplus || is_lost())
			continue;
		frame->due_ns = now_ns() + delay_ns;
		frame->from = from;
		frame->n_bytes = (size_t)n;
		n_waiting++;
	}
}

/* Delivers what is due. Returns milliseconds until the next frame is, or -1. */
static int deliver_due(void)
{
	while (n_waiting) {
		const struct waiting *frame = &queue[first_waiting];
		uint64_t now = now_ns();

		if (frame->due_ns > now)
			return (int)((frame->due_ns - now + 999999) / 1000000);
		deliver(frame);
		first_waiting = (first_waiting + 1) % MAX_WAITING;
		n_waiting--;
	}
	return -1;
}

static bool is_named(unsigned i, const char *name)
{
	return !strcmp(name, "*") || !strcmp(name, ports[i].name);
}

static bool set_cut(const char *from, const char *to, bool is_cut)
{
	bool is_known = false;

	for (unsigned i = 0; i < n_ports; i++) {
		for (unsigned k = 0; k < n_ports; k++) {
			if (!is_named(i, from) || !is_named(k, to))
				continue;
			ports[i].is_cut[k] = is_cut;
			is_known = true;
		}
	}
	return is_known;
}

static void obey(const char *line)
{
	char from[IFNAMSIZ], to[IFNAMSIZ];
	unsigned value;
	bool is_known = true;

	if (sscanf(line, "delay %u", &value) == 1)
		delay_ns = value * UINT64_C(1000);
	else if (sscanf(line, "loss %u", &value) == 1)
		loss_per_mille = value;
	else if (sscanf(line, "cut %15s %15s", from, to) == 2)
		is_known = set_cut(from, to, true);
	else if (sscanf(line, "join %15s %15s", from, to) == 2)
		is_known = set_cut(from, to, false);
	else if (strcmp(line, "frames") != 0)
		is_known = false;
	if (!is_known)
		printf("error: no such command or host: %s\n", line);
	else if (!strcmp(line, "frames"))
		printf("ok %llu\n", (unsigned long long)n_delivered);
	else
		puts("ok");
	fflush(stdout);
}

/* Returns false at the end of the input. */
static bool read_commands(void)
{
	static char line[LINE_BYTES];
	static size_t n;
	char *end;
	ssize_t got = read(STDIN_FILENO, line + n, sizeof line - 1 - n);

	if (got <= 0)
		return got < 0 && errno == EINTR;
	n += (size_t)got;
	line[n] = '\0';
	while ((end = strchr(line, '\n'))) {
		*end = '\0';
		obey(line);
		n -= (size_t)(end + 1 - line);
		memmove(line, end + 1, n + 1);
	}
	return n < sizeof line - 1;
}

int main(int argc, char **argv)
{
	struct pollfd polled[MAX_PORTS + 1];
	int wait_ms = -1;

	n_ports = (unsigned)argc - 1;
	if (argc < 2 || n_ports > MAX_PORTS) {
		fprintf(stderr, "usage: net_switch NAME...  (at most %d)\n", MAX_PORTS);
		return 64;
	}
	for (unsigned i = 0; i < n_ports; i++) {
		if (open_port(&ports[i], argv[i + 1]) != 0) {
			perror(argv[i + 1]);
			return 1;
		}
		polled[i] = (struct pollfd){ .fd = ports[i].fd, .events = POLLIN };
	}
	polled[n_ports] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	puts("ready");
	fflush(stdout);
	for (;;) {
		if (poll(polled, n_ports + 1, wait_ms) < 0 && errno != EINTR)
			return 1;
		for (unsigned i = 0; i < n_ports; i++) {
			if (polled[i].revents & POLLIN)
				receive(i);
			else if (polled[i].revents)
				polled[i].fd = -1;	/* the host is gone, with its device */
		}
		if (polled[n_ports].revents && !read_commands())
			return 0;
		wait_ms = deliver_due();
	}
}
