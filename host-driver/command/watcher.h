// SPDX-License-Identifier: MIT
//
// Who watches the run of one machine on this process's own terminal: a progress bar, and notes that
// begin with the machine's name.
//
// Threads: one at a time.
#pragma once

#include <string>
#include <utility>

#include "command/commands.h"
#include "run/observer.h"
#include "ui/progress_bar.h"

namespace holdfast::host::command {

class Watcher final : public run::Observer {
 public:
  Watcher(std::string vm, bool quiet)
      : vm_(std::move(vm)), quiet_(quiet), bar_(!quiet && ui::terminal_attached()) {}

  void step(const std::string& name) override { bar_.step(vm_ + ": " + name); }
  void progress(const std::string& label, double percent) override {
    bar_.update(vm_ + ": " + label, percent);
  }
  void note(const std::string& text) override {
    if (quiet_) return;
    bar_.clear();
    say(vm_ + ": " + text);
  }
  void end() { bar_.clear(); }

 private:
  std::string vm_;
  bool quiet_;
  ui::ProgressBar bar_;
};

}  // namespace holdfast::host::command
