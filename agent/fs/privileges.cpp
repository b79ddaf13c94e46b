// SPDX-License-Identifier: MIT
#include "fs/privileges.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

namespace holdfast::fs {

namespace {

constexpr std::uint32_t bit(int capability) {
  return 1U << static_cast<unsigned>(capability);
}

// Both are below 32: the second word of the set is empty.
constexpr std::uint32_t kNeeded = bit(CAP_SYS_ADMIN) | bit(CAP_DAC_READ_SEARCH);
static_assert(CAP_SYS_ADMIN < 32 && CAP_DAC_READ_SEARCH < 32);

}  // namespace

base::Result<void> drop_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return base::errno_error(errno, "unable to renounce new privileges");
  }
  // Needs CAP_SETPCAP; where the unit has taken that already, the set is bounded there.
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    if (capability == CAP_SYS_ADMIN || capability == CAP_DAC_READ_SEARCH) continue;
    (void)::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) {
    return base::errno_error(errno, "unable to read the capabilities");
  }
  const std::uint32_t kept = sets[0].permitted & kNeeded;
  sets[0] = {kept, kept, 0};
  sets[1] = {0, 0, 0};
  if (::syscall(SYS_capset, &header, sets.data()) != 0) {
    return base::errno_error(errno, "unable to give up capabilities");
  }
  return {};
}

}  // namespace holdfast::fs
