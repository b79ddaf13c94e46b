// SPDX-License-Identifier: MIT
//
// May root run this file? Only if nobody but root could have put it there: the file, every
// directory on the way to it, and every symbolic link and its target's way belong to root (or to
// the user we run as, which is root in production) and cannot be written by anybody else.
//
// A directory with the sticky bit, such as /tmp, may be writable: nobody else can replace in it
// what is ours. Access control lists show in the group bits of the mode (acl(5)), so they are
// covered.
//
// Threads: any. Blocks on local file systems only.
#pragma once

#include <string>

#include "base/result.h"

namespace holdfast::exec {

// kPermission names the component that is not trusted; kNotFound if it does not exist.
[[nodiscard]] base::Result<void> require_trusted(const std::string& absolute_path);

}  // namespace holdfast::exec
