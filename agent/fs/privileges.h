// SPDX-License-Identifier: MIT
//
// Gives away every capability but the two that holdfast-fsd needs: CAP_SYS_ADMIN for FITHAW, and
// CAP_DAC_READ_SEARCH to open mount points that its user may not read. By system call, without
// libcap: this program is small enough to be read in one sitting, and links nothing else.
#pragma once

#include "base/result.h"

namespace holdfast::fs {

// What is not there already is not asked for. After this no exec can gain any privilege.
[[nodiscard]] base::Result<void> drop_privileges();

}  // namespace holdfast::fs
