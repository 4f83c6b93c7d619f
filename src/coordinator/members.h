/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_MEMBERS_H
#define STAGECOACH_COORDINATOR_MEMBERS_H
/*
 * members - the workers of a plan as the coordinator sees them: their links, what they reported,
 * and whether they are loading, ready or lost.
 * Thread: the loop's, callbacks included. Nothing blocks.
 */
#include "base/error.h"
#include "coordinator/kernels.h"
#include "coordinator/plan.h"
#include "event/loop.h"
#include "model/stage_sizes.h"
#include "transport/link.h"
#include "wire/step.h"

struct members;

enum member_state {
	MEMBER_EXPECTED,	/* has not said Hello */
	MEMBER_GREETED,		/* has said Hello and was told the limits */
	MEMBER_KNOWN,		/* has said what a stage takes of its memory */
	MEMBER_LOADING,		/* a stage was assigned to it */
	MEMBER_READY,
	MEMBER_STOPPED,		/* was told to stop */
	MEMBER_GONE,		/* its link is down */
};

struct member {
	struct members *members;
	unsigned rank;
	enum member_state state;
	struct link *link;
	uint32_t pid;
	char host[64];
	struct kernels kernels;
	char backend[64];		/* text for people: "cpu avx2, 2 threads" */
	uint64_t memory_bytes;
	uint32_t n_threads;
	struct stage_sizes sizes[CPU_N_ISAS];	/* by instruction set, once known */
	uint64_t heard_ns;
	uint64_t done_bytes;		/* while loading */
	uint64_t total_bytes;
	uint64_t weight_bytes;		/* once ready */
	uint64_t kv_bytes;
	char not_finite[128];		/* name of its first tensor with NaN or infinity */
	uint32_t n_not_finite;		/* number of such tensors */
	uint64_t steps;			/* counters of its last heartbeat */
	uint64_t rows;
	uint64_t busy_ns;
	uint64_t waiting_ns;
	uint64_t sending_ns;
	uint64_t last_step;		/* the last step that these count */
	uint64_t kv_saturated;		/* number of keys and values that
					 * exceeded the type's range */
	bool has_warned_of_kv;
	bool is_stop_sent;
};

struct members_config {
	struct loop *loop;
	struct fabric *fabric;
	unsigned n_members;		/* ranks 1 .. n_members */
	uint64_t model_fingerprint;
	struct stage_limits limits;
	uint32_t heartbeat_ms;
	uint32_t deadline_ms;
	uint32_t start_ms;		/* time limit for all to become known */
	bool allows_mixed_backends;	/* also kernel versions and C libraries */
	void (*on_known)(void *arg);	/* all are known */
	void (*on_progress)(void *arg);
	void (*on_ready)(void *arg);	/* all are ready */
	void (*on_gone)(void *arg);	/* all members that were told to stop are gone */
	void (*on_lost)(void *arg, const struct error *err);	/* a member died, hung or
								 * failed; called once */
	void (*on_tokens)(void *arg, const struct frame *frame);	/* borrowed */
	void (*on_credit)(void *arg);	/* the first stage can take steps again */
	void (*on_counters)(void *arg);	/* one told its counters */
	void *arg;
};

/* What every stage is told in addition to its layers. */
struct assignment {
	uint32_t epoch;
	struct step_limits limits;
	enum tensor_type kv_type;
	uint32_t window;
};

must_check enum sc_status members_create(const struct members_config *config,
					 struct members **members_out, struct error *err);
void members_destroy(struct members *members);
must_check enum sc_status members_connect(struct members *members, unsigned rank,
					  const void *address, size_t n_bytes,
					  const struct link_config *link, struct error *err);

/* Assigns the stages: stage i to rank i + 1. */
void members_assign(struct members *members, const struct plan *plan,
		    const struct assignment *assignment);
/* Tells the remaining members to stop. status SC_OK: in good order; otherwise the cluster has
 * failed. */
void members_stop(struct members *members, enum sc_status status, const char *reason);
/* Sends a step to the first stage; as link_send. */
must_check enum sc_status members_send_step(struct members *members, struct frame *frame);

/* Have those that are ready tell their counters at once, not only with the next heartbeat. */
void members_ask(struct members *members);

/* Both consider all members that have said Hello: the best instruction set that all CPU members
 * support (CPU_AUTO: there are none), and whether backends, kernel versions or C libraries
 * differ. */
enum cpu_isa members_common_isa(const struct members *members);
bool members_are_mixed(const struct members *members);
/* What a stage takes on this member with the instruction set that it is told to use: the common one
 * if its backend has any. */
const struct stage_sizes *members_sizes(const struct members *members, unsigned i);

unsigned members_count(const struct members *members);
/* i must be below the count; the member has rank i + 1. */
const struct member *members_get(const struct members *members, unsigned i);

#endif
