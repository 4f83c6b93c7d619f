/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_BASE_FILE_TREE_H
#define STAGECOACH_TESTS_BASE_FILE_TREE_H
/* file_tree - a temporary directory that stands for "/": a machine's /proc and /sys as a test wants
 * them. Everything aborts the test when it fails. */

/* Returns its path, which file_tree_remove takes with all that is in it. */
const char *file_tree_create(void);
void file_tree_remove(void);

/* text becomes the content of root + path; folders on the way are made. */
void file_tree_write(const char *path, const char *text);

#endif
