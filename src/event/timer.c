/* SPDX-License-Identifier: Apache-2.0 */
/* Timers are a heap ordered by the loop's own clock (loop_now_ns). A single libuv timer, the alarm,
 * wakes the loop for the earliest of them. A test that moves the clock therefore moves all
 * timers. */
#include "event/round.h"

#include "base/clock.h"
#include "event/manual_clock.h"

#include <assert.h>
#include <stdlib.h>

#define NEVER UINT64_MAX
/* On a manual clock no timer ends a wait. A waiting turn returns after this much real time, so that
 * a test can check whether it waits in vain. */
#define MANUAL_WAIT_MS 100

struct timer {
	struct loop *loop;
	timer_fn *fn;
	void *arg;
	uint64_t due_ns;
	uint64_t repeat_ns;
	uint64_t order;		/* start number: timers with equal due times fire in this order */
	unsigned place;		/* index in the heap, from 1; 0: stopped */
};

/* --- heap: heap[1] is due first --- */

static bool is_before(const struct timer *a, const struct timer *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void put(struct timers *timers, struct timer *timer, unsigned place)
{
	timers->heap[place] = timer;
	timer->place = place;
}

static void move_up(struct timers *timers, struct timer *timer)
{
	unsigned place = timer->place;

	for (; place > 1 && is_before(timer, timers->heap[place / 2]); place /= 2)
		put(timers, timers->heap[place / 2], place);
	put(timers, timer, place);
}

static void move_down(struct timers *timers, struct timer *timer)
{
	unsigned place = timer->place;
	unsigned child;

	while ((child = 2 * place) <= timers->n) {
		if (child < timers->n &&
		    is_before(timers->heap[child + 1], timers->heap[child]))
			child++;
		if (is_before(timer, timers->heap[child]))
			break;
		put(timers, timers->heap[child], place);
		place = child;
	}
	put(timers, timer, place);
}

static void insert(struct timers *timers, struct timer *timer, uint64_t due_ns)
{
	timer->due_ns = due_ns;
	timer->order = timers->n_started++;
	timer->place = ++timers->n;
	move_up(timers, timer);
}

static void take_out(struct timers *timers, struct timer *timer)
{
	struct timer *last = timers->heap[timers->n--];

	if (last != timer) {
		put(timers, last, timer->place);
		move_up(timers, last);
		move_down(timers, last);
	}
	timer->place = 0;
}

/* Makes room at creation, so that starting a timer cannot fail. */
static bool has_room(struct timers *timers)
{
	unsigned capacity = timers->capacity ? 2 * timers->capacity : 8;
	struct timer **heap;

	if (timers->n_created + 1 < timers->capacity)
		return true;
	heap = realloc(timers->heap, capacity * sizeof heap[0]);
	if (!heap)
		return false;
	timers->heap = heap;
	timers->capacity = capacity;
	return true;
}

/* --- time --- */

uint64_t loop_now_ns(const struct loop *loop)
{
	return loop->clock ? manual_clock_ns(loop->clock) : clock_ns();
}

uint64_t timers_next_ns(const struct loop *loop)
{
	return loop->timers.n ? loop->timers.heap[1]->due_ns : NEVER;
}

static uint64_t later(uint64_t now_ns, uint64_t ns)
{
	return ns < NEVER - now_ns ? now_ns + ns : NEVER;
}

static uint64_t in_ns(uint64_t ms)
{
	return ms < NEVER / NS_PER_MS ? ms * NS_PER_MS : NEVER;
}

/* --- alarm --- */

static void on_alarm(uv_timer_t *handle)
{
	timers_run(handle->data);
}

static uint64_t alarm_delay_ms(struct loop *loop, uint64_t due_ns)
{
	/* Rounded up, because the alarm must not fire before its timer is due. */
	uint64_t due_ms = due_ns / NS_PER_MS + !!(due_ns % NS_PER_MS);
	uint64_t uv_ms = uv_now(&loop->uv);	/* libuv's copy of the same clock,
						 * read at the start of the round */

	if (loop->clock)
		return due_ns <= manual_clock_ns(loop->clock) ? 0 : MANUAL_WAIT_MS;
	return due_ms > uv_ms ? due_ms - uv_ms : 0;
}

void timers_arm(struct loop *loop)
{
	struct timers *timers = &loop->timers;
	uint64_t due_ns = timers_next_ns(loop);

	/* Active timers keep the loop running. An alarm that only ends a wait does not. */
	if (timers->n)
		uv_ref((uv_handle_t *)&timers->alarm);
	else
		uv_unref((uv_handle_t *)&timers->alarm);
	if (timers->n || loop->clock)
		uv_timer_start(&timers->alarm, on_alarm, alarm_delay_ms(loop, due_ns),
			       loop->clock ? MANUAL_WAIT_MS : 0);
	else
		uv_timer_stop(&timers->alarm);
	timers->armed_ns = due_ns;
}

static void arm_if_changed(struct loop *loop)
{
	if (timers_next_ns(loop) != loop->timers.armed_ns)
		timers_arm(loop);
}

/* A repeating timer is restarted before its function runs, because the function may stop or destroy
 * it. Timers started during this call wait for the next call; otherwise this loop might not end. */
void timers_run(struct loop *loop)
{
	struct timers *timers = &loop->timers;
	uint64_t now_ns = loop_now_ns(loop);
	uint64_t begin_ns = clock_ns();
	uint64_t n_started = timers->n_started;

	while (timers->n) {
		struct timer *timer = timers->heap[1];

		if (timer->due_ns > now_ns || timer->order >= n_started)
			break;
		take_out(timers, timer);
		if (timer->repeat_ns)
			insert(timers, timer, later(now_ns, timer->repeat_ns));
		loop->n_calls++;
		timer->fn(timer->arg);
	}
	loop->turn.timers_ns += clock_ns() - begin_ns;
	timers_arm(loop);
}

void timers_init(struct loop *loop)
{
	uv_timer_init(&loop->uv, &loop->timers.alarm);
	loop->timers.alarm.data = loop;
	timers_arm(loop);
}

void timers_close(struct loop *loop)
{
	assert(!loop->timers.n_created);
	uv_close((uv_handle_t *)&loop->timers.alarm, NULL);
	free(loop->timers.heap);
	loop->timers.heap = NULL;
}

/* --- one timer --- */

enum sc_status timer_create_on(struct loop *loop, timer_fn *fn, void *arg,
			       struct timer **timer_out)
{
	struct timer *timer = calloc(1, sizeof *timer);

	if (!timer || !has_room(&loop->timers)) {
		free(timer);
		return SC_E_NOMEM;
	}
	timer->loop = loop;
	timer->fn = fn;
	timer->arg = arg;
	loop->timers.n_created++;
	*timer_out = timer;
	return SC_OK;
}

void timer_destroy(struct timer *timer)
{
	if (!timer)
		return;
	timer_stop(timer);
	timer->loop->timers.n_created--;
	free(timer);
}

void timer_start(struct timer *timer, uint64_t first_ms, uint64_t repeat_ms)
{
	struct timers *timers = &timer->loop->timers;

	if (timer->place)
		take_out(timers, timer);
	timer->repeat_ns = in_ns(repeat_ms);
	insert(timers, timer, later(loop_now_ns(timer->loop), in_ns(first_ms)));
	arm_if_changed(timer->loop);
}

void timer_stop(struct timer *timer)
{
	if (!timer->place)
		return;
	take_out(&timer->loop->timers, timer);
	arm_if_changed(timer->loop);
}
