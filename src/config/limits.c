/* SPDX-License-Identifier: Apache-2.0 */
#include "config/limits.h"

#include <stddef.h>

const struct limit_info limit_table[N_LIMITS] = {
	[LIMIT_CONNECTIONS] = {
		"connections", "max-connections", NULL,
		"maximum client connections",
		"the server takes the address with the most connections and closes the one "
		"that has been idle for the longest time. If none has been idle for a second, "
		"the new connection is closed" },
	[LIMIT_PEER_CONNECTIONS] = {
		"peer-connections", "max-peer-connections", NULL,
		"maximum connections from one IPv4 address, one IPv6 /64 network, loopback, or "
		"the Unix socket; 0: half of max-connections",
		"the server closes the connection of that address that has been idle for the "
		"longest time. If none has been idle for a second, the new connection is closed" },
	[LIMIT_RESERVE] = {
		"reserve", NULL, "4 and 4",
		"connections reserved for the operator when the limits above are reached: 4 on "
		"the Unix socket, and 4 on loopback for GetStatus and health",
		"other calls on the reserved loopback connections get RESOURCE_EXHAUSTED until "
		"an ordinary connection is free. If all reserved connections are in use, the "
		"new connection is closed" },
	[LIMIT_IDLE] = {
		"idle", "idle-ms", NULL,
		"milliseconds without a call. SETTINGS, PING and health watches are not calls",
		"the server sends GOAWAY and closes the connection" },
	[LIMIT_PREFACE] = {
		"preface", NULL, "10 s",
		"time in which a new client must send the HTTP/2 preface or an HTTP/1 request line",
		"the connection is closed" },
	[LIMIT_HEADER_LIST] = {
		"header-list", NULL, "16 KiB",
		"size of the header fields of one request: names, values, and 32 bytes per field. "
		"Over HTTP/1: all lines of the head, of which the request line may have 8 KiB",
		"GOAWAY with ENHANCE_YOUR_CALM, or 414 or 431 over HTTP/1, and the connection is "
		"closed" },
	[LIMIT_FRAMES] = {
		"frames", NULL, "4000 at once, then 1000 per second",
		"HTTP/2 frames without payload for a request: PING, SETTINGS, PRIORITY, "
		"RST_STREAM, empty DATA. Frames that are costly to process count several times. "
		"Complete requests and answers raise the allowance",
		"GOAWAY with ENHANCE_YOUR_CALM, and the connection is closed" },
	[LIMIT_QUEUED_FRAMES] = {
		"queued-frames", NULL, "1000, and 4 per stream",
		"frames that wait because the client does not read its connection",
		"the connection is closed" },
	[LIMIT_TLS] = {
		"tls", NULL, "64 KiB",
		"bytes that a client sends in its TLS handshake. Handshakes that fail for another "
		"reason count, too",
		"an alert, and the connection is closed" },

	[LIMIT_KEY] = {
		"key", "api-key-file", NULL,
		"the API key of a request over TCP, where the server has keys",
		"UNAUTHENTICATED; HTTP status 401" },
	[LIMIT_KEY_RATE] = {
		"key-rate", "api-key-file", NULL,
		"requests of one API key in a second, minute or hour: rate= behind the key. Requests "
		"for health, status and jobs, and Cancel, do not count",
		"RESOURCE_EXHAUSTED; HTTP status 429" },
	[LIMIT_KEY_CALLS] = {
		"key-calls", "api-key-file", NULL,
		"requests of one API key at the same time: concurrent= behind the key. The same "
		"requests count",
		"RESOURCE_EXHAUSTED; HTTP status 429" },
	[LIMIT_ORIGIN] = {
		"origin", "cors-origins", NULL,
		"Host and Origin of an HTTP request, which say what page a browser sends it for. "
		"See SECURITY",
		"HTTP status 403" },
	[LIMIT_STREAMS] = {
		"streams", "max-streams", NULL,
		"maximum concurrent requests on one connection",
		"the stream is reset with REFUSED_STREAM, or the connection is closed" },
	[LIMIT_REQUEST_TIME] = {
		"request-time", "request-ms", NULL,
		"milliseconds from a request's first byte to its last",
		"DEADLINE_EXCEEDED, or 408 over HTTP/1" },
	[LIMIT_STALL] = {
		"stall", "stall-ms", NULL,
		"milliseconds in which a client reads nothing of an answer that is ready",
		"the stream is reset with CANCEL, or the connection is closed" },
	[LIMIT_MESSAGE] = {
		"message", "max-message", NULL,
		"bytes of one request message, or of one body over HTTP/1",
		"RESOURCE_EXHAUSTED, or 413 over HTTP/1" },
	[LIMIT_REQUEST_BYTES] = {
		"request-bytes", NULL, "4 times max-message",
		"bytes of unfinished requests on one connection",
		"RESOURCE_EXHAUSTED" },
	[LIMIT_REQUEST_MEMORY] = {
		"request-memory", NULL, "64 KiB, and 16 bytes per byte of the request",
		"memory for one decoded request. Over HTTP/1: 64 MiB",
		"INVALID_ARGUMENT, or 413 over HTTP/1" },
	[LIMIT_LONG_REQUESTS] = {
		"long-requests", NULL, "1024, and 64 MiB or 8 times max-message",
		"requests larger than 4 KiB that wait for a helper thread: their number and size",
		"RESOURCE_EXHAUSTED" },
	[LIMIT_BUDGET] = {
		"budget", NULL, "256 MiB or an eighth of the free memory, but at least 8 times "
		"max-message",
		"total memory for the requests and answers of all clients",
		"RESOURCE_EXHAUSTED, or 429 over HTTP/1" },
	[LIMIT_REPLY] = {
		"reply", NULL, "16 MiB",
		"bytes of one answer",
		"RESOURCE_EXHAUSTED" },
	[LIMIT_LIST] = {
		"list", NULL, "1000",
		"jobs in one answer of List",
		"the answer has only the newest jobs" },

	[LIMIT_QUEUE] = {
		"queue", "max-queue", NULL,
		"jobs that wait for a free slot. One quarter more places are reserved for "
		"clients with few jobs",
		"RESOURCE_EXHAUSTED" },
	[LIMIT_JOB_MEMORY] = {
		"job-memory", "job-memory", NULL,
		"memory for the tokens and texts of all jobs, counted at their maximum length. "
		"The last quarter is reserved for clients that use little",
		"RESOURCE_EXHAUSTED, or INVALID_ARGUMENT if this job alone needs more than the "
		"limit" },
	[LIMIT_CONTEXT] = {
		"context", "ctx-size", NULL,
		"tokens of a prompt. The context must have room for one new token",
		"INVALID_ARGUMENT. Over HTTP/1 the error has the code context_length_exceeded" },
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
		"bytes of one stop string, and of one sequence breaker of DRY",
		"INVALID_ARGUMENT" },
	[LIMIT_STOP_TOKENS] = {
		"stop-tokens", NULL, "64",
		"stop tokens of one job",
		"INVALID_ARGUMENT" },
	[LIMIT_BIASES] = {
		"biases", NULL, "512",
		"biases of tokens of one job",
		"INVALID_ARGUMENT" },
	[LIMIT_TOP_LOGPROBS] = {
		"top-logprobs", NULL, "20",
		"likeliest tokens in the place of each token of a job",
		"INVALID_ARGUMENT" },
	[LIMIT_BREAKERS] = {
		"breakers", NULL, "16",
		"sequence breakers of DRY of one job",
		"INVALID_ARGUMENT" },
	[LIMIT_KEPT_JOBS] = {
		"kept-jobs", "keep-jobs", NULL,
		"ended jobs that the server remembers",
		"the server forgets the oldest job: NOT_FOUND" },
};
