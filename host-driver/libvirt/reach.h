// SPDX-License-Identifier: MIT
//
// Libvirt gives QEMU the targets of a backup as paths, and QEMU most often runs as a user of its
// own: while it writes, the files are that user's, and the directories above them must let it
// through. Reading, and listing directories, stays with us.
//
// Threads: plain functions. Errors: kPermission with the directory; kIo.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace holdfast::host::libvirt {

struct Owner {
  uid_t user = 0;
  gid_t group = 0;
};

// Whom the image of a running machine belongs to: QEMU has it open.
[[nodiscard]] base::Result<Owner> owner_of(const std::string& image);

// Lets this owner through the draft and the machine's directory above it, which are ours, and finds
// out whether he gets there. (Only root can find that out.)
[[nodiscard]] base::Result<void> let_through(const std::string& directory, const Owner& owner);
[[nodiscard]] base::Result<void> lend(const std::string& path, const Owner& owner);
// Ours again, and nobody else's, whoever it belonged to meanwhile.
[[nodiscard]] base::Result<void> take_back(const std::string& path);

}  // namespace holdfast::host::libvirt
