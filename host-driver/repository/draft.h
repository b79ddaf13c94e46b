// SPDX-License-Identifier: MIT
//
// A backup while it is being written: a directory whose name says that it is not one yet. It
// becomes a backup by one rename, after everything in it is on disk; else the destructor removes
// it.
//
// Threads: one at a time. Ownership: owns the directory until it is published.
#pragma once

#include <string>

#include "base/json_codec.h"
#include "base/result.h"

namespace holdfast::host::repository {

class Draft {
 public:
  [[nodiscard]] static base::Result<Draft> create(const std::string& vm_directory,
                                                  const std::string& id);
  Draft(Draft&& other) noexcept;
  Draft& operator=(Draft&&) = delete;
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  ~Draft();

  [[nodiscard]] const std::string& id() const { return id_; }
  // Where files are written to.
  [[nodiscard]] const std::string& directory() const { return directory_; }

  // Writes the manifest, flushes everything, renames. The published directory.
  [[nodiscard]] base::Result<std::string> publish(const base::Json& manifest);
  // Keeps it under a name that says what it is. The new name.
  [[nodiscard]] base::Result<std::string> keep_as_failed(const base::Json& manifest);

 private:
  Draft(std::string vm_directory, std::string id);

  [[nodiscard]] base::Result<std::string> rename_to(const std::string& name,
                                                    const base::Json& manifest);

  std::string vm_directory_;
  std::string id_;
  std::string directory_;
  bool owned_ = true;
};

}  // namespace holdfast::host::repository
