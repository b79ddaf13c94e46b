// SPDX-License-Identifier: MIT
#include "bridge/writer.h"

#include <unistd.h>

#include <string_view>

#include "base/uninterrupted.h"

namespace holdfast::host::libvirt {

void Writer::line(const std::string& text) {
  const std::lock_guard lock(mutex_);
  const std::string whole = text + "\n";
  std::string_view rest = whole;
  while (!rest.empty()) {
    const ssize_t count =
        base::uninterrupted([&] { return ::write(fd_, rest.data(), rest.size()); });
    if (count <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace holdfast::host::libvirt
