/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/control_link.h"

bool link_send_control(struct link *link, struct frame_pool *pool, uint32_t epoch,
		       const Stagecoach__Cluster__V1__Control *message)
{
	struct frame *frame = frame_take(pool, FRAME_CONTROL);

	if (!frame)
		return false;
	frame->epoch = epoch;
	if (control_encode(message, frame) == SC_OK && link_send(link, frame) == SC_OK)
		return true;
	frame_release(frame);
	return false;
}
