// SPDX-License-Identifier: MIT
//
// A database that takes numbered rows, one commit each.
//
// Rows are numbered from 1 without a gap, and each is begun only after the one before it was
// acknowledged. A copy of the database is therefore right if and only if it holds the rows 1 to k
// for a k between two bounds that the log gives: the last row acknowledged before the lock, and the
// last row begun before it. `digest` is the MD5 of the number, so that a torn row shows itself.
//
// Threads: one.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace holdfast::tools {

class Commits {
 public:
  Commits() = default;
  Commits(const Commits&) = delete;
  Commits& operator=(const Commits&) = delete;
  virtual ~Commits() = default;

  // Connects, makes the tables if they are missing, and answers the highest number in them.
  [[nodiscard]] virtual base::Result<std::uint64_t> open() = 0;
  // Inserts row `number` and commits; success means that the server has acknowledged it. Blocks
  // for as long as the server does.
  [[nodiscard]] virtual base::Result<void> commit(std::uint64_t number) = 0;
};

}  // namespace holdfast::tools
