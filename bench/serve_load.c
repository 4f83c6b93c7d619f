/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/serve_load.h"

#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Events that are reserved at most: 256 MB, of which only what is used is taken. */
#define MAX_EVENTS ((uint64_t)16 << 20)

struct load;

/* A place for one request at a time. */
struct lane {
	struct line *line;
	unsigned call;
	bool is_background;
	bool is_busy;
	uint32_t request;
	uint32_t n_got;
	uint32_t n_pending;	/* tokens that the read under way has brought so far */
	uint64_t free_ns;	/* since when it is free */
};

/* A connection. Its lanes are load->lanes[first_lane ...], in the order of their calls. */
struct line {
	struct load *load;
	struct door *door;
	struct door_listener listener;
	struct lane *lanes;
	unsigned n_lanes;
	int watched_fd;
	unsigned watched_opened;
	bool is_write_watched;
};

struct load {
	const struct load_plan *plan;
	struct load_result *result;
	struct line *lines;
	unsigned n_lines;
	struct lane *lanes;	/* the background first */
	unsigned n_lanes;
	unsigned n_waiting;	/* background lanes without a token so far */
	uint32_t *ids;		/* of a prompt */
	uint64_t *arrivals_ns;	/* [n_requests] after start_ns; NULL: closed loop */
	uint32_t n_numbered;	/* requests of both classes */
	uint32_t n_asked, n_ended;	/* of the foreground */
	uint64_t start_ns;	/* 0: not yet */
	uint64_t now_ns;
	uint64_t stop_ns;	/* when the run ends; UINT64_MAX: not known yet */
	uint64_t done_ns;	/* when the last foreground request ended; 0: not yet */
	bool is_full;
	int epoll_fd, timer_fd;
};

/* SplitMix64 */
static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t ns_of(double seconds)
{
	return (uint64_t)(seconds * 1e9);
}

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static void note(struct load *load, const struct lane *lane, enum tally_kind kind,
		 uint64_t at_ns, uint32_t n_tokens)
{
	struct tally_event event = {
		.at_ns = at_ns,
		.request = lane->request,
		.n_tokens = n_tokens & 0xffffff,
		.kind = kind,
		.is_background = lane->is_background,
	};

	if (!tally_add(&load->result->tally, event))
		load->is_full = true;
}

static const struct load_shape *shape_of(const struct load *load, const struct lane *lane)
{
	return lane->is_background ? &load->plan->background : &load->plan->shape;
}

static void on_tokens(void *arg, unsigned call, uint32_t n_tokens)
{
	struct line *line = arg;

	line->lanes[call].n_pending += n_tokens;
}

/* Note the tokens of a read as one arrival. Tokens beyond those that were asked for do not count:
 * they fail the request. */
static void settle(struct load *load, struct lane *lane)
{
	uint32_t n_wanted = shape_of(load, lane)->n_tokens;
	uint32_t n_left = n_wanted > lane->n_got ? n_wanted - lane->n_got : 0;

	if (!lane->n_pending)
		return;
	if (lane->is_background && !lane->n_got && load->n_waiting)
		load->n_waiting--;
	if (n_left)
		note(load, lane, TALLY_TOKENS, load->now_ns,
		     lane->n_pending < n_left ? lane->n_pending : n_left);
	lane->n_got += lane->n_pending;
	lane->n_pending = 0;
}

static void leave(struct load *load, struct lane *lane, enum tally_kind kind)
{
	note(load, lane, kind, load->now_ns, 0);
	lane->is_busy = false;
	lane->free_ns = load->now_ns;
	if (lane->is_background)
		return;
	load->n_ended++;
	if (load->n_ended == load->plan->n_requests)
		load->done_ns = load->now_ns;
}

static void fail(struct load *load, struct lane *lane, const struct error *err)
{
	if (load->result->first_failure.status == SC_OK)
		load->result->first_failure = *err;
	leave(load, lane, TALLY_FAILED);
}

static void on_end(void *arg, unsigned call, const struct error *err)
{
	struct line *line = arg;
	struct lane *lane = &line->lanes[call];
	uint32_t n_wanted = shape_of(line->load, lane)->n_tokens;
	struct error short_err;

	settle(line->load, lane);
	if (err->status != SC_OK) {
		fail(line->load, lane, err);
	} else if (lane->n_got != n_wanted) {
		error_set(&short_err, SC_E_PROTOCOL, "a request ended after %u of %u tokens",
			  lane->n_got, n_wanted);
		fail(line->load, lane, &short_err);
	} else {
		leave(line->load, lane, TALLY_DONE);
	}
}

/* A server that goes on behind the last token that was asked for is not waited for. */
static void drop_surplus(struct load *load, struct lane *lane)
{
	uint32_t n_wanted = shape_of(load, lane)->n_tokens;
	struct error err;

	if (!lane->is_busy || lane->n_got <= n_wanted)
		return;
	lane->line->door->ops->cancel(lane->line->door, lane->call);
	error_set(&err, SC_E_PROTOCOL, "the server sent %u tokens, but %u were asked for",
		  lane->n_got, n_wanted);
	fail(load, lane, &err);
}

/* Watch a line's descriptor for what its door wants. */
static enum sc_status watch(struct load *load, struct line *line, struct error *err)
{
	struct door *door = line->door;
	struct epoll_event event = {
		.events = EPOLLIN | (door->wants_write ? EPOLLOUT : 0),
		.data.ptr = line,
	};
	/* A descriptor that was closed is watched no more, though its number may come again. */
	bool is_new = line->watched_fd < 0 || line->watched_opened != door->n_opened;

	if (door->fd < 0) {
		line->watched_fd = -1;
		return SC_OK;
	}
	if (!is_new && line->is_write_watched == door->wants_write)
		return SC_OK;
	if (epoll_ctl(load->epoll_fd, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, door->fd,
		      &event) != 0)
		return error_errno(err, SC_E_IO, errno, "epoll_ctl");
	line->watched_fd = door->fd;
	line->watched_opened = door->n_opened;
	line->is_write_watched = door->wants_write;
	return SC_OK;
}

/* The first tokens are the request's number. */
static void write_prompt(struct load *load, uint32_t request, uint32_t n_prompt)
{
	const struct load_plan *plan = load->plan;
	uint32_t n_ids = plan->last_id - plan->first_id + 1;
	uint64_t seed = mix(plan->seed ^ (uint64_t)request << 32);
	uint32_t number = request;

	for (uint32_t i = 0; i < n_prompt; i++)
		load->ids[i] = plan->first_id + (uint32_t)(mix(seed + i) % n_ids);
	for (uint32_t i = 0; i < n_prompt && i < 4; i++, number /= n_ids)
		load->ids[i] = plan->first_id + number % n_ids;
}

static enum sc_status ask(struct load *load, struct lane *lane, uint64_t due_ns,
			  struct error *err)
{
	const struct load_shape *shape = shape_of(load, lane);
	struct door_request request = { load->ids, shape->n_prompt, shape->n_tokens };
	struct line *line = lane->line;
	struct error failure;

	lane->request = load->n_numbered++;
	lane->n_got = 0;
	lane->n_pending = 0;
	lane->is_busy = true;
	write_prompt(load, lane->request, shape->n_prompt);
	if (!lane->is_background)
		load->n_asked++;
	note(load, lane, TALLY_DUE, due_ns, 0);
	if (line->door->ops->ask(line->door, lane->call, &request, &failure) != SC_OK)
		fail(load, lane, &failure);
	return watch(load, line, err);
}

/* When a free foreground lane may ask next; UINT64_MAX: not any more. */
static uint64_t due_ns_of(const struct load *load, const struct lane *lane)
{
	if (load->n_asked == load->plan->n_requests)
		return UINT64_MAX;
	if (load->arrivals_ns)
		return load->start_ns + load->arrivals_ns[load->n_asked];
	return (lane->free_ns > load->start_ns ? lane->free_ns : load->start_ns) +
	       ns_of(load->plan->lead_seconds);
}

/* Ask what is due; wake_ns_out: when something is due next. */
static enum sc_status ask_all(struct load *load, uint64_t *wake_ns_out, struct error *err)
{
	enum sc_status status = SC_OK;
	uint64_t wake_ns = UINT64_MAX;

	for (unsigned i = 0; i < load->n_lanes && status == SC_OK; i++) {
		struct lane *lane = &load->lanes[i];
		uint64_t due_ns = load->now_ns;

		if (lane->is_busy || (!lane->is_background && !load->start_ns))
			continue;
		/* A background that fails must not fail in a circle. */
		if (lane->is_background && load->result->first_failure.status != SC_OK)
			continue;
		if (!lane->is_background)
			due_ns = due_ns_of(load, lane);
		if (due_ns <= load->now_ns)
			status = ask(load, lane, load->arrivals_ns && !lane->is_background ?
				     due_ns : load->now_ns, err);
		else
			wake_ns = clock_earlier(wake_ns, due_ns);
	}
	*wake_ns_out = wake_ns;
	return status;
}

static enum sc_status sleep_until(struct load *load, uint64_t wake_ns, struct error *err)
{
	struct itimerspec at = { .it_value = {
		(time_t)(wake_ns / NS_PER_SECOND), (long)(wake_ns % NS_PER_SECOND) } };
	struct epoll_event events[64];
	int n;

	if (timerfd_settime(load->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) != 0)
		return error_errno(err, SC_E_IO, errno, "timerfd_settime");
	n = epoll_wait(load->epoll_fd, events, 64, -1);
	if (n < 0 && errno != EINTR)
		return error_errno(err, SC_E_IO, errno, "epoll_wait");
	for (int i = 0; i < n; i++) {
		struct line *line = events[i].data.ptr;
		enum sc_status status;

		load->now_ns = clock_ns();
		if (!line)
			continue;	/* the timer */
		line->door->ops->turn(line->door, events[i].events & ~(uint32_t)EPOLLOUT);
		for (unsigned k = 0; k < line->n_lanes; k++) {
			settle(load, &line->lanes[k]);
			drop_surplus(load, &line->lanes[k]);
		}
		status = watch(load, line, err);
		if (status != SC_OK)
			return status;
	}
	load->now_ns = clock_ns();
	return SC_OK;
}

/* What the moment changes: the foreground begins; the run knows its end. */
static void advance(struct load *load)
{
	const struct load_plan *plan = load->plan;

	if (!load->start_ns && (!load->n_waiting ||
				load->result->first_failure.status != SC_OK)) {
		load->start_ns = load->now_ns;
		if (plan->seconds > 0.0)
			load->stop_ns = load->start_ns + ns_of(plan->seconds);
	}
	if (load->done_ns)
		load->stop_ns = clock_earlier(load->stop_ns,
					      load->done_ns + ns_of(plan->tail_seconds));
}

static void cut_all(struct load *load)
{
	for (unsigned i = 0; i < load->n_lanes; i++) {
		struct lane *lane = &load->lanes[i];

		if (!lane->is_busy)
			continue;
		lane->is_busy = false;
		note(load, lane, TALLY_CUT, load->now_ns, 0);
		lane->line->door->ops->cancel(lane->line->door, lane->call);
	}
}

static enum sc_status run(struct load *load, struct error *err)
{
	uint64_t begin_ns = clock_ns();
	uint64_t limit_ns = begin_ns + ns_of(load->plan->timeout_seconds);
	double cpu_before = cpu_seconds();
	enum sc_status status = SC_OK;
	uint64_t wake_ns;

	load->now_ns = begin_ns;
	while (status == SC_OK) {
		advance(load);
		if (load->now_ns >= load->stop_ns || load->is_full)
			break;
		if (load->now_ns >= limit_ns) {
			error_set(err, SC_E_DEADLINE, "the run did not end within %.3g s: %u of %u "
				  "requests have ended", load->plan->timeout_seconds,
				  load->n_ended, load->plan->n_requests);
			status = SC_E_DEADLINE;
			break;
		}
		status = ask_all(load, &wake_ns, err);
		advance(load);	/* a request may have failed at once */
		if (status == SC_OK)
			status = sleep_until(load, clock_earlier(clock_earlier(wake_ns, limit_ns),
								 load->stop_ns), err);
	}
	load->result->run_seconds = clock_seconds(load->now_ns - begin_ns);
	load->result->cpu_seconds = cpu_seconds() - cpu_before;
	load->result->start_ns = load->start_ns ? load->start_ns : begin_ns;
	load->result->end_ns = load->now_ns;
	cut_all(load);
	if (status == SC_OK && load->is_full)
		status = error_set(err, SC_E_TOO_LARGE, "more than %zu events: ask for fewer "
				   "requests or tokens", load->result->tally.capacity);
	return status;
}

/* Arrivals of an open loop, in nanoseconds after its beginning. */
static enum sc_status plan_arrivals(struct load *load, struct error *err)
{
	const struct load_plan *plan = load->plan;
	double at = plan->lead_seconds;

	if (plan->mode == LOAD_CLOSED)
		return SC_OK;
	load->arrivals_ns = calloc(plan->n_requests, sizeof load->arrivals_ns[0]);
	if (!load->arrivals_ns)
		return error_set(err, SC_E_NOMEM, "out of memory");
	for (uint32_t i = 0; i < plan->n_requests; i++) {
		/* In (0, 1], so that its logarithm is finite. */
		double u = ((double)(mix(plan->seed + i) >> 11) + 1.0) * 0x1p-53;

		if (plan->mode == LOAD_POISSON)
			at -= log(u) / plan->rate;
		load->arrivals_ns[i] = ns_of(at);
	}
	return SC_OK;
}

/* Line i takes its share of a class's lanes, the next ones of load->lanes. */
static enum sc_status open_line(struct load *load, unsigned n_lanes, bool is_background,
				const struct door_ops *ops, const struct client_target *target,
				struct error *err)
{
	struct line *line = &load->lines[load->n_lines];
	enum sc_status status;

	line->load = load;
	line->watched_fd = -1;
	line->lanes = &load->lanes[load->n_lanes];
	line->n_lanes = n_lanes;
	line->listener = (struct door_listener){ on_tokens, on_end, line };
	status = ops->open(target, n_lanes, &line->listener, &line->door, err);
	if (status != SC_OK)
		return status;
	load->n_lines++;
	for (unsigned i = 0; i < n_lanes; i++)
		line->lanes[i] = (struct lane){
			.line = line, .call = i, .is_background = is_background };
	load->n_lanes += n_lanes;
	return watch(load, line, err);
}

static enum sc_status open_lines(struct load *load, const struct door_ops *ops,
				 const struct client_target *target, struct error *err)
{
	const struct load_plan *plan = load->plan;
	enum sc_status status = SC_OK;
	unsigned n_left = plan->n_streams;

	for (unsigned i = 0; i < plan->n_background && status == SC_OK; i++)
		status = open_line(load, 1, true, ops, target, err);
	for (unsigned i = 0; i < plan->n_connections && status == SC_OK; i++) {
		unsigned n = n_left / (plan->n_connections - i);

		status = open_line(load, n, false, ops, target, err);
		n_left -= n;
	}
	return status;
}

static enum sc_status allocate(struct load *load, struct error *err)
{
	const struct load_plan *plan = load->plan;
	uint32_t n_ids = plan->shape.n_prompt > plan->background.n_prompt ?
			 plan->shape.n_prompt : plan->background.n_prompt;

	load->lines = calloc(plan->n_background + plan->n_connections, sizeof load->lines[0]);
	load->lanes = calloc(plan->n_background + plan->n_streams, sizeof load->lanes[0]);
	load->ids = calloc(n_ids + 1, sizeof load->ids[0]);
	if (!load->lines || !load->lanes || !load->ids)
		return error_set(err, SC_E_NOMEM, "out of memory");
	return SC_OK;
}

static enum sc_status open_poll(struct load *load, struct error *err)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	load->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (load->epoll_fd < 0 || load->timer_fd < 0 ||
	    epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, load->timer_fd, &event) != 0)
		return error_errno(err, SC_E_IO, errno, "no epoll");
	return SC_OK;
}

static void close_all(struct load *load)
{
	for (unsigned i = 0; i < load->n_lines; i++)
		load->lines[i].door->ops->close(load->lines[i].door);
	if (load->epoll_fd >= 0)
		close(load->epoll_fd);
	if (load->timer_fd >= 0)
		close(load->timer_fd);
	free(load->lines);
	free(load->lanes);
	free(load->ids);
	free(load->arrivals_ns);
}

enum sc_status load_run(const struct load_plan *plan, const struct door_ops *ops,
			const struct client_target *target, struct load_result *result,
			struct error *err)
{
	struct load load = {
		.plan = plan, .result = result, .n_waiting = plan->n_background,
		.stop_ns = UINT64_MAX, .epoll_fd = -1, .timer_fd = -1,
	};
	enum sc_status status;

	*result = (struct load_result){ .first_failure = { .status = SC_OK } };
	status = tally_init(&result->tally, (size_t)MAX_EVENTS, err);
	if (status == SC_OK)
		status = allocate(&load, err);
	if (status == SC_OK)
		status = plan_arrivals(&load, err);
	if (status == SC_OK)
		status = open_poll(&load, err);
	if (status == SC_OK)
		status = open_lines(&load, ops, target, err);
	if (status == SC_OK)
		status = run(&load, err);
	close_all(&load);
	return status;
}
