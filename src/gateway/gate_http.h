/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_GATE_HTTP_H
#define STAGECOACH_GATEWAY_GATE_HTTP_H
/*
 * gate_http - the gate in front of HTTP/1 requests: Host and Origin (origin.h), then the key.
 * - 403: Host is not of this machine, on a loopback address; or a web page of another site sends
 *   what its browser asks no permission for.
 * - 204: the answer to a preflight of an allowed origin. The answers that such a page gets let its
 *   browser show them to it.
 * - 401 and 429: the key, as gate.h has it. Public routes and OPTIONS need none.
 * Thread: the loop's thread only.
 */
#include "gateway/gate.h"
#include "http/http_session.h"

/* For http_session_config. Borrows gate. */
struct http_gate gate_http(struct gate *gate);

#endif
