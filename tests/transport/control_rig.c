/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/transport/control_rig.h"

#include "net/net_address.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* A turn that waits in vain takes 100 ms. */
#define MAX_TURNS 600

struct cluster_keys rig_keys(const char *text)
{
	struct cluster_keys keys;
	struct error err;

	assert_int_equal(cluster_keys_parse(text, strlen(text), "keys", &keys, &err), SC_OK);
	return keys;
}

static void on_accept(void *arg, struct channel *channel, const char *key_id)
{
	struct rig *rig = arg;
	struct channel_actor *member = &rig->members[rig->n_members++ % RIG_MEMBERS];

	channel_close(member->channel);
	*member = (struct channel_actor){ .channel = channel };
	snprintf(rig->member_key, sizeof rig->member_key, "%s", key_id);
	if (!rig->is_mute)
		channel_actor_watch(member);
}

void rig_open(struct rig *rig, const char *keys_text, const char *address,
	      const struct channel_listener_config *given)
{
	struct channel_listener_config config = { .loop = NULL };
	struct cluster_keys keys = rig_keys(keys_text);
	struct error err = { .text = "" };

	*rig = (struct rig){ .clock = NULL };
	if (given)
		config = *given;
	assert_int_equal(manual_clock_create(&rig->clock), SC_OK);
	assert_int_equal(loop_create_on(rig->clock, &rig->loop), SC_OK);
	config.loop = rig->loop;
	config.address = address ? address : "127.0.0.1:0";
	config.keys = &keys;
	config.on_accept = on_accept;
	config.arg = rig;
	if (channel_listener_create(&config, &rig->listener, &err) != SC_OK)
		fail_msg("%s", err.text);
}

void rig_close(struct rig *rig)
{
	for (unsigned i = 0; i < RIG_MEMBERS; i++)
		channel_close(rig->members[i].channel);
	channel_close(rig->worker.channel);
	channel_dialler_destroy(rig->dialler);
	channel_listener_close(rig->listener);
	loop_destroy(rig->loop);
	manual_clock_destroy(rig->clock);
}

static void note_callback(struct rig *rig)
{
	if (!rig->destroys_dialler)
		return;
	channel_dialler_destroy(rig->dialler);
	rig->dialler = NULL;
}

static void on_up(void *arg, struct channel *channel, const char *key_id)
{
	struct rig *rig = arg;

	channel_close(rig->worker.channel);
	rig->worker = (struct channel_actor){ .channel = channel };
	channel_actor_watch(&rig->worker);
	rig->n_ups++;
	snprintf(rig->worker_key, sizeof rig->worker_key, "%s", key_id);
	note_callback(rig);
}

static void on_failed(void *arg, const struct error *err, unsigned wait_ms)
{
	struct rig *rig = arg;

	rig->n_failures++;
	rig->failure = *err;
	rig->wait_ms = wait_ms;
	note_callback(rig);
}

static const struct channel_dialler_events dialler_events = {
	.on_up = on_up,
	.on_failed = on_failed,
};

void rig_dial(struct rig *rig, const char *keys_text, const char *address,
	      const struct channel_dialler_config *given)
{
	struct channel_dialler_config config = { .loop = NULL };
	struct cluster_keys keys = rig_keys(keys_text);
	struct error err = { .text = "" };

	if (given)
		config = *given;
	if (!address && rig->listener)
		address = channel_listener_address(rig->listener);
	if (!config.n_addresses) {
		config.addresses = &address;
		config.n_addresses = 1;
	}
	config.loop = rig->loop;
	config.keys = &keys;
	config.events = &dialler_events;
	config.arg = rig;
	if (channel_dialler_create(&config, &rig->dialler, &err) != SC_OK)
		fail_msg("%s", err.text);
}

void rig_run(struct rig *rig, const unsigned *count, unsigned n)
{
	for (int i = 0; *count < n && i < MAX_TURNS; i++)
		loop_turn(rig->loop, true);
	assert_true(*count >= n);
}

struct channel_listener_counts rig_counts(const struct rig *rig)
{
	struct channel_listener_counts counts;

	channel_listener_count(rig->listener, &counts);
	return counts;
}

static uint64_t count_at(const struct rig *rig, size_t offset)
{
	struct channel_listener_counts counts = rig_counts(rig);
	uint64_t value;

	if (offset == offsetof(struct channel_listener_counts, n_strangers))
		return counts.n_strangers;
	memcpy(&value, (char *)&counts + offset, sizeof value);
	return value;
}

void rig_run_count(struct rig *rig, size_t offset, uint64_t n)
{
	for (int i = 0; count_at(rig, offset) < n && i < MAX_TURNS; i++)
		loop_turn(rig->loop, true);
	assert_true(count_at(rig, offset) >= n);
}

int rig_connect(struct rig *rig)
{
	const struct timeval limit = { .tv_usec = 100000 };
	struct net_address address;
	struct addrinfo *list;
	int fd;

	assert_int_equal(net_address_parse(channel_listener_address(rig->listener), &address,
					   NULL), SC_OK);
	assert_int_equal(net_address_resolve(&address, &list, NULL), SC_OK);
	fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, list->ai_addr, list->ai_addrlen), 0);
	freeaddrinfo(list);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	return fd;
}

size_t rig_run_until_closed(struct rig *rig, int fd)
{
	char bytes[4096];
	size_t n_bytes = 0;
	ssize_t n = -1;

	for (int i = 0; i < MAX_TURNS; i++) {
		loop_turn(rig->loop, false);
		errno = 0;
		n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return n_bytes;
		if (n > 0)
			n_bytes += (size_t)n;
		else
			loop_turn(rig->loop, true);
	}
	fail_msg("the listener did not close the connection");
	return 0;
}
