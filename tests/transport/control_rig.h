/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_TRANSPORT_CONTROL_RIG_H
#define STAGECOACH_TESTS_TRANSPORT_CONTROL_RIG_H
/*
 * control_rig - a listener, a dialler and strangers on one loop with a manual clock. For cmocka
 * programs; include it after cmocka.h.
 */
#include "event/manual_clock.h"
#include "transport/channel_dialler.h"
#include "transport/channel_listener.h"

#include "tests/transport/channel_actor.h"

#define KEY_A "a:000102030405060708090a0b0c0d0e0f"
#define KEY_A_WRONG "a:ff0102030405060708090a0b0c0d0e0f"
#define KEY_B "b:101112131415161718191a1b1c1d1e1f"
#define RIG_MEMBERS 8

struct rig {
	struct manual_clock *clock;
	struct loop *loop;
	struct channel_listener *listener;
	unsigned n_members;	/* channels that the listener handed out */
	struct channel_actor members[RIG_MEMBERS];
	char member_key[33];	/* of the last one */
	bool is_mute;		/* nobody watches new members */

	struct channel_dialler *dialler;
	struct channel_actor worker;
	unsigned n_ups;
	char worker_key[33];
	unsigned n_failures;
	unsigned wait_ms;	/* of the last failure */
	struct error failure;
	bool destroys_dialler;	/* in the next callback */
};

/* Opens the loop, and listens. address NULL: 127.0.0.1, any port. */
void rig_open(struct rig *rig, const char *keys, const char *address,
	      const struct channel_listener_config *config);
void rig_close(struct rig *rig);

/* config: what differs from the defaults; keys and addresses are set. address NULL: the listener. */
void rig_dial(struct rig *rig, const char *keys, const char *address,
	      const struct channel_dialler_config *config);

/* Runs the loop until *count is at least n. Fails after a minute. */
void rig_run(struct rig *rig, const unsigned *count, unsigned n);
/* Runs the loop until the listener's count of that kind (an offset in the struct) is at least n. */
void rig_run_count(struct rig *rig, size_t offset, uint64_t n);
#define RIG_RUN_COUNT(rig, field, n) \
	rig_run_count(rig, offsetof(struct channel_listener_counts, field), n)
struct channel_listener_counts rig_counts(const struct rig *rig);

/* A socket connected to the listener, that blocks for at most 100 ms. */
int rig_connect(struct rig *rig);
/* Runs the loop until the listener closes fd. Returns the number of bytes that came before. */
size_t rig_run_until_closed(struct rig *rig, int fd);

struct cluster_keys rig_keys(const char *text);

#endif
