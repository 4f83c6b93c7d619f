/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_WIRE_CONTROL_H
#define STAGECOACH_WIRE_CONTROL_H
/*
 * control - messages between the coordinator and a worker, protobuf inside a CONTROL frame.
 * Their meaning is told in proto/stagecoach/cluster/v1/cluster.proto.
 */
#include "wire/frame.h"

#include "stagecoach/cluster/v1/cluster.pb-c.h"

#define CONTROL_PROTOCOL_VERSION 4
#define CONTROL_MAX_BYTES 65536
/* Room for whatever we send ourselves: what pools of control frames are made of. */
#define CONTROL_FRAME_BYTES 4096

/* Pack message into frame (n_bytes is set). SC_E_TOO_LARGE: does not fit. */
must_check enum sc_status control_encode(const Stagecoach__Cluster__V1__Control *message,
					 struct frame *frame);

/* Caller frees with control_free. Control characters in texts become spaces, so that they can be
 * logged. SC_E_PROTOCOL: not a message, or none that is known. */
must_check enum sc_status control_decode(const struct frame *frame,
					 Stagecoach__Cluster__V1__Control **message_out,
					 struct error *err);
void control_free(Stagecoach__Cluster__V1__Control *message);

#endif
