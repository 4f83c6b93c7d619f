/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_COORDINATOR_PEER_H
#define STAGECOACH_TESTS_COORDINATOR_PEER_H
/*
 * peer - a hand-written process of a cluster: it has one end of a channel and, in an epoch, one end
 * of a fabric. It says exactly what the test tells it to, and remembers what it was told.
 * - As a worker (joins_epochs) it answers Assign with Opened, and Connect by connecting. With
 *   answers_steps it is a last stage that draws tokens out of thin air.
 * - As a coordinator or a neighbour of a worker it opens and connects its fabric when the test says
 *   so.
 * Everything aborts the test when it fails.
 */
#include "transport/channel.h"
#include "transport/fabrics.h"
#include "wire/control.h"
#include "wire/step.h"

#include "base/clock.h"
#include "base/cpu.h"
#include "event/manual_clock.h"
#include "model/stage_sizes.h"

#define PEER_MAX_PEERS 8
#define PEER_MAX_HELD 64
#define PEER_MAX_ADDRESS 256
#define PEER_FINGERPRINT UINT64_C(0x5eed)
#define PEER_PID 4711
#define PEER_HOST "node-a"

typedef Stagecoach__Cluster__V1__Control peer_message;

struct peer_address {
	uint8_t bytes[PEER_MAX_ADDRESS];
	size_t n_bytes;
};

#define PEER_MAX_SLOTS 64

struct peer {
	struct loop *loop;
	struct loopback_hub *hub;
	struct channel *channel;		/* NULL: hung up, or it is down */
	struct fabric *fabric;			/* of the epoch */
	struct link *links[PEER_MAX_PEERS];	/* by number */
	struct frame_pool *pool;
	struct link_config in;			/* of its links */
	const char *id;				/* what its Hello says; NULL: "peer" */
	uint64_t incarnation;			/* likewise; 0: 1 */
	uint32_t launch_rank;			/* likewise */
	uint64_t memory_bytes;			/* likewise */
	uint32_t n_groups;			/* of sizes.caches */
	struct stage_sizes sizes;		/* what it answers Welcome with, for the lowest
						 * instruction set; the next one's fixed_bytes
						 * are one more, and so on */
	bool withholds_sizes;			/* does not answer */
	bool withholds_a_table;			/* says nothing for its best instruction set */
	const char *backend;			/* what its Hello says; NULL: "abacus" */
	const char *isa;			/* likewise; NULL: none */
	const char *kind;			/* of fabric, likewise; NULL: "loopback" */
	uint32_t kernel_version;		/* likewise, or said; 0: 1 */
	uint64_t libm_fingerprint;		/* likewise */
	uint64_t model_samples;			/* likewise */
	bool joins_epochs;			/* answers Assign and Connect */
	bool answers_questions;			/* with heartbeats, as every worker does */
	struct step_limits limits;		/* with answers_steps */
	bool answers_steps;
	uint32_t draws;				/* the only token that it draws; 0: letters */
	uint32_t n_tops[PEER_MAX_SLOTS];	/* likeliest tokens of each slot's draws, which
						 * are tokens 0, 1, 2 ... */
	char not_finite[64];			/* what its Ready says, or said */
	uint32_t n_not_finite;
	size_t n_hashes;			/* likewise */
	uint32_t tensors[64];
	uint64_t hashes[64];
	uint32_t fault;				/* of records for fault_position */
	uint32_t fault_position;
	bool holds_frames;			/* gives no credit back until peer_release */
	struct frame *held[PEER_MAX_HELD];
	unsigned n_held;
	unsigned n_unsent;			/* frames that a link did not take */
	/* What came. */
	unsigned n_steps;
	unsigned n_started, n_long;		/* sequences in steps; of them with SEGMENT_LONG */
	unsigned n_tokens;			/* frames */
	uint64_t last_step;			/* id, of either */
	unsigned n_controls[20];		/* by body case */
	unsigned n_asked;			/* heartbeats that want counters */
	unsigned n_links_down;
	bool is_down;				/* the channel */
	char refusal[512];			/* of Refused */
	char hello_id[64];			/* of Hello */
	uint64_t hello_incarnation;
	uint32_t n_resources;			/* limits of memory */
	uint32_t question;			/* of the last heartbeat that had one */
	struct stage_limits limits_of_welcome;
	size_t n_tables;			/* of Sizes */
	struct stage_sizes tables[CPU_N_ISAS];	/* likewise, by instruction set */
	uint32_t failed_status;
	uint32_t failed_epoch;
	char failed_text[512];
	uint32_t down_peer;			/* of LinkDown */
	uint32_t epoch;				/* of Assign */
	uint32_t stage;
	uint32_t n_stages;
	uint32_t first_layer;
	uint32_t n_layers;
	uint32_t window;
	uint32_t n_threads;
	uint64_t in_bytes;
	char assigned_isa[32];
	uint32_t released_epoch;		/* of Release */
	struct peer_address opened;		/* of Opened */
	uint64_t done_bytes;			/* of Progress */
	uint64_t weight_bytes;			/* of Ready */
	uint32_t ready_epoch;
	uint64_t n_counted;			/* steps, of a heartbeat's counters */
	uint32_t held_n_layers;			/* of a heartbeat */
};

/* hub: of its fabrics; NULL: it has none. */
void peer_open(struct peer *peer, struct loop *loop, struct loopback_hub *hub);
/* Closes everything. Harmless when it was never opened. */
void peer_close(struct peer *peer);

/* Makes a channel, and returns the end of whom it talks to. A channel that it had is closed. */
struct channel *peer_dial(struct peer *peer);
/* Closes channel and fabric, as a process that dies. */
void peer_hang_up(struct peer *peer);

/* Opens a fabric, as an end of a ring of n_peers. A fabric that it had is closed. */
void peer_open_fabric(struct peer *peer, unsigned self, unsigned n_peers);
struct peer_address peer_address(const struct peer *peer);
void peer_connect(struct peer *peer, unsigned other, const struct peer_address *address);
void peer_disconnect(struct peer *peer, unsigned other);
/* Let go of the frames that it holds, and hold no more. */
void peer_release(struct peer *peer);

void peer_say(struct peer *peer, const peer_message *message);
void peer_say_hello(struct peer *peer, uint32_t version, uint64_t fingerprint);
void peer_say_sizes(struct peer *peer);
/* limits NULL: none. */
void peer_say_welcome(struct peer *peer, uint64_t incarnation, uint32_t heartbeat_ms,
		      uint32_t deadline_ms, const struct stage_limits *limits);
void peer_say_opened(struct peer *peer, uint32_t epoch);
void peer_say_connect(struct peer *peer, uint32_t epoch, const struct peer_address *previous,
		      const struct peer_address *next);
void peer_say_ready(struct peer *peer, uint32_t epoch);
void peer_say_progress(struct peer *peer, uint32_t epoch, uint64_t done_bytes,
		       uint64_t total_bytes);
void peer_say_failed(struct peer *peer, uint32_t epoch, uint32_t status, const char *text);
void peer_say_link_down(struct peer *peer, uint32_t epoch, uint32_t other);
void peer_say_stop(struct peer *peer, enum sc_status status, const char *reason);
/* A heartbeat without counters; with a question if that is not 0. */
void peer_beat(struct peer *peer, uint32_t question);
void peer_send(struct peer *peer, unsigned other, enum frame_type type, uint32_t epoch,
	       const void *payload, size_t n_bytes);
void peer_send_step(struct peer *peer, unsigned other, const struct step *step, uint32_t epoch);

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
