// SPDX-License-Identifier: MIT
//
// A machine made of files, for the doctor: one on which all is well, to be spoilt by a test.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "doctor/doctor.h"
#include "doctor/guest_agent.h"
#include "support/temporary_directory.h"

namespace holdfast::doctor {

class DoctorTest : public ::testing::Test {
 protected:
  DoctorTest();

  void write(const std::string& path, const std::string& text, mode_t mode = 0644);
  void link(const std::string& path, const std::string& target);
  void directory(const std::string& path, mode_t mode = 0755);
  void remove(const std::string& path);
  void process(int pid, const std::string& name, const std::vector<std::string>& arguments,
               const std::string& capabilities = "0000000000000000");
  // Lines beyond those of a machine with one disk.
  void mounts(const std::string& more);

  [[nodiscard]] Diagnosis examine();
  // "problem hook-not-run" of everything that is not ok.
  [[nodiscard]] std::vector<std::string> complaints();
  // The finding's text and advice; empty if there is none of that id.
  [[nodiscard]] std::string text_of(const std::string& id);

  support::TemporaryDirectory directory_;
  std::string root_ = directory_.file("root");
  World world_{root_};
  base::Result<base::Json> status_ = base::Json::object();
  std::string version_ = "QEMU Guest Agent 7.2.19\n";
  bool as_root_ = true;
};

using Complaints = std::vector<std::string>;

}  // namespace holdfast::doctor
