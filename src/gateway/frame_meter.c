/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/frame_meter.h"

#include "base/clock.h"

/* "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" */
#define PREFACE_BYTES 24
#define MAX_CREDIT ((uint64_t)FRAME_METER_BURST * FRAME_METER_COST)

/* Cost by frame type, in multiples of FRAME_METER_COST. HEADERS open calls, PRIORITY makes streams,
 * SETTINGS may affect every stream, RST_STREAM discards work. */
static const uint8_t costs[] = { 1, 2, 4, 4, 8, 4, 1, 4, 1, 4 };
enum { N_COSTS = sizeof costs / sizeof costs[0], COST_OF_OTHERS = 4 };

void frame_meter_init(struct frame_meter *meter)
{
	*meter = (struct frame_meter){ .credit = MAX_CREDIT, .n_before = PREFACE_BYTES };
}

void frame_meter_earn(struct frame_meter *meter, uint64_t credit)
{
	uint64_t room = MAX_CREDIT - meter->credit;

	meter->credit += credit < room ? credit : room;
}

static void refill(struct frame_meter *meter, uint64_t now_ns)
{
	const uint64_t ns_per_credit = NS_PER_SECOND / (FRAME_METER_PER_SECOND * FRAME_METER_COST);
	uint64_t n;

	if (!meter->refilled_ns)
		meter->refilled_ns = now_ns;
	if (now_ns <= meter->refilled_ns)
		return;
	n = (now_ns - meter->refilled_ns) / ns_per_credit;
	meter->refilled_ns += n * ns_per_credit;
	frame_meter_earn(meter, n);
}

/* Charges for a complete header. What follows is its payload. */
static bool charge(struct frame_meter *meter)
{
	const uint8_t *head = meter->head;
	uint64_t cost = FRAME_METER_COST * (head[3] < N_COSTS ? costs[head[3]] : COST_OF_OTHERS);

	meter->n_before = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
	meter->n_head = 0;
	if (cost > meter->credit)
		return false;
	meter->credit -= cost;
	return true;
}

bool frame_meter_take(struct frame_meter *meter, const void *bytes, size_t n_bytes,
		      uint64_t now_ns)
{
	const uint8_t *p = bytes;
	const uint8_t *end = p + n_bytes;

	refill(meter, now_ns);
	while (p < end) {
		size_t n_left = (size_t)(end - p);
		size_t n_skip = meter->n_before < n_left ? meter->n_before : n_left;

		if (n_skip) {
			p += n_skip;
			meter->n_before -= (uint32_t)n_skip;
			continue;
		}
		meter->head[meter->n_head++] = *p++;
		if (meter->n_head == sizeof meter->head && !charge(meter))
			return false;
	}
	return true;
}
