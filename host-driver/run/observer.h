// SPDX-License-Identifier: MIT
//
// Who watches a run: the command line with its progress bar, or a test.
//
// Threads: called on the thread of the run, never between freeze and thaw.
#pragma once

#include <string>

namespace holdfast::host::run {

class Observer {
 public:
  Observer() = default;
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;
  virtual ~Observer() = default;

  // A step begins: "preflight", "freeze", "copy".
  virtual void step(const std::string& name) = 0;
  virtual void progress(const std::string& label, double percent) = 0;
  // Something that the administrator should know, though the run goes on.
  virtual void note(const std::string& text) = 0;
};

}  // namespace holdfast::host::run
