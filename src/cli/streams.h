/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_STREAMS_H
#define STAGECOACH_CLI_STREAMS_H
/* streams - the three standard streams of a program. Thread: main, first thing. */

/* A program may be started with some of them closed. The next file or socket would get the free
 * number, and our text would go into it. Takes the free ones; reading or writing them fails, as
 * it does with closed ones. */
void streams_reserve(void);

#endif
