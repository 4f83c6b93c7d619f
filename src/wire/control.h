/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_WIRE_CONTROL_H
#define STAGECOACH_WIRE_CONTROL_H
/*
 * control - messages between the coordinator and a worker. On a channel (transport/channel.h) a
 * message is n_bytes u32 little-endian, from 1 to CONTROL_MAX_BYTES, then n_bytes of protobuf.
 * Nothing is between two messages. proto/stagecoach/cluster/v1/cluster.proto defines their meaning.
 * Thread: any.
 */
#include "base/buf.h"
#include "wire/frame.h"

#include "stagecoach/cluster/v1/cluster.pb-c.h"

#define CONTROL_PROTOCOL_VERSION 7
#define CONTROL_MAX_BYTES 65536
/* The most hashes in Ready, of 14 bytes at most, so that it fits. */
#define CONTROL_MAX_HASHES 4096

/* Appends one message to out. SC_E_TOO_LARGE: the message does not fit. SC_E_NOMEM. */
must_check enum sc_status control_add(const Stagecoach__Cluster__V1__Control *message,
				      struct buf *out);
/* Unpacks the first message of bytes; n_used_out is its size, the length included. The caller frees
 * the message with control_free. Control characters in texts become spaces, so that the texts can
 * be logged. SC_AGAIN: the message is not complete yet. SC_E_PROTOCOL: a length out of range, bytes
 * that are no Control message, or a message without a known body. */
must_check enum sc_status control_take(const void *bytes, size_t n_bytes,
				       Stagecoach__Cluster__V1__Control **message_out,
				       size_t *n_used_out, struct error *err);

void control_free(Stagecoach__Cluster__V1__Control *message);

#endif
