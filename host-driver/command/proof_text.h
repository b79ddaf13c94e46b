// SPDX-License-Identifier: MIT
//
// A proof as people read it: in a line, and in the lines of 'show'. It comes from a repository, so
// that every text of it is made printable here.
//
// Threads: plain functions.
#pragma once

#include <string>
#include <vector>

#include "repository/proof.h"

namespace holdfast::host::command {

// "proven: booted in 14.2 s; 2 of 3 resources up and sound; QEMU 7.2.22, tcg"
[[nodiscard]] std::string proof_line(const repository::Proof& proof);

// What follows it in 'show': reasons, notes, resources.
[[nodiscard]] std::vector<std::string> proof_lines(const repository::Proof& proof);

}  // namespace holdfast::host::command
