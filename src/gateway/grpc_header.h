/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_GRPC_HEADER_H
#define STAGECOACH_GATEWAY_GRPC_HEADER_H
/*
 * grpc_header - values of gRPC's header fields: content types, timeouts, messages.
 * Source of the formats: "gRPC over HTTP2" of the gRPC project.
 * Thread: any. Nothing allocates.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "application/grpc", also "+proto" and with parameters behind ";". */
bool grpc_is_content_type(const char *value, size_t n_bytes);

/* One to eight digits and a unit (H M S m u n), as in "250m". No output on failure. */
bool grpc_parse_timeout(const char *value, size_t n_bytes, uint64_t *timeout_ns_out);

#define GRPC_TIMEOUT_MAX 16
/* The shortest way to write at least timeout_ns; text has room for GRPC_TIMEOUT_MAX. */
void grpc_format_timeout(uint64_t timeout_ns, char *text);

/* Percent-encode text for grpc-message: printable ASCII but '%' stays, all else becomes %XX.
 * What does not fit is cut at a whole character. Returns the length; out is NUL-terminated. */
size_t grpc_percent_encode(const char *text, char *out, size_t capacity);

/* The reverse; a '%' that is not followed by two hexadecimal digits stands for itself. */
size_t grpc_percent_decode(const char *text, size_t n_bytes, char *out, size_t capacity);

#endif
