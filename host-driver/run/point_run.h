// SPDX-License-Identifier: MIT
//
// One restore point of one running machine: the same window and the same judgement as of a backup,
// and nothing is copied. Whatever step fails, the guest is thawed and no disk keeps a snapshot, as
// far as the failure itself allows; what is left stands in the store.
//
// The lock of the machine is held as long as the object lives.
//
// Threads: run() on one thread; `stop` ends it at the next safe point.
#pragma once

#include <stop_token>
#include <string>

#include "base/process_runner.h"
#include "image/qemu_img.h"
#include "point/points.h"
#include "point/store.h"
#include "run/machine_run.h"
#include "snapshot/strategy.h"

namespace holdfast::host::run {

class PointRun {
 public:
  // `with_memory`: the machine's memory besides, which inside the images alone is possible.
  PointRun(const config::Settings& settings, std::string label, bool with_memory,
           image::QemuImg& images, Observer& observer, std::stop_token stop);

  // kLocked, kBelowRequired, kCancelled, and what the steps report.
  [[nodiscard]] base::Result<point::Point> run();

 private:
  [[nodiscard]] base::Result<void> make_ready();
  [[nodiscard]] snapshot::StrategyContext context_of(const std::string& id);
  [[nodiscard]] base::Result<void> add_point(const std::string& id);
  [[nodiscard]] base::Result<void> take();
  [[nodiscard]] base::Result<void> check_memory() const;
  [[nodiscard]] base::Result<void> take_inside();
  [[nodiscard]] base::Result<void> take_beside();
  [[nodiscard]] base::Result<void> take_subvolumes();
  [[nodiscard]] base::Error undo(base::Error error);

  const config::Settings& settings_;
  std::string label_;
  bool with_memory_;
  image::QemuImg& images_;
  Observer& observer_;
  std::stop_token stop_;
  MachineRun machine_;
  point::Store store_;
  point::Points points_;
};

}  // namespace holdfast::host::run
