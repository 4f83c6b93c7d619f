/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_GRANT_H
#define STAGECOACH_TRANSPORT_GRANT_H
/*
 * grant - the receiving side's account of the credits that it gave to one peer.
 * A credit is out from the grant until the frame that used it is released and the credit was
 * sent back. Credits go back in batches, but in time: a batch is due as soon as half of all
 * credits are used or waiting here, so a peer that ran out is never left waiting.
 * Lives until its link has detached and the last frame that was handed out is released.
 * Thread: the loop's, except that frames are released on any.
 */
#include "event/loop.h"
#include "wire/frame.h"

struct grant;

/* wake is sent from a releasing thread when a batch is due; borrowed until detach. */
must_check enum sc_status grant_create(unsigned n_credits, struct wake *wake,
				       struct grant **grant_out);
/* The link is gone: releases still count, wake no one. Accepts NULL. */
void grant_detach(struct grant *grant);

/* A frame came. false: the peer had no credit for it. */
must_check bool grant_use(struct grant *grant);
/* The frame goes to its reader; its release gives the credit back. */
void grant_hand_out(struct grant *grant, struct frame *frame);

/* Is a batch due? */
bool grant_is_due(struct grant *grant);
/* All credits that wait; they count as sent back. */
unsigned grant_collect(struct grant *grant);

#endif
