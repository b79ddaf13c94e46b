// SPDX-License-Identifier: MIT
//
// A directory of scripts that write down what they were told: what the tests of plugin exec share.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/process_runner.h"
#include "exec/exec_settings.h"
#include "exec/executor.h"

namespace holdfast::exec {

class ExecFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    // Not writable by others, whatever the caller's umask: root is to run what is in here.
    (void)::umask(022);
    std::string pattern =
        (std::filesystem::temp_directory_path() / "holdfast-exec.XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    std::filesystem::create_directory(path("programs"));
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  [[nodiscard]] std::string path(const std::string& name) const { return root_ + "/" + name; }

  std::string write(const std::string& name, const std::string& text, mode_t mode) const {
    const std::string file = path(name);
    std::ofstream(file) << text;
    EXPECT_EQ(::chmod(file.c_str(), mode), 0);
    return file;
  }

  // A script that writes "NAME VERB" into the journal, and then does `body`.
  std::string script(const std::string& name, const std::string& body = "") const {
    const std::string label = std::filesystem::path(name).filename().string();
    return write(name,
                 "#!/bin/sh\necho \"" + label + " $HOLDFAST_VERB\" >>" + path("journal") + "\n" +
                     body + "\n",
                 0755);
  }

  [[nodiscard]] std::vector<std::string> journal() const {
    std::vector<std::string> lines;
    std::ifstream file(path("journal"));
    for (std::string line; std::getline(file, line);)
      lines.push_back(line);
    return lines;
  }

  [[nodiscard]] ExecSettings program(const std::string& file) const {
    ExecSettings settings;
    settings.program = file;
    settings.timeout = std::chrono::seconds(10);
    return settings;
  }
  [[nodiscard]] ExecSettings directory() const {
    ExecSettings settings;
    settings.directory = path("programs");
    settings.timeout = std::chrono::seconds(10);
    return settings;
  }

  [[nodiscard]] static Call call(base::Millis time = std::chrono::seconds(10),
                                 const std::string& window = "w-1") {
    return Call{.window = window, .deadline = base::Deadline::in(time), .stop = {}};
  }

  std::string root_;
  base::SystemProcessRunner processes_;
};

using Lines = std::vector<std::string>;

}  // namespace holdfast::exec
