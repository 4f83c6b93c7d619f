/* SPDX-License-Identifier: Apache-2.0 */
#include "link_suite.h"

#include "transport/fabrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static enum sc_status open_on_hub(void *arg, struct loop *loop, const struct fabric_config *config,
				  struct fabric **fabric_out, struct error *err)
{
	return fabric_loopback_open(loop, arg, config, fabric_out, err);
}

static int run_suite(const char *name, bool has_two_threads)
{
	struct link_suite suite = {
		.name = name,
		.open = open_on_hub,
		.has_two_threads = has_two_threads,
	};
	struct loopback_hub *hub;
	int rc;

	if (loopback_hub_create(2, &hub) != SC_OK)
		return 1;
	suite.arg = hub;
	rc = link_suite_run(&suite);
	loopback_hub_destroy(hub);
	return rc;
}

/* What is special about loopback. */

struct catcher {
	struct frame *frame;
	int n_down;
};

static void on_frame(void *arg, struct link *link, struct frame *frame)
{
	(void)link;
	((struct catcher *)arg)->frame = frame;
}

static void on_down(void *arg, struct link *link, enum sc_status status, const char *why)
{
	(void)link;
	(void)status;
	(void)why;
	((struct catcher *)arg)->n_down++;
}

static const struct link_events events = { .on_frame = on_frame, .on_down = on_down };

struct ring {
	struct loop *loop;
	struct loopback_hub *hub;
	struct fabric *fabrics[3];
	struct frame_pool *pool;
};

static struct fabric_config config_of(unsigned rank)
{
	return (struct fabric_config){
		.rank = rank, .n_ranks = 3, .max_payload = 100, .credits = 2,
	};
}

static int make_ring(void **state)
{
	struct ring *ring = calloc(1, sizeof *ring);
	struct error err;

	*state = ring;
	if (!ring || loop_create(&ring->loop) != SC_OK ||
	    loopback_hub_create(3, &ring->hub) != SC_OK ||
	    frame_pool_create(4, 100, &ring->pool) != SC_OK)
		return -1;
	for (unsigned i = 0; i < 3; i++) {
		struct fabric_config config = config_of(i);

		if (fabric_loopback_open(ring->loop, ring->hub, &config, &ring->fabrics[i], &err) !=
		    SC_OK)
			return -1;
	}
	return 0;
}

static int drop_ring(void **state)
{
	struct ring *ring = *state;

	for (unsigned i = 0; i < 3; i++)
		fabric_close(ring->fabrics[i]);
	loopback_hub_destroy(ring->hub);
	assert_int_equal(frame_pool_n_free(ring->pool), 4);
	frame_pool_destroy(ring->pool);
	loop_destroy(ring->loop);
	free(ring);
	return 0;
}

static struct link *connect_ranks(struct ring *ring, unsigned from, unsigned to,
				  struct catcher *catcher)
{
	struct link *link = NULL;
	struct error err = { .text = "" };
	const void *address;
	size_t n_bytes;

	fabric_address(ring->fabrics[to], &address, &n_bytes);
	if (fabric_connect(ring->fabrics[from], to, address, n_bytes, &events, catcher, &link,
			   &err) != SC_OK)
		fail_msg("%s", err.text);
	assert_int_equal(link_peer(link), to);
	return link;
}

static void a_frame_goes_round_a_ring_without_being_copied(void **state)
{
	struct ring *ring = *state;
	struct catcher catchers[3] = { 0 };
	struct link *forward[3];
	struct frame *frame = frame_take(ring->pool, FRAME_STEP);

	for (unsigned i = 0; i < 3; i++)
		forward[i] = connect_ranks(ring, i, (i + 1) % 3, &catchers[i]);
	for (unsigned i = 0; i < 3; i++)
		(void)connect_ranks(ring, (i + 1) % 3, i, &catchers[(i + 1) % 3]);
	/* Ten rounds with two credits per link: each release gives back all that were used. */
	for (unsigned round = 0; round < 10; round++) {
		struct frame *runner = frame;

		for (unsigned i = 0; i < 3; i++) {
			struct catcher *next = &catchers[(i + 1) % 3];

			assert_int_equal(link_send(forward[i], runner), SC_OK);
			next->frame = NULL;
			while (!next->frame)
				loop_turn(ring->loop, true);
			assert_ptr_equal(next->frame, frame);
			runner = next->frame;
		}
		frame_release(frame);
		frame = frame_take(ring->pool, FRAME_STEP);
	}
	frame_release(frame);
}

static void frames_for_an_end_that_never_comes_are_dropped_with_the_hub(void **state)
{
	struct ring *ring = *state;
	struct catcher catcher = { 0 };
	struct link *link = connect_ranks(ring, 0, 1, &catcher);

	for (int i = 0; i < 2; i++)
		assert_int_equal(link_send(link, frame_take(ring->pool, FRAME_STEP)), SC_OK);
	assert_int_equal(frame_pool_n_free(ring->pool), 2);
	link_close(link);
}

static void an_end_that_comes_late_gets_what_was_sent_and_then_the_end(void **state)
{
	struct ring *ring = *state;
	struct catcher first = { 0 }, second = { 0 };
	struct link *link = connect_ranks(ring, 0, 1, &first);

	assert_int_equal(link_send(link, frame_take(ring->pool, FRAME_TOKENS)), SC_OK);
	link_close(link);
	link = connect_ranks(ring, 1, 0, &second);
	while (!second.n_down)
		loop_turn(ring->loop, true);
	assert_non_null(second.frame);
	assert_int_equal(second.frame->type, FRAME_TOKENS);
	frame_release(second.frame);
	link_close(link);
	assert_int_equal(first.n_down, 0);
}

static void close_rank(struct ring *ring, unsigned rank)
{
	fabric_close(ring->fabrics[rank]);
	ring->fabrics[rank] = NULL;
}

static void a_link_to_a_rank_that_leaves_before_it_connects_goes_down(void **state)
{
	struct ring *ring = *state;
	struct catcher catcher = { 0 };
	struct link *link = connect_ranks(ring, 0, 1, &catcher);

	assert_int_equal(link_send(link, frame_take(ring->pool, FRAME_STEP)), SC_OK);
	close_rank(ring, 1);
	assert_int_equal(frame_pool_n_free(ring->pool), 4);
	while (!catcher.n_down)
		loop_turn(ring->loop, true);
	link_close(link);
}

static void a_link_to_a_rank_that_has_left_goes_down(void **state)
{
	struct ring *ring = *state;
	struct catcher catcher = { 0 };
	struct link *link = NULL;
	struct error err;
	uint8_t copy[64];
	const void *address;
	size_t n_bytes;

	fabric_address(ring->fabrics[2], &address, &n_bytes);
	assert_true(n_bytes <= sizeof copy);
	memcpy(copy, address, n_bytes);
	close_rank(ring, 2);
	assert_int_equal(fabric_connect(ring->fabrics[0], 2, copy, n_bytes, &events, &catcher,
					&link, &err), SC_OK);
	while (!catcher.n_down)
		loop_turn(ring->loop, true);
	link_close(link);
}

static void a_frame_may_be_released_after_everything_else_is_gone(void **state)
{
	struct ring *ring = *state;
	struct catcher first = { 0 }, second = { 0 };
	struct link *link = connect_ranks(ring, 0, 1, &first);

	(void)connect_ranks(ring, 1, 0, &second);
	assert_int_equal(link_send(link, frame_take(ring->pool, FRAME_STEP)), SC_OK);
	while (!second.frame)
		loop_turn(ring->loop, true);
	for (unsigned i = 0; i < 3; i++) {
		fabric_close(ring->fabrics[i]);
		ring->fabrics[i] = NULL;
	}
	loopback_hub_destroy(ring->hub);
	ring->hub = NULL;
	frame_release(second.frame);
}

static void a_rank_that_is_taken_and_bad_numbers_are_refused(void **state)
{
	struct ring *ring = *state;
	struct fabric_config config = config_of(1);
	struct fabric *fabric = NULL;
	struct error err = { .text = "" };

	assert_int_equal(fabric_loopback_open(ring->loop, ring->hub, &config, &fabric, &err),
			 SC_E_EXISTS);
	assert_non_null(strstr(err.text, "rank 1 already has a fabric"));
	config.rank = 3;
	assert_int_equal(fabric_loopback_open(ring->loop, ring->hub, &config, &fabric, &err),
			 SC_E_INVALID);
	config = config_of(1);
	config.credits = 0;
	assert_int_equal(fabric_loopback_open(ring->loop, ring->hub, &config, &fabric, &err),
			 SC_E_INVALID);
	config.credits = 70000;
	assert_int_equal(fabric_loopback_open(ring->loop, ring->hub, &config, &fabric, &err),
			 SC_E_INVALID);
	config = config_of(1);
	config.n_ranks = 4;
	assert_int_equal(fabric_loopback_open(ring->loop, ring->hub, &config, &fabric, &err),
			 SC_E_INVALID);
	assert_null(fabric);
	assert_string_equal(fabric_name(ring->fabrics[1]), "loopback");
	fabric_close(NULL);
	link_close(NULL);
}

int main(void)
{
#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, make_ring, drop_ring)
	const struct CMUnitTest tests[] = {
		RING_TEST(a_frame_goes_round_a_ring_without_being_copied),
		RING_TEST(frames_for_an_end_that_never_comes_are_dropped_with_the_hub),
		RING_TEST(an_end_that_comes_late_gets_what_was_sent_and_then_the_end),
		RING_TEST(a_link_to_a_rank_that_leaves_before_it_connects_goes_down),
		RING_TEST(a_link_to_a_rank_that_has_left_goes_down),
		RING_TEST(a_frame_may_be_released_after_everything_else_is_gone),
		RING_TEST(a_rank_that_is_taken_and_bad_numbers_are_refused),
	};
	int n_failed = cmocka_run_group_tests(tests, NULL, NULL);

	n_failed += run_suite("loopback on one loop", false);
	n_failed += run_suite("loopback on two threads", true);
	return n_failed != 0;
}
