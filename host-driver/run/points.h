// SPDX-License-Identifier: MIT
//
// What is done with restore points that are there, whether the machine runs or not.
//
// Threads: one at a time. Errors: kUnsupported for a machine of libvirt's, kLocked, kBusy for one
// with an interrupted run, kRefused.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "config/settings.h"
#include "image/qemu_img.h"
#include "point/points.h"
#include "point/store.h"
#include "qmp/block_graph.h"
#include "qmp/client.h"
#include "repository/lock.h"
#include "run/wake_guest.h"
#include "snapshot/point_images.h"

namespace holdfast::host::run {

[[nodiscard]] point::Store points_of(const config::Settings& settings);

// Finishes or undoes what an interrupted command left, under the machine's lock; one line for each
// thing done. `monitor` null: the machine is off. kRefused if disks may be of two times, and the
// machine was started like that.
[[nodiscard]] base::Result<std::vector<std::string>> finish_points(const config::Settings& settings,
                                                                   image::QemuImg& images,
                                                                   qmp::Client* monitor);

// Of a machine that is off: the journal of a command that was taking a point by its subvolumes
// goes, since the store says of everything in it that it is to go. True if it was one.
[[nodiscard]] base::Result<bool> leave_journal_to_points(const config::Settings& settings);

[[nodiscard]] std::set<std::string> open_images_of(const qmp::BlockGraph& graph);

// A machine's monitor, if it runs: who has no socket, or one on which nobody listens, is off.
[[nodiscard]] base::Result<std::optional<qmp::Client>> monitor_if_running(
    const config::Settings& settings, const std::stop_token& stop);

class Points {
 public:
  // Locked, reached if it runs, and whole; `done` tells what that took.
  [[nodiscard]] static base::Result<std::unique_ptr<Points>> open(const config::Settings& settings,
                                                                  image::QemuImg& images,
                                                                  const std::stop_token& stop);
  Points(const Points&) = delete;
  Points& operator=(const Points&) = delete;

  [[nodiscard]] const std::vector<std::string>& done() const { return done_; }
  [[nodiscard]] const point::Points& points() const { return points_; }
  [[nodiscard]] bool runs() const { return monitor_.has_value(); }

  // The qcow2 images that the machine has open; none if it is off.
  [[nodiscard]] const std::set<std::string>& open_images() const { return open_images_; }

  // From all its disks; what stands on it stays.
  [[nodiscard]] base::Result<void> remove(const std::string& id);
  // A snapshot that no point has made, from these images.
  [[nodiscard]] base::Result<void> remove_foreign(const std::string& name,
                                                  const std::vector<std::string>& paths);

  // All disks of the point as they were, or none; the machine is off. What was there is kept as a
  // point, whose id is returned, unless it is to be discarded: then none.
  [[nodiscard]] base::Result<std::string> revert(const std::string& id, bool discard);

  // Disks and memory of the point, in the QEMU that runs: the machine goes on where it was then, or
  // else where it is. What was there is kept likewise. kUnsupported for a point without memory.
  struct Resumed {
    std::string saved;
    Woken woken;
  };
  [[nodiscard]] base::Result<Resumed> resume(const std::string& id, bool discard);

  // The machine's images rest on nothing, neither on points nor on anything else; all points stay.
  // The images' paths. kUnsupported for one with snapshots inside, whose content is below it too.
  [[nodiscard]] base::Result<std::vector<std::string>> flatten();

 private:
  Points(const config::Settings& settings, image::QemuImg& images, repository::Lock lock);

  [[nodiscard]] base::Result<void> reach(const std::stop_token& stop);
  // For the points as they are now.
  [[nodiscard]] base::Result<std::unique_ptr<snapshot::PointImages>> make_disks();
  [[nodiscard]] base::Result<void> check_revert(const point::Point& target);
  [[nodiscard]] base::Result<void> check_below(const point::Point& target);
  [[nodiscard]] base::Result<void> check_resume(const point::Point& target,
                                                const qmp::BlockGraph& graph);
  [[nodiscard]] base::Result<point::Point> present_point(const point::Point& target);
  [[nodiscard]] base::Result<void> save_present(const point::Point& target);
  [[nodiscard]] base::Result<void> save_running_present(const point::Point& target,
                                                        const qmp::BlockGraph& graph);
  [[nodiscard]] base::Result<void> begin_resumption(const point::Point& target,
                                                    const qmp::BlockGraph& graph);
  [[nodiscard]] base::Error give_up(base::Error error);
  [[nodiscard]] base::Error after_failed_apply(base::Error error);
  [[nodiscard]] base::Result<void> save() const { return store_.save(points_); }

  const config::Settings& settings_;
  image::QemuImg& images_;
  repository::Lock lock_;
  point::Store store_;
  std::optional<qmp::Client> monitor_;
  std::set<std::string> open_images_;
  // Those on top of the disks; of a machine that is off, those of its newest point.
  std::set<std::string> top_images_;
  point::Points points_;
  std::vector<std::string> done_;
};

}  // namespace holdfast::host::run
