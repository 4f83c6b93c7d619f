/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CHAT_TEMPLATE_H
#define STAGECOACH_CLI_CHAT_TEMPLATE_H
/*
 * chat_template - the chat format of a model file, or of the template that the setting chat_template
 * names.
 * Thread: any; blocks while a file is read.
 */
#include "chat/chat.h"
#include "config/config.h"
#include "engine/engine.h"

/* Borrows opened until chat_format_destroy. A model without a template is no failure: see
 * chat_format_create. SC_E_NOT_FOUND, SC_E_IO, SC_E_CONFIG: the setting's file, or a template in it
 * that is faulty. SC_E_NOMEM. */
must_check enum sc_status chat_template_open(const struct config *config,
					     const struct opened_model *opened,
					     struct chat_format **format_out, struct error *err);

#endif
