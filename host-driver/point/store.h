// SPDX-License-Identifier: MIT
//
// Where this host keeps what it knows of a machine's restore points: STATE/points/VM.json, written
// anew as a whole, durable, mode 0600.
//
// Threads: any may load; save only under the machine's lock. Errors: kCorrupt for a file that is
// none.
#pragma once

#include <string>

#include "base/result.h"
#include "point/points.h"

namespace holdfast::host::point {

class Store {
 public:
  Store(const std::string& state_directory, const std::string& vm);

  // None if there is no file.
  [[nodiscard]] base::Result<Points> load() const;
  // Makes the directory if need be. Without any point the file goes.
  [[nodiscard]] base::Result<void> save(const Points& points) const;
  // What a writer that was killed left; under the machine's lock.
  void discard_unfinished() const;

 private:
  std::string directory_;
  std::string path_;
};

}  // namespace holdfast::host::point
