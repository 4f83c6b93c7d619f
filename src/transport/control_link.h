/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_CONTROL_LINK_H
#define STAGECOACH_TRANSPORT_CONTROL_LINK_H
/* control_link - a control message on its way over a link. Thread: the loop's. */
#include "transport/link.h"
#include "wire/control.h"

/* Pack message into a frame of pool and send it. False: no frame, no credit, or the link is down;
 * nothing is kept. Who must be heard tries again, the others' silence will be noticed. */
bool link_send_control(struct link *link, struct frame_pool *pool, uint32_t epoch,
		       const Stagecoach__Cluster__V1__Control *message);

#endif
