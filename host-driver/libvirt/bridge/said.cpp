// SPDX-License-Identifier: MIT
#include "bridge/said.h"

#include <libvirt/virterror.h>

#include "base/text.h"

namespace holdfast::host::libvirt {

using base::Error;
using base::ErrorCode;
using base::Result;

std::string last_words() {
  const char* const text = virGetLastErrorMessage();
  return base::printable(base::trimmed(text == nullptr ? "no reason given" : text));
}

Error refused() {
  return {ErrorCode::kRefused, last_words()};
}

Result<std::string> taken(char* text) {
  if (text == nullptr) return refused();
  const Text owned(text);
  return std::string(owned.get());
}

}  // namespace holdfast::host::libvirt
