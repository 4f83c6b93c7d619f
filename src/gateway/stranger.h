/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_STRANGER_H
#define STAGECOACH_GATEWAY_STRANGER_H
/*
 * stranger - what a client is told that speaks TLS where there is none, or does not where there is.
 * It is told in a form that it may understand.
 * Thread: any.
 */
#include "base/buf.h"
#include "gateway/first_bytes.h"

#include <stdbool.h>

/* Appends the answer to a client that speaks speaks; has_tls: this port does. Other clients than
 * those above are told nothing. The connection is to be closed after it. SC_E_NOMEM. */
must_check enum sc_status stranger_answer(enum speaks speaks, bool has_tls, struct buf *answer);

#endif
