/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/frame_meter.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE,
       CONTINUATION, UNKNOWN };

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static void start(struct frame_meter *meter)
{
	frame_meter_init(meter);
	assert_true(frame_meter_take(meter, preface, sizeof preface - 1, 1));
}

static bool send(struct frame_meter *meter, uint8_t type, uint8_t n_payload, uint64_t now_ns)
{
	uint8_t frame[9 + 255] = { 0, 0, n_payload, type };

	return frame_meter_take(meter, frame, 9u + n_payload, now_ns);
}

/* Frames of one type until the meter has enough, all at one time. */
static unsigned count(struct frame_meter *meter, uint8_t type, uint8_t n_payload, uint64_t now_ns)
{
	unsigned n = 0;

	while (n < 1000000 && send(meter, type, n_payload, now_ns))
		n++;
	return n;
}

static void a_flood_of_any_type_ends(void **state)
{
	(void)state;
	for (uint8_t type = DATA; type <= UNKNOWN; type++) {
		struct frame_meter meter;
		unsigned n;

		start(&meter);
		n = count(&meter, type, type == DATA ? 0 : 8, 1);
		assert_in_range(n, FRAME_METER_BURST / 8, FRAME_METER_BURST);
	}
}

static void a_payload_is_no_frame_header(void **state)
{
	struct frame_meter meter;

	(void)state;
	start(&meter);
	assert_int_equal(count(&meter, PING, 255, 1), FRAME_METER_BURST);
}

static void frames_are_counted_however_their_bytes_are_cut(void **state)
{
	static const uint8_t ping[17] = { 0, 0, 8, PING };

	(void)state;
	for (size_t cut = 1; cut < sizeof ping; cut++) {
		struct frame_meter meter;
		unsigned n = 0;

		start(&meter);
		while (frame_meter_take(&meter, ping, cut, 1) &&
		       frame_meter_take(&meter, ping + cut, sizeof ping - cut, 1))
			n++;
		assert_int_equal(n, FRAME_METER_BURST);
	}
}

static void time_gives_credit_back(void **state)
{
	struct frame_meter meter;

	(void)state;
	start(&meter);
	assert_int_equal(count(&meter, PING, 8, 1), FRAME_METER_BURST);
	assert_int_equal(count(&meter, PING, 8, 1 + NS_PER_SECOND), FRAME_METER_PER_SECOND);
	/* In steps that are no multiple of what a unit of credit takes. */
	for (unsigned i = 1; i <= 1000; i++)
		assert_int_equal(count(&meter, PING, 8, 1 + NS_PER_SECOND +
				       i * (NS_PER_SECOND / 1000) + i), 1);
	assert_int_equal(count(&meter, PING, 8, 3600 * NS_PER_SECOND), FRAME_METER_BURST);
	/* A clock that goes back gives nothing. */
	assert_int_equal(count(&meter, PING, 8, 1), 0);
}

static void what_is_of_use_gives_credit_back(void **state)
{
	struct frame_meter meter;

	(void)state;
	start(&meter);
	count(&meter, PING, 8, 1);
	frame_meter_earn(&meter, 10 * FRAME_METER_COST);
	assert_int_equal(count(&meter, PING, 8, 1), 10);
	frame_meter_earn(&meter, UINT64_MAX);
	assert_int_equal(count(&meter, PING, 8, 1), FRAME_METER_BURST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flood_of_any_type_ends),
		cmocka_unit_test(a_payload_is_no_frame_header),
		cmocka_unit_test(frames_are_counted_however_their_bytes_are_cut),
		cmocka_unit_test(time_gives_credit_back),
		cmocka_unit_test(what_is_of_use_gives_credit_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
