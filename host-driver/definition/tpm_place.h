// SPDX-License-Identifier: MIT
//
// Where the state of an emulated TPM is kept.
//
// Threads: plain values.
#pragma once

#include <string>

namespace holdfast::host::definition {

struct TpmPlace {
  std::string engine;  // "swtpm"
  std::string found_by;
  std::string directory = {};
  // The one file that it is kept in (backend-uri=file://); empty: those that swtpm names itself.
  std::string file = {};
  // It is encrypted, with a key that is kept elsewhere.
  bool encrypted = false;
};

}  // namespace holdfast::host::definition
