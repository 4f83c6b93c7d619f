/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_BASE_HUNG_CONSOLE_H
#define STAGECOACH_TESTS_BASE_HUNG_CONSOLE_H
/* hung_console - for child processes of tests: a console in which a thread hangs. */

/* From now on standard error takes nothing, and a thread hangs in a write to it. Aborts where that
 * cannot be had. */
void hang_console(void);

#endif
