/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_HISTORY_PATH_H
#define STAGECOACH_CLI_HISTORY_PATH_H
/* history_path - where `stagecoach chat` keeps the lines that were typed. Thread: the main thread. */

/* $XDG_STATE_HOME/stagecoach/chat_history, or the same in ~/.local/state. Makes the directories, for
 * the owner alone. NULL: there is no such place. Caller frees. */
char *history_path(void);

#endif
