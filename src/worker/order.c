/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/order.h"

#include <stdlib.h>

enum sc_status order_create(enum order_kind kind, const struct compute_assignment *assignment,
			    struct order **order_out, struct error *err)
{
	bool is_loading = kind == ORDER_ASSIGN || kind == ORDER_PRELOAD;
	struct order *order = calloc(1, sizeof *order);

	if (!order)
		goto fail;
	order->kind = kind;
	order->assignment = *assignment;
	atomic_init(&order->state, is_loading ? COMPUTE_LOADING : COMPUTE_IDLE);
	if (queue_create(assignment->window, &order->inbox) != SC_OK ||
	    queue_create(assignment->window, &order->outbox) != SC_OK)
		goto fail;
	*order_out = order;
	return SC_OK;
fail:
	order_destroy(order);
	return error_set(err, SC_E_NOMEM, "out of memory for a window of %u frames",
			 assignment->window);
}

enum sc_status order_make_frames(struct order *order)
{
	const struct step_limits *limits = &order->assignment.stage.limits;
	uint32_t window = order->assignment.window;

	order->records = calloc(limits->max_rows, sizeof order->records[0]);
	order->tops = calloc(step_max_tops(limits), sizeof order->tops[0]);
	if (order->records && order->tops &&
	    frame_pool_create(window, stage_output_bytes_max(limits), &order->pool) == SC_OK)
		return SC_OK;
	return error_set(&order->error, SC_E_NOMEM, "out of memory for %u frames of %zu bytes",
			 window, stage_output_bytes_max(limits));
}

static void drop_frames(struct queue *queue)
{
	struct frame *frame;

	while (queue && (frame = queue_try_pop(queue)))
		frame_release(frame);
	queue_destroy(queue);
}

void order_destroy(struct order *order)
{
	if (!order)
		return;
	drop_frames(order->inbox);
	drop_frames(order->outbox);
	frame_pool_destroy(order->pool);
	free(order->records);
	free(order->tops);
	free(order);
}
