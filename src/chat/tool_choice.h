/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CHAT_TOOL_CHOICE_H
#define STAGECOACH_CHAT_TOOL_CHOICE_H
/*
 * tool_choice - makes a model call a tool: the answer's beginning is written into the prompt, up to
 * the tool's name (required) or behind it (named, or required with a single tool). Private to chat.
 * Thread: any.
 */
#include "base/buf.h"
#include "base/error.h"

struct chat_format;
struct chat_request;

/* Adds nothing unless the request asks for a call. SC_E_UNSUPPORTED: the family's calls begin with
 * the name itself, and the request has several tools. */
must_check enum sc_status tool_choice_prefill(const struct chat_format *format,
					      const struct chat_request *request,
					      struct buf *text, struct error *err);

#endif
