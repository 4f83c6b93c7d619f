/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_COMPLETION_CHOICE_H
#define STAGECOACH_OPENAI_COMPLETION_CHOICE_H
/* completion_choice - the dialect of /v1/completions. An answer's body is a completion_body. */
#include "openai/answer.h"

extern const struct dialect completion_dialect;

#endif
