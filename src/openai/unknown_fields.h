/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_UNKNOWN_FIELDS_H
#define STAGECOACH_OPENAI_UNKNOWN_FIELDS_H
/* unknown_fields - one warning in the log for each name of a field that requests have and this
 * server does not know. Thread: the loop's. */
struct generation;

void unknown_fields_warn(const struct generation *generation);

#endif
