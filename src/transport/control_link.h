/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_CONTROL_LINK_H
#define STAGECOACH_TRANSPORT_CONTROL_LINK_H
/* control_link - sends control messages over a link. Thread: the loop's. */
#include "transport/link.h"
#include "wire/control.h"

/* Packs message into a frame of pool and sends it. Returns false, and keeps nothing, if there is no
 * frame or no credit, or if the link is down. The caller repeats messages that must arrive. For
 * others nothing is needed: the peer notices silence. */
bool link_send_control(struct link *link, struct frame_pool *pool, uint32_t epoch,
		       const Stagecoach__Cluster__V1__Control *message);

#endif
