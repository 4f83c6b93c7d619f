/* SPDX-License-Identifier: Apache-2.0 */
/* write_folder NAME FOLDER - write the small model NAME of tests/data/families as a folder of Hugging
 * Face. */
#include "tests/stage/family.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static char **arguments;

static void write_folder(void **state)
{
	char path[FAMILY_PATH];

	(void)state;
	family_folder_make(arguments[1], path);
	if (rename(path, arguments[2]))
		fail_msg("%s: cannot move it to %s", path, arguments[2]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(write_folder) };

	if (argc != 3) {
		fprintf(stderr, "usage: write_folder NAME FOLDER\n");
		return 64;
	}
	arguments = argv;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
