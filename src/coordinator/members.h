/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_MEMBERS_H
#define STAGECOACH_COORDINATOR_MEMBERS_H
/*
 * members - the roster of workers: who has come, over which channel, with what kernels and memory,
 * which stage of the epoch each of them holds, who is silent, and who has left.
 *
 * - Workers come at any time (members_accept), leave, and come back. A worker is known by its id. A
 *   member's record stays when its worker is gone, so that losses are counted over its lives.
 * - A worker that is already here may come a second time. The same life (incarnation) replaces its
 *   old channel at once. Another life replaces it if the old one does not answer a question within
 *   two heartbeats; else the newcomer is refused, so that two copies do not evict each other.
 * - An epoch gives members stages. Messages of another epoch are dropped.
 * - A member that waits without a stage is a spare.
 * Thread: the loop's, callbacks included. Nothing blocks. A callback may call any function of this
 * header except members_destroy.
 */
#include "base/error.h"
#include "base/list.h"
#include "coordinator/allowance.h"
#include "coordinator/hello.h"
#include "coordinator/plan.h"
#include "coordinator/tensor_hashes.h"
#include "event/loop.h"
#include "model/stage_sizes.h"
#include "transport/channel.h"
#include "wire/step.h"

struct members;

/* members.c has the table of legal transitions. */
enum member_state {
	MEMBER_GONE,		/* no channel: lost, or has left */
	MEMBER_GREETED,		/* was told the limits; has not said its sizes */
	MEMBER_SPARE,		/* no stage in the epoch */
	MEMBER_OPENING,		/* a stage was assigned; its fabric is not open yet */
	MEMBER_LOADING,		/* its fabric is open: it loads and connects */
	MEMBER_READY,		/* its stage can take steps */
	MEMBER_STOPPED,		/* was told to stop */
};

#define MEMBER_NO_STAGE UINT_MAX
/* A member that was lost this often within that time is in quarantine for a while. */
enum { MEMBER_FLAPS = 3 };
#define MEMBER_FLAP_MS 600000
#define MEMBER_QUARANTINE_MS 300000

struct member {
	struct members *members;
	enum member_state state;
	struct hello hello;		/* of its last life */
	struct channel *channel;	/* NULL: GONE */
	uint64_t since_ns;		/* start of this state of being here, or of being gone */
	uint64_t heard_ns;		/* when its last message came */
	uint32_t question;		/* that it has not answered yet; 0: none */
	unsigned n_losses;		/* in all its lives */
	uint64_t loss_ns[MEMBER_FLAPS];	/* times of the last losses, in a ring */
	uint64_t quarantined_until_ns;	/* 0: never was */
	uint64_t barred_life;		/* incarnation of the worker that has other weights, and is
					 * never taken again; 0: none */
	char barred_why[ERROR_TEXT_MAX];
	char backend[64];		/* text for people: "cpu avx2, 2 threads" */
	struct stage_sizes sizes[CPU_N_ISAS];	/* what a stage takes, by instruction set; from
						 * SPARE on */
	uint32_t held_first_layer;	/* layers whose weights it has in memory, as it said last */
	uint32_t held_n_layers;
	struct allowance allowance;	/* its part of its machine, as of the last
					 * members_divide; memory_bytes 0: unknown */

	bool has_orders;		/* it was told of a stage, and of no end of it */

	/* Of the epoch, and kept until the epoch ends if the member is lost. */
	unsigned stage;			/* or MEMBER_NO_STAGE */
	void *address;			/* of its data fabric, from LOADING on; owned */
	size_t n_address;
	uint64_t done_bytes;		/* while loading */
	uint64_t total_bytes;
	uint64_t weight_bytes;		/* once ready */
	uint64_t kv_bytes;
	uint64_t load_ns;		/* time that loading took */
	uint64_t progress_ns;		/* when it last said that it had loaded more */
	char not_finite[128];		/* name of its first tensor with NaN or infinity */
	uint32_t n_not_finite;		/* number of such tensors */
	uint64_t steps;			/* counters of its last heartbeat */
	uint64_t rows;
	uint64_t busy_ns;
	uint64_t waiting_ns;
	uint64_t sending_ns;
	uint64_t queued_ns;
	uint64_t received_bytes;
	uint64_t sent_bytes;
	uint64_t bubble_ns;		/* time with a step in flight during which it did not
					 * compute; set by the coordinator, never goes back */
	uint64_t last_step;		/* the last step that these count */
	uint64_t kv_saturated;		/* number of keys and values that
					 * exceeded the type's range */
	bool has_warned_of_kv;
};

/* A data link that broke although both ends are alive. Peers are numbered as in a fabric: 0 is the
 * coordinator, i + 1 is stage i. */
struct link_fault {
	unsigned peers[2];
	char text[400];		/* names the ends and says what happened */
};

struct members_config {
	struct loop *loop;
	uint64_t incarnation;		/* of this coordinator; never 0 */
	struct hello_wish wish;		/* of every worker; borrows its text */
	struct tensor_hashes *hashes;	/* that stages are compared with; borrowed. NULL: they
					 * are not compared */
	struct stage_limits limits;	/* of all plans */
	uint32_t n_groups;		/* of the model's layers; at most MODEL_MAX_GROUPS */
	uint32_t heartbeat_ms;
	uint32_t deadline_ms;
	bool allows_mixed_backends;	/* also kernel versions and C libraries */
	const struct resources *resources;	/* of the coordinator's process; copied. NULL:
						 * unknown */
	uint64_t own_bytes;		/* memory that this process comes to take */
	/* A worker has come, or come back. It is a spare. */
	void (*on_joined)(void *arg, struct member *member);
	/* A worker was sent away. err names it and says why. */
	void (*on_refused)(void *arg, const struct error *err);
	/* A member died, hung, left, or failed in its stage. member->stage is the stage that it
	 * had. err names the member and says why. The state is GONE, or SPARE if only its stage
	 * failed. Not called for members that were told to stop. */
	void (*on_lost)(void *arg, struct member *member, const struct error *err);
	/* The fabrics of all stages are open: members_connect may be called. */
	void (*on_opened)(void *arg);
	void (*on_progress)(void *arg);	/* a stage has loaded more */
	void (*on_ready)(void *arg);	/* all stages are ready */
	void (*on_counters)(void *arg);	/* one told its counters */
	/* See members_suspect_link. */
	void (*on_link_down)(void *arg, const struct link_fault *fault);
	void (*on_enough)(void *arg);	/* see members_await */
	void (*on_short)(void *arg, const struct error *err);
	void (*on_gone)(void *arg);	/* all members that were told to stop are gone */
	void *arg;
};

/* An epoch: which member holds which stage, and what every stage is told. */
struct assignment {
	uint32_t epoch;			/* larger than those before */
	const struct plan *plan;	/* borrowed for the call */
	struct member *const *workers;	/* [plan->n_stages], likewise */
	struct step_limits limits;
	enum tensor_type kv_type;
	uint32_t window;
};

must_check enum sc_status members_create(const struct members_config *config,
					 struct members **members_out, struct error *err);
/* Closes all channels. Accepts NULL. */
void members_destroy(struct members *members);

/* Takes the channel of a worker that has dialled in. Its Hello is awaited for deadline_ms. */
void members_accept(struct members *members, struct channel *channel);

/* Calls on_enough, perhaps at once, when n usable members are here that have no stage or one in the
 * current epoch; or on_short after within_ms (0: waits without end). One of them is called once. A
 * later call replaces this one; n = 0 cancels it. Time during which this process was suspended does
 * not count. */
void members_await(struct members *members, unsigned n, uint32_t within_ms);

/* Divides each machine between the members here that share it: sets their allowances. */
void members_divide(struct members *members);

/* Begins an epoch: assigns the stages, releases members of the last epoch that have none now.
 * on_opened, on_progress and on_ready follow. May be called at any time, as often as needed; it
 * ends the epoch before. Workers must be fit. SC_E_NOMEM: nothing has changed. */
must_check enum sc_status members_assign(struct members *members,
					 const struct assignment *assignment, struct error *err);
/* Tells every stage the addresses of its neighbours. address is the coordinator's fabric. Call it
 * once, after on_opened. */
void members_connect(struct members *members, const void *address, size_t n_bytes);
/* Ends the epoch: all its members become spares, and what they still say of it is dropped. They are
 * told by the next members_assign or members_release, whichever comes first. So a stage that goes
 * on with the same layers keeps its memory for keys and values. */
void members_end_epoch(struct members *members);
/* The same, and tells them that they have no stage, for example because no epoch will follow soon.
 * epoch is the number that the next one will have at least. */
void members_release(struct members *members, uint32_t epoch);
/* Has a spare load the weights of these layers, so that it can take them over sooner. Its
 * held_n_layers says when it has. Not before the first epoch. */
void members_preload(struct members *members, const struct member *member, uint32_t first_layer,
		     uint32_t n_layers);
/* The coordinator's own data link to a peer broke, or a worker said so of its link. If one of the
 * two ends is lost within a short time, on_lost says so. Else on_link_down is called. Both are
 * asked to answer meanwhile. Of several broken links the first one counts. */
void members_suspect_link(struct members *members, unsigned peer_a, unsigned peer_b,
			  const char *why);
/* Declares a member lost, for example because its compute thread hangs. on_lost is called. */
void members_lose(struct members *members, struct member *member, enum sc_status status,
		  const char *why);
/* Tells all members to stop, and every worker that comes later. status SC_OK: in good order;
 * otherwise the cluster has failed. */
void members_stop(struct members *members, enum sc_status status, const char *reason);

/* Has stages that are ready tell their counters at once, not only with the next heartbeat. */
void members_ask(struct members *members);

/* True if this life of the worker was sent away for good, because its weights are not those of the
 * others. */
bool member_is_barred(const struct member *member);
/* True if the member is here, has said its sizes, and has the cluster's instruction set. */
bool member_is_fit(const struct member *member);
/* The same, and it is not in quarantine. */
bool member_is_usable(const struct member *member);
/* The number of members for whom that is true. */
unsigned members_n_usable(const struct members *members);
bool member_is_quarantined(const struct member *member);

/* The instruction set of the cluster: the best one that these workers, those of the first epoch,
 * have in common. It stays, because tokens depend on it: later calls change nothing. */
void members_choose_isa(struct members *members, struct member *const *workers, unsigned n);
/* CPU_AUTO: it is not chosen yet, or no backend has instruction sets. */
enum cpu_isa members_isa(const struct members *members);
/* What a stage takes of this member's memory with that instruction set. */
const struct stage_sizes *member_sizes(const struct member *member);
/* Whether backends, kernel versions or C libraries of the members here differ. */
bool members_are_mixed(const struct members *members);

/* All records, in the order of hello_compare, members that are gone included. Pointers stay valid
 * as long as the member is here or has a stage. */
unsigned members_count(const struct members *members);
struct member *members_get(const struct members *members, unsigned i);
/* The member of a stage of the epoch, also if it was lost. NULL: there is no such stage, or its
 * worker has come again and has no stage. */
struct member *members_of_stage(const struct members *members, unsigned stage);
/* Stages of the epoch; 0 without one. */
unsigned members_n_stages(const struct members *members);
/* The address of a stage's data fabric. Valid from on_opened on. */
const void *members_address(const struct members *members, unsigned stage, size_t *n_bytes_out);

#endif
