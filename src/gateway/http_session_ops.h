/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_HTTP_SESSION_OPS_H
#define STAGECOACH_GATEWAY_HTTP_SESSION_OPS_H
/* http_session_ops - the functions of http/http_session.h as those of a session. */
#include "gateway/session.h"

extern const struct session_ops http_session_ops;

#endif
