/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_MEMBERS_PRIVATE_H
#define STAGECOACH_COORDINATOR_MEMBERS_PRIVATE_H
/*
 * Internals of the roster, shared by members.c (records, states, losses), members_join.c (channels
 * whose worker is not known yet), members_epoch.c (stages and what they say) and members_watch.c
 * (silence, questions, waiting for workers).
 */
#include "coordinator/members.h"

typedef Stagecoach__Cluster__V1__Control control_message;

#define CONTROL_BODY(NAME) STAGECOACH__CLUSTER__V1__CONTROL__BODY_##NAME

/* A channel whose worker has not been admitted. */
struct arrival {
	struct members *members;
	struct list node;		/* on members.arrivals */
	struct channel *channel;
	uint64_t since_ns;		/* when it came, or when its rival was asked */
	struct hello hello;		/* once it waits for its rival */
	struct member *rival;		/* the same worker id in another life, which was asked
					 * whether it is alive; NULL: Hello has not come */
};

/* A broken data link whose ends were asked whether they are alive. */
struct suspicion {
	bool is_active;
	struct link_fault fault;
	uint64_t until_ns;		/* then an end that has not answered is lost */
};

struct members {
	struct members_config config;
	struct resources resources;	/* of this process, if config.resources is set */
	struct member **records;	/* [n_records], in the order of hello_compare */
	const struct resources **users;	/* [capacity], scratch of members_divide */
	unsigned n_records;
	unsigned capacity;
	struct list arrivals;
	struct member **stages;		/* [n_stages] of the epoch, owned */
	unsigned n_stages;
	uint32_t epoch;			/* 0: there was none */
	uint32_t window;
	enum cpu_isa isa;		/* of the cluster, from the first epoch on */
	bool has_isa;			/* it is chosen */
	bool is_stopped;		/* members_stop was called */
	enum sc_status stop_status;
	char stop_reason[ERROR_TEXT_MAX];
	uint32_t last_question;
	struct suspicion suspicion;
	unsigned n_awaited;		/* 0: nothing is awaited */
	uint64_t await_since_ns;
	uint64_t await_until_ns;	/* 0: without end */
	struct timer *heartbeat;
	struct wake *judge;
	unsigned n_polls_left;		/* turns of the loop until silent members are judged */
	uint64_t beat_ns;		/* time of the last heartbeat */
	uint64_t excused_until_ns;	/* this process was suspended: until then, losses are no
					 * fault of the members */
};

/* --- members.c --- */

/* Whether the member has a channel and was not told to stop. */
static inline bool member_is_here(const struct member *member)
{
	return member->state >= MEMBER_GREETED && member->state <= MEMBER_READY;
}
static inline bool member_has_stage(const struct member *member)
{
	return member->state >= MEMBER_OPENING && member->state <= MEMBER_READY;
}
void member_enter(struct member *member, enum member_state state);
/* Forgets everything that belongs to an epoch. */
void member_leave_epoch(struct member *member);
/* Whether a loss may be the fault of this process, which was suspended for so long that members
 * gave it up. */
bool members_were_given_up(const struct members *members);
void member_send(const struct member *member, const control_message *message);
/* The record of this worker, or NULL. */
struct member *members_find(const struct members *members, const char *worker_id);
/* Gives the worker of hello a record if it has none. The record takes hello and channel, and is
 * greeted. The worker must not be here. NULL: out of memory, or there are too many workers. */
struct member *members_admit(struct members *members, const struct hello *hello,
			     struct channel *channel);
/* The member's stage failed, but its worker lives: it becomes a spare. */
void members_lose_stage(struct member *member, enum sc_status status, const char *why);
/* Tells the worker why it can never have a stage, and sends it away. on_lost is called. Its later
 * channels are refused until it is another life. */
void members_bar(struct member *member, enum sc_status status, const char *why);
/* Calls on_gone if all members have gone after Stop. */
void members_check_gone(struct members *members);
/* Sends Stop with the status and reason of members_stop. */
void members_say_stop(const struct members *members, struct channel *channel);
/* Writes "avx2, 2 threads" and the like into member->backend. */
void member_describe_backend(struct member *member, const char *instruction_set);

/* --- members_join.c --- */

void members_close_arrivals(struct members *members);
/* The same, after telling them to stop. */
void members_dismiss_arrivals(struct members *members);
void members_say_refused(struct channel *channel, enum sc_status status, const char *why);
/* The answer to Welcome. */
void member_take_sizes(struct member *member, const Stagecoach__Cluster__V1__Sizes *sizes);
/* The rival of arrivals has answered, or is gone, or time has passed. */
void members_judge_arrivals(struct members *members);

/* --- members_epoch.c: messages of members --- */

void member_take_opened(struct member *member, const Stagecoach__Cluster__V1__Opened *opened);
void member_take_progress(struct member *member,
			  const Stagecoach__Cluster__V1__Progress *progress);
void member_take_ready(struct member *member, const Stagecoach__Cluster__V1__Ready *ready);
void member_take_heartbeat(struct member *member,
			   const Stagecoach__Cluster__V1__Heartbeat *heartbeat);
void member_take_link_down(struct member *member,
			   const Stagecoach__Cluster__V1__LinkDown *link_down);

/* --- members_watch.c --- */

must_check enum sc_status members_watch_init(struct members *members);
void members_watch_deinit(struct members *members);
/* Asks the member whether it is alive. It answers with a heartbeat that repeats the question. */
void member_ask(struct member *member);
/* The member has answered, or is gone. */
void members_judge_suspicion(struct members *members);
/* A member has come or became usable. */
void members_check_awaited(struct members *members);

#endif
