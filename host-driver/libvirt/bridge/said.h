// SPDX-License-Identifier: MIT
//
// What libvirt says, as this program passes it on: one line, printable, its memory given back.
//
// Threads: libvirt keeps an error per thread; ask on the one that made the call.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>

#include "base/result.h"

namespace holdfast::host::libvirt {

struct Freed {
  void operator()(char* text) const { std::free(text); }  // libvirt's strings are malloc's
};
using Text = std::unique_ptr<char, Freed>;

// Of the call that failed last.
[[nodiscard]] std::string last_words();
// kRefused with these.
[[nodiscard]] base::Error refused();
// Takes over what a call has returned; null: it failed.
[[nodiscard]] base::Result<std::string> taken(char* text);

}  // namespace holdfast::host::libvirt
