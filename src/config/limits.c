/* SPDX-License-Identifier: Apache-2.0 */
#include "config/limits.h"

#include <stddef.h>

const struct limit_info limit_table[N_LIMITS] = {
	[LIMIT_CONNECTIONS] = {
		"connections", "max-connections", NULL,
		"client connections at once",
		"the longest idle connection of the address with most of them is closed; if none "
		"has been idle for a second, the new one" },
	[LIMIT_PEER_CONNECTIONS] = {
		"peer-connections", "max-peer-connections", NULL,
		"connections at once of one IPv4 address, of one IPv6 /64, of loopback, or of the "
		"Unix socket; 0: half of max-connections",
		"the longest idle connection of that address is closed; if none has been idle for "
		"a second, the new one" },
	[LIMIT_RESERVE] = {
		"reserve", NULL, "4 and 4",
		"connections beyond these limits: of the Unix socket, and of loopback for "
		"GetStatus and health",
		"RESOURCE_EXHAUSTED for calls other than GetStatus and health on the loopback "
		"places, until an ordinary place is free; when all places are taken, the new "
		"connection is closed" },
	[LIMIT_IDLE] = {
		"idle", "idle-ms", NULL,
		"milliseconds without a call; SETTINGS, PING and a watch of health do not count",
		"GOAWAY, and the connection is closed" },
	[LIMIT_PREFACE] = {
		"preface", NULL, "10 s",
		"time until a client must have shown that it speaks HTTP/2",
		"the connection is closed" },
	[LIMIT_HEADER_LIST] = {
		"header-list", NULL, "16 KiB",
		"header fields of one request: names, values, and 32 bytes for each",
		"GOAWAY with ENHANCE_YOUR_CALM, and the connection is closed" },
	[LIMIT_FRAMES] = {
		"frames", NULL, "4000 at once, then 1000 per second",
		"HTTP/2 frames that bring nothing: PING, SETTINGS, PRIORITY, resets, empty DATA; "
		"costly ones count for several, and requests and answers that arrive earn more",
		"GOAWAY with ENHANCE_YOUR_CALM, and the connection is closed" },
	[LIMIT_QUEUED_FRAMES] = {
		"queued-frames", NULL, "1000, and 4 per stream",
		"answers of a connection that the client does not take",
		"the connection is closed" },

	[LIMIT_STREAMS] = {
		"streams", "max-streams", NULL,
		"requests at once on one connection",
		"the stream is reset with REFUSED_STREAM, or the connection is closed" },
	[LIMIT_REQUEST_TIME] = {
		"request-time", "request-ms", NULL,
		"milliseconds from a request's first byte to its last",
		"DEADLINE_EXCEEDED" },
	[LIMIT_STALL] = {
		"stall", "stall-ms", NULL,
		"milliseconds in which a client takes nothing of an answer that is ready for it",
		"the stream is reset with CANCEL, or the connection is closed" },
	[LIMIT_MESSAGE] = {
		"message", "max-message", NULL,
		"bytes of one request message",
		"RESOURCE_EXHAUSTED" },
	[LIMIT_REQUEST_BYTES] = {
		"request-bytes", NULL, "4 times max-message",
		"bytes of requests that one connection sends at once",
		"RESOURCE_EXHAUSTED" },
	[LIMIT_REQUEST_MEMORY] = {
		"request-memory", NULL, "64 KiB, and 16 per byte",
		"memory that a request takes when it is decoded",
		"INVALID_ARGUMENT" },
	[LIMIT_LONG_REQUESTS] = {
		"long-requests", NULL, "1024, and 64 MiB or 8 times max-message",
		"requests of more than 4 KiB that wait for a helper thread, and their bytes",
		"RESOURCE_EXHAUSTED" },
	[LIMIT_BUDGET] = {
		"budget", NULL, "256 MiB or an eighth of the free memory, but at least 8 times "
		"max-message",
		"memory for the requests and answers of all clients together",
		"RESOURCE_EXHAUSTED" },
	[LIMIT_REPLY] = {
		"reply", NULL, "16 MiB",
		"bytes of one answer",
		"RESOURCE_EXHAUSTED" },
	[LIMIT_LIST] = {
		"list", NULL, "1000",
		"jobs in the answer of one List",
		"the newest jobs alone" },

	[LIMIT_QUEUE] = {
		"queue", "max-queue", NULL,
		"jobs that wait, besides those that run; a quarter more for clients with few jobs",
		"RESOURCE_EXHAUSTED" },
	[LIMIT_JOB_MEMORY] = {
		"job-memory", "job-memory", NULL,
		"memory that all jobs may come to need for tokens and texts; the last quarter "
		"is for clients with little",
		"RESOURCE_EXHAUSTED; INVALID_ARGUMENT when the job alone needs more" },
	[LIMIT_CONTEXT] = {
		"context", "ctx-size", NULL,
		"tokens of a prompt, with room for one more",
		"INVALID_ARGUMENT" },
	[LIMIT_SEQUENCES] = {
		"sequences", NULL, "64",
		"sequences of one job",
		"INVALID_ARGUMENT" },
	[LIMIT_STOPS] = {
		"stops", NULL, "16",
		"stop strings of one job",
		"INVALID_ARGUMENT" },
	[LIMIT_STOP_BYTES] = {
		"stop-bytes", NULL, "256",
		"bytes of one stop string",
		"INVALID_ARGUMENT" },
	[LIMIT_KEPT_JOBS] = {
		"kept-jobs", "keep-jobs", NULL,
		"ended jobs that are remembered",
		"the oldest job is forgotten: NOT_FOUND" },
};
