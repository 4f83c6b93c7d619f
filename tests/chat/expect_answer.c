/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/chat/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

void expect_answer(const struct answer *answer)
{
	for (int with_control = 0; with_control < 2; with_control++) {
		const char *expected = with_control && answer->expected_control
				       ? answer->expected_control : answer->expected;

		for (uint64_t pieces = 0; pieces < 20; pieces++) {
			struct buf found = read_answer(answer, pieces, with_control);

			if (strcmp(found.data, expected))
				fail_msg("%s, pieces %u, %s: expected\n%s\nfound\n%s",
					 answer->output, (unsigned)pieces,
					 with_control ? "control tokens" : "text", expected,
					 found.data);
			buf_deinit(&found);
		}
	}
}
