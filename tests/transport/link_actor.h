/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_LINK_ACTOR_H
#define STAGECOACH_TESTS_LINK_ACTOR_H
/*
 * link_actor - one of the two ranks of a link test: it is driven by callbacks alone, so that the
 * same test runs on one loop, on two threads and in two processes. Failures are noted, not
 * thrown, since cmocka can only be left from its own thread.
 */
#include "base/queue.h"
#include "link_suite.h"

#include <pthread.h>
#include <stdatomic.h>

struct actor;

enum payload_sizes {
	SIZES_STEPPED,		/* around all powers of two, 0 and the maximum among them */
	SIZES_SMALL,		/* 0 to 255 */
	SIZES_MIXED,		/* small ones and the maximum in turn */
	SIZES_FULL,
};

/* A test; what is NULL is done as in a plain stream. */
struct link_case {
	const char *name;
	unsigned credits;		/* for both ranks, */
	size_t max_payload;
	struct link_config receives[2];	/* unless it says what each receives */
	bool is_late;			/* the test connects rank 0 */
	unsigned n_epochs;		/* fabrics, one after the other, that do all of it; 0: 1 */
	unsigned n_frames[2];		/* that each rank sends */
	enum payload_sizes sizes;
	unsigned n_kept;		/* by a receiver, before it releases the oldest */
	bool is_released_elsewhere;	/* on another thread */
	void (*on_start)(struct actor *actor);
	void (*on_frame)(struct actor *actor, struct frame *frame);
	void (*on_credit)(struct actor *actor);
	void (*on_down)(struct actor *actor, enum sc_status status);
	void (*on_tick)(struct actor *actor);	/* every millisecond or so */
};

extern const struct link_case link_cases[];
extern const size_t n_link_cases;

#define ACTOR_MAX_KEPT 64

struct actor {
	const struct link_suite *suite;
	const struct link_case *test;
	unsigned rank;
	struct loop *loop;
	struct fabric_source source;
	struct fabric *fabric;		/* NULL: closed by the test */
	struct link *link;		/* NULL: closed by the test */
	struct frame_pool *pool;
	struct timer *tick;
	const void *peer_address;
	size_t n_peer_address;
	struct queue *to_release;	/* to the releasing thread; NULL: none */
	pthread_t releaser;

	unsigned n_to_send;
	unsigned n_sent;
	unsigned n_again;
	unsigned n_credit_calls;
	unsigned n_to_receive;
	unsigned n_received;
	unsigned n_ticks;
	unsigned phase;			/* the test's own */
	uint64_t start_us;		/* likewise */
	bool is_sending;
	bool is_down;
	struct frame *kept[ACTOR_MAX_KEPT];
	unsigned n_kept;
	struct frame *waiting[ACTOR_MAX_KEPT];	/* to be sent on */
	unsigned n_waiting;

	atomic_bool is_done;
	atomic_bool has_failed;
	char failure[256];
};

/* Notes the first failure; the test ends. */
void actor_fail(struct actor *actor, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
#define actor_check(actor, condition)                                                     \
	do {                                                                              \
		if (!(condition))                                                         \
			actor_fail(actor, "%s:%d: %s", __FILE__, __LINE__, #condition);   \
	} while (0)

void actor_done(struct actor *actor);
/* What it receives. */
struct link_config actor_config(const struct actor *actor);
must_check enum sc_status actor_connect(struct actor *actor);
/* As link_send, and no callback may come from inside it. */
must_check enum sc_status actor_send(struct actor *actor, struct frame *frame);
void actor_close_link(struct actor *actor);

/* The frame with number i that this rank sends, or NULL: none free. */
struct frame *stream_frame(struct actor *actor, unsigned i);
/* That frame is what the other rank sends as number i. */
void stream_check(struct actor *actor, const struct frame *frame, unsigned i);
/* Sends until done, out of credit or out of frames. */
void stream_send(struct actor *actor);
void stream_on_frame(struct actor *actor, struct frame *frame);
void stream_keep(struct actor *actor, struct frame *frame);
void stream_release_kept(struct actor *actor);

#endif
