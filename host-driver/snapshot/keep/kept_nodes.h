// SPDX-License-Identifier: MIT
//
// The images of one machine that runs, and of its points, as its QEMU has them open.
//
// QEMU opens an image again by name whenever it goes from read-only to writable or back, so that a
// name must mean what it meant. Locks are no net under a name that does not.
//
// Threads: one at a time. Ownership: borrows the monitor. Errors: as qmp::Client and
// KeptJobs.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "qmp/block_graph.h"
#include "qmp/client.h"
#include "snapshot/keep/kept_files.h"
#include "snapshot/keep/kept_jobs.h"

namespace holdfast::host::snapshot {

// Of the nodes that stay, unlike those of a run (names.h).
inline constexpr std::string_view kKeptNodePrefix = "hfpoint-";

// Does `work` while the machine stands still, and lets it go on if it ran, whatever becomes of us.
using Standstill =
    std::function<base::Result<void>(const std::function<base::Result<void>()>& work)>;

class KeptNodes {
 public:
  KeptNodes(qmp::Client& monitor, base::Millis patience, std::stop_token stop)
      : monitor_(monitor), jobs_(monitor, patience, std::move(stop)) {}

  struct Chain {
    std::string top;  // the node
    std::vector<qmp::ImageLayer> layers;

    [[nodiscard]] bool empty() const { return layers.empty(); }
    // Has it this file, by whatever name?
    [[nodiscard]] bool has(const std::string& path) const;
  };
  // Of the disk whose image it is; empty: no disk's.
  [[nodiscard]] base::Result<Chain> chain_of(const std::string& image);
  // By which QEMU knows any file, whether a disk needs it or not.
  [[nodiscard]] base::Result<std::set<std::string>> names_in_use();

  // An empty overlay, not yet on a disk: `node` and the node of its file. Caching, and what is done
  // about zeroes, as the disk has it.
  [[nodiscard]] base::Result<void> attach(const std::string& node, const std::string& path,
                                          const std::string& disk_node);
  // What is below this overlay of ours is opened anew, by the name that it has now.
  [[nodiscard]] base::Result<void> renew_below(const std::string& node, const std::string& below);
  // Lets go of what no disk needs of this image and its points.
  [[nodiscard]] base::Result<void> release(const std::string& image);

  // The top takes over what lies between it and `below`, and rests on that; empty: on nothing.
  [[nodiscard]] base::Result<void> stream(const Chain& chain, const KeptFile& below);
  // What `upper` holds goes into `lower`, right below it, which takes its place, by its name.
  [[nodiscard]] base::Result<void> commit(const Chain& chain, const std::string& upper,
                                          const std::string& lower);
  // What the top holds goes into `lower`, right below it, while the guest writes on; then, while
  // the machine stands still, that is the top, and `name_it` may give it the name. What was the top
  // holds all that the guest has written until then.
  [[nodiscard]] base::Result<void> commit_top(const Chain& chain, const std::string& lower,
                                              const Standstill& standstill,
                                              const std::function<base::Result<void>()>& name_it);
  // What an interrupted command began; a commit of the top is given up.
  [[nodiscard]] base::Result<void> finish_job() { return jobs_.finish(); }

 private:
  [[nodiscard]] base::Deadline time() const;
  [[nodiscard]] base::Result<base::Json> options_of(const std::string& node);
  [[nodiscard]] base::Result<std::vector<std::string>> nodes_of(const std::string& path);

  qmp::Client& monitor_;
  KeptJobs jobs_;
};

}  // namespace holdfast::host::snapshot
