/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_CHAT_CHOICE_H
#define STAGECOACH_OPENAI_CHAT_CHOICE_H
/* chat_choice - the dialect of /v1/chat/completions. An answer's body is a chat_body. */
#include "openai/answer.h"

extern const struct dialect chat_dialect;

#endif
