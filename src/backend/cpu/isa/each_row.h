/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_EACH_ROW_H
#define STAGECOACH_BACKEND_CPU_ISA_EACH_ROW_H
/* each_row - generates one function for each number of rows of a tile (NAME_1 and so on), and their
 * table entries. */

/* DO(ARGUMENTS, 1) DO(ARGUMENTS, 2) and so on. */
#define EACH_ROW_4(DO, ...)								\
	DO(__VA_ARGS__, 1) DO(__VA_ARGS__, 2) DO(__VA_ARGS__, 3) DO(__VA_ARGS__, 4)
#define EACH_ROW_6(DO, ...)								\
	EACH_ROW_4(DO, __VA_ARGS__)							\
	DO(__VA_ARGS__, 5) DO(__VA_ARGS__, 6)
#define EACH_ROW_12(DO, ...)								\
	EACH_ROW_6(DO, __VA_ARGS__)							\
	DO(__VA_ARGS__, 7) DO(__VA_ARGS__, 8) DO(__VA_ARGS__, 9)			\
	DO(__VA_ARGS__, 10) DO(__VA_ARGS__, 11) DO(__VA_ARGS__, 12)
#define EACH_ROW_24(DO, ...)								\
	EACH_ROW_12(DO, __VA_ARGS__)							\
	DO(__VA_ARGS__, 13) DO(__VA_ARGS__, 14) DO(__VA_ARGS__, 15) DO(__VA_ARGS__, 16)	\
	DO(__VA_ARGS__, 17) DO(__VA_ARGS__, 18) DO(__VA_ARGS__, 19) DO(__VA_ARGS__, 20)	\
	DO(__VA_ARGS__, 21) DO(__VA_ARGS__, 22) DO(__VA_ARGS__, 23) DO(__VA_ARGS__, 24)

#define ROW_ENTRY(name, r) name##_##r,
#define GEMM_ROWS_4(name) { EACH_ROW_4(ROW_ENTRY, name) }
#define GEMM_ROWS_6(name) { EACH_ROW_6(ROW_ENTRY, name) }
#define GEMM_ROWS_12(name) { EACH_ROW_12(ROW_ENTRY, name) }
#define GEMM_ROWS_24(name) { EACH_ROW_24(ROW_ENTRY, name) }

#endif
