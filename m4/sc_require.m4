dnl SPDX-License-Identifier: Apache-2.0
dnl SC_REQUIRE(PREFIX, PKG-CONFIG MODULES, DEBIAN PACKAGE): a library that must be there.
AC_DEFUN([SC_REQUIRE], [
	PKG_CHECK_MODULES([$1], [$2], [],
		[AC_MSG_ERROR([$2 not found: install the Debian package $3])])
])
