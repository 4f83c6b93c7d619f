/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_COORDINATOR_PEER_H
#define STAGECOACH_TESTS_COORDINATOR_PEER_H
/*
 * peer - a hand-written process of a cluster: one end of a loopback hub that says exactly what the
 * test tells it to, and remembers what it was told. With answers_steps it is a last stage that
 * draws tokens out of thin air.
 * Everything aborts the test when it fails.
 */
#include "transport/fabrics.h"
#include "wire/control.h"
#include "wire/step.h"

#include "base/clock.h"
#include "base/cpu.h"
#include "event/manual_clock.h"
#include "model/stage_sizes.h"

#define PEER_MAX_RANKS 8
#define PEER_MAX_HELD 64
#define PEER_FINGERPRINT UINT64_C(0x5eed)
#define PEER_PID 4711
#define PEER_HOST "node-a"

typedef Stagecoach__Cluster__V1__Control peer_message;

struct peer {
	struct fabric *fabric;
	struct link *links[PEER_MAX_RANKS];	/* by rank */
	struct link_config link;		/* what it receives from each */
	struct frame_pool *pool;
	struct step_limits limits;		/* with answers_steps */
	bool answers_steps;
	uint32_t draws;				/* the only token that it draws; 0: letters */
	uint64_t memory_bytes;			/* what its Hello says */
	struct stage_sizes sizes;		/* what it answers Welcome with, for the lowest
						 * instruction set; the next one's fixed_bytes
						 * are one more, and so on */
	bool withholds_sizes;			/* does not answer */
	bool withholds_a_table;			/* says nothing for its best instruction set */
	const char *backend;			/* likewise; NULL: "abacus" */
	const char *isa;			/* likewise; NULL: none */
	uint32_t kernel_version;		/* likewise, or said; 0: 1 */
	uint64_t libm_fingerprint;		/* likewise */
	char not_finite[64];			/* what its Ready says, or said */
	uint32_t n_not_finite;
	uint32_t fault;				/* of records for fault_position */
	uint32_t fault_position;
	bool holds_frames;			/* gives no credit back until peer_release */
	struct frame *held[PEER_MAX_HELD];
	unsigned n_held;
	/* What came. */
	unsigned n_steps;
	unsigned n_tokens;			/* frames */
	uint64_t last_step;			/* id, of either */
	unsigned n_controls[20];			/* by body case */
	unsigned n_asked;			/* heartbeats that want counters */
	unsigned n_down;
	uint32_t failed_status;
	char failed_text[512];
	struct stage_limits limits_of_welcome;
	size_t n_tables;			/* of Sizes */
	struct stage_sizes tables[CPU_N_ISAS];	/* likewise, by instruction set */
	uint32_t n_layers;			/* of Assign */
	char assigned_isa[32];			/* likewise */
	uint64_t done_bytes;			/* of Progress */
	uint64_t weight_bytes;			/* of Ready */
	uint64_t n_counted;			/* steps, of a heartbeat's counters */
};

struct peer_config {
	struct loop *loop;
	struct loopback_hub *hub;
	unsigned rank;
	unsigned n_ranks;
	unsigned credits;	/* 0: plenty */
	size_t max_payload;	/* 0: plenty */
};
void peer_open(struct peer *peer, const struct peer_config *config);
/* Closes its links too. Harmless when it was never opened. */
void peer_close(struct peer *peer);

void peer_connect(struct peer *peer, const struct fabric *other);
void peer_disconnect(struct peer *peer, unsigned rank);
/* Let go of the frames that it holds, and hold no more. */
void peer_release(struct peer *peer);

void peer_say(struct peer *peer, unsigned rank, const peer_message *message, uint32_t epoch);
void peer_say_hello(struct peer *peer, uint32_t version, uint64_t fingerprint);
void peer_say_sizes(struct peer *peer);
void peer_say_ready(struct peer *peer, uint32_t epoch);
void peer_say_progress(struct peer *peer, uint64_t done_bytes, uint64_t total_bytes);
void peer_say_failed(struct peer *peer, uint32_t status, const char *text);
void peer_beat(struct peer *peer, unsigned rank);
void peer_send(struct peer *peer, unsigned rank, enum frame_type type, uint32_t epoch,
	       const void *payload, size_t n_bytes);
void peer_send_step(struct peer *peer, unsigned rank, const struct step *step, uint32_t epoch);

/* Let time pass on the loop's manual clock until the condition holds; the test fails after a minute
 * of it. For tests without other threads. */
#define peer_wait(loop, condition)                                                        \
	do {                                                                              \
		manual_clock_settle(loop_manual_clock(loop));                             \
		for (int ms_ = 0; !(condition); ms_++) {                                  \
			if (ms_ == 60000)                                                 \
				fail_msg("waited in vain for: %s", #condition);           \
			manual_clock_pass(loop_manual_clock(loop), 1);                    \
		}                                                                         \
	} while (0)

/* Where another thread has a part in it: a manual clock stands still meanwhile, and the test fails
 * after a minute of real time. */
#define peer_wait_for_thread(loop, condition)                                             \
	do {                                                                              \
		uint64_t until_ns_ = clock_ns() + 60 * NS_PER_SECOND;                     \
		while (!(condition)) {                                                    \
			if (clock_ns() > until_ns_)                                       \
				fail_msg("waited in vain for: %s", #condition);           \
			loop_turn(loop, true);                                            \
		}                                                                         \
	} while (0)

#endif
