// SPDX-License-Identifier: MIT
//
// What is a secret, or is called like one, taken out of a command line or of QEMU's account of
// itself before it is written anywhere: a backup is read by more people than a machine's start
// script.
//
//   -object secret,data=             the value (of `data` in any object)
//   whatever has password, passphrase, secret, token, cookie, credential, api-key or private-key in
//   its name, or ends with "pass", in any option or JSON object, however deeply
//                                    not password=on, which is a switch, and not
//                                    password-secret=, which is the name of an object
//   -fw_cfg string=, -smbios value=  what a guest is given to configure itself by
//   -append                          what is called so; iscsi:user:password@host
//   scheme://user:password@host      the part before '@'; of ssh only with a password
//   http://…?…                       what follows the '?', such as a signature
//   rbd:…:key=                       the key
//
// An option whose JSON cannot be read is taken out as a whole. Files that the command line names
// are not looked at.
//
// Threads: plain functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_codec.h"
#include "definition/command_line.h"

namespace holdfast::host::definition {

inline constexpr std::string_view kRedacted = "<redacted>";

struct Redaction {
  std::size_t word = 0;  // counted from 0
  std::string what;      // "data of -object"
};

struct RedactedWords {
  Words words;
  std::vector<Redaction> redactions;
};

[[nodiscard]] RedactedWords redact(const Words& words);

// The same for a JSON document. Were any?
bool redact(base::Json& document);

}  // namespace holdfast::host::definition
