/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_GRPC_HEADER_H
#define STAGECOACH_GATEWAY_GRPC_HEADER_H
/*
 * grpc_header - values of gRPC's header fields: content types, timeouts, messages.
 * Source of the formats: "gRPC over HTTP2" of the gRPC project.
 * Thread: any. Allocates nothing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "application/grpc", also "+proto" and with parameters behind ";". */
bool grpc_is_content_type(const char *value, size_t n_bytes);

/* Parses one to eight digits and a unit (H M S m u n), as in "250m". Returns false, and writes
 * nothing, on failure. */
bool grpc_parse_timeout(const char *value, size_t n_bytes, uint64_t *timeout_ns_out);

#define GRPC_TIMEOUT_MAX 16
/* Writes the shortest timeout of at least timeout_ns. text must have GRPC_TIMEOUT_MAX bytes. */
void grpc_format_timeout(uint64_t timeout_ns, char *text);

/* Percent-encodes text for grpc-message: printable ASCII except '%' stays, everything else becomes
 * %XX. Text that does not fit is cut at a whole character. Returns the length; out is
 * NUL-terminated. */
size_t grpc_percent_encode(const char *text, char *out, size_t capacity);

/* The reverse. A '%' that is not followed by two hexadecimal digits is copied. */
size_t grpc_percent_decode(const char *text, size_t n_bytes, char *out, size_t capacity);

#endif
