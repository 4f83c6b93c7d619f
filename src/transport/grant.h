/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_GRANT_H
#define STAGECOACH_TRANSPORT_GRANT_H
/*
 * grant - the receiving side's account of the credits that it granted to one peer.
 * A frame uses a credit until the frame is released and the credit was sent back. Credits go back
 * in batches. A batch is due as soon as half of all credits are used or waiting here, so a peer
 * without credits never waits for ever.
 * Ownership: lives until its link has detached and the last received frame is released.
 * Thread: the loop's; frames may be released on any thread.
 */
#include "event/loop.h"
#include "wire/frame.h"

struct grant;

/* The releasing thread sends wake when a batch is due. Borrows wake until grant_detach. */
must_check enum sc_status grant_create(unsigned n_credits, struct wake *wake,
				       struct grant **grant_out);
/* Call when the link is gone: later releases are still counted, but send no wake. Accepts NULL. */
void grant_detach(struct grant *grant);

/* Counts a received frame. Returns false if the peer had no credit for it. */
must_check bool grant_use(struct grant *grant);
/* Call when the frame is given to its reader. Releasing the frame gives the credit back. */
void grant_hand_out(struct grant *grant, struct frame *frame);

/* Returns true if a batch of credits should be sent back now. */
bool grant_is_due(struct grant *grant);
/* Returns the number of credits to send back, and counts them as sent. */
unsigned grant_collect(struct grant *grant);

#endif
