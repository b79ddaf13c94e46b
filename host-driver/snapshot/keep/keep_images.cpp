// SPDX-License-Identifier: MIT
#include "snapshot/keep/keep_images.h"

#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "image/point_file.h"
#include "repository/paths.h"
#include "snapshot/overlay_files.h"

namespace holdfast::host::snapshot {

using base::Error;
using base::ErrorCode;
using base::Result;
using image::is_same_file;
using image::point_file;
using image::QemuImg;
using image::top_file;

namespace {

bool is_there(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

Error about(const std::string& doing, const std::string& path, Error cause) {
  const ErrorCode code = cause.code();
  return Error(code, "unable to " + doing + " " + base::in_quotes(path))
      .with_hint("does a program have it open, the machine perhaps, by another monitor socket?")
      .caused_by(std::move(cause));
}

}  // namespace

KeepImages::KeepImages(QemuImg& images, base::Millis patience, qmp::Client* monitor,
                       Standstill standstill, std::set<std::string> ids, std::stop_token stop)
    : images_(images),
      patience_(patience),
      standstill_(std::move(standstill)),
      ids_(std::move(ids)),
      stop_(std::move(stop)) {
  if (monitor != nullptr) nodes_.emplace(*monitor, patience_, stop_);
}

Result<KeptNodes::Chain> KeepImages::chain_of(const std::string& path) {
  return nodes_ ? nodes_->chain_of(path) : Result<KeptNodes::Chain>(KeptNodes::Chain{});
}

Result<bool> KeepImages::tidy_names(const std::string& path) {
  return tidy(files_of(path));
}

Result<bool> KeepImages::tidy(const KeptFiles& files) {
  std::set<std::string> in_use;
  if (nodes_) {
    if (auto released = nodes_->release(files.image()); !released) return released;
    auto names = nodes_->names_in_use();
    if (!names) return std::move(names).error();
    in_use = std::move(*names);
  }
  return files.tidy(in_use);
}

// The image's name is that of another file from now on, and what had it goes, by all its names.
Result<void> KeepImages::rename_to(const KeptFiles& files, const std::string& path) {
  if (auto tidied = tidy(files); !tidied) return std::move(tidied).error();
  return files.give_name(path, files.image());
}

// What the machine writes to is the present.
Result<void> KeepImages::name_present(const KeptFiles& files) {
  const auto chain = chain_of(files.image());
  if (!chain) return chain.error();
  if (chain->empty() || is_same_file(chain->layers.front().path, files.image())) return {};
  return rename_to(files, chain->layers.front().path);
}

// The overlay of an instant whose command was interrupted, and which never came onto the disk.
Result<void> KeepImages::settle_top(const KeptFiles& files, const std::string& id) {
  const std::string& path = files.image();
  const std::string top = top_file(path, id);
  if (!is_there(top) || is_same_file(top, path)) return {};
  const auto chain = chain_of(path);
  if (!chain) return chain.error();
  // An overlay that another one has replaced since is one more name of a point.
  if (!is_same_file(path, point_file(path, id))) return {};
  if (nodes_) {
    if (auto released = nodes_->release(path); !released) return released;
  }
  if (images_.is_untouched(top, time()).value_or(false)) return drop_file(top);
  if (chain->empty()) return files.give_name(top, path);
  return Error(ErrorCode::kRefused, "the overlay " + base::in_quotes(top) +
                                        " of an interrupted command is not attached any more")
      .with_hint(
          "the machine was started again without it, and it holds what the guest wrote last: "
          "put it away, or remove it");
}

// Right after an instant QEMU knows what is below the overlay by the name that the overlay has now.
Result<void> KeepImages::renew_top(const std::string& path) {
  const auto chain = chain_of(path);
  if (!chain) return chain.error();
  if (chain->layers.size() < 2) return {};
  if (!is_same_file(chain->layers[1].path, chain->layers[0].path)) return {};
  const auto present = read_kept(path);
  if (!present) return present.error();
  if (auto released = nodes_->release(path); !released) return released;
  return nodes_->renew_below(chain->top, present->below);
}

Result<void> KeepImages::make_whole(const std::string& path) {
  if (nodes_) {
    // One that failed has changed nothing, and is begun anew.
    auto finished = nodes_->finish_job();
    if (!finished && finished.error().code() != ErrorCode::kIo) return finished;
  }
  const KeptFiles files = files_of(path);
  if (auto named = name_present(files); !named) return named;
  for (const std::string& id : ids_) {
    if (auto settled = settle_top(files, id); !settled) return settled;
  }
  if (auto renewed = renew_top(path); !renewed) return renewed;
  if (auto tidied = tidy(files); !tidied) return std::move(tidied).error();
  return {};
}

Result<void> KeepImages::take_over(const KeptFile& upper, const KeptFile& lower) {
  auto done = images_.rebase(upper.path, lower.below, lower.below_format, time(), stop_);
  if (!done) return about("merge a point into", upper.path, std::move(done).error());
  return repository::flush_file(upper.path);
}

Result<void> KeepImages::merge_live(const KeptFiles& files, const KeptFile& lower,
                                    const KeptFile& upper, const KeptNodes::Chain& chain) {
  // A file that is committed into is never made smaller.
  const bool shrunk = upper.virtual_size < lower.virtual_size;
  if (upper.path == files.image()) {
    if (!shrunk && lower.bytes >= upper.bytes) {
      // What was the top holds all that the guest has written until the machine goes on.
      auto committed = nodes_->commit_top(chain, lower.path, standstill_,
                                          [&] { return rename_to(files, lower.path); });
      return committed ? committed
                       : base::wrap(std::move(committed).error(), base::in_quotes(lower.path));
    }
    auto streamed = nodes_->stream(chain, lower);
    if (!streamed) return base::wrap(std::move(streamed).error(), base::in_quotes(lower.path));
    return repository::flush_file(upper.path);
  }
  if (shrunk) {
    return Error(ErrorCode::kUnsupported,
                 "the disk in " + base::in_quotes(upper.path) + " is smaller than it was before")
        .with_hint("remove the point with the machine off");
  }
  // QEMU may have done its part already.
  if (chain.has(upper.path)) {
    auto committed = nodes_->commit(chain, upper.path, lower.path);
    if (!committed) return base::wrap(std::move(committed).error(), base::in_quotes(lower.path));
  }
  if (auto released = nodes_->release(files.image()); !released) return released;
  for (const KeptFile& file : files.standing_on(upper.path).value_or(std::vector<KeptFile>())) {
    if (auto flushed = repository::flush_file(file.path); !flushed) return flushed;
  }
  return files.give_name(lower.path, upper.path);
}

Result<void> KeepImages::merge(const KeptFiles& files, const KeptFile& lower,
                               const KeptFile& upper) {
  const auto chain = chain_of(files.image());
  if (!chain) return chain.error();
  if (chain->has(lower.path)) return merge_live(files, lower, upper, *chain);
  // Whichever has less to be copied.
  if (lower.bytes < upper.bytes || upper.virtual_size < lower.virtual_size) {
    return take_over(upper, lower);
  }
  auto done = images_.commit(upper.path, time(), stop_);
  if (!done) return about("merge a point into", lower.path, std::move(done).error());
  return files.give_name(lower.path, upper.path);
}

Result<void> KeepImages::remove_file(const KeptFiles& files, const std::string& kept) {
  const auto lower = read_kept(kept);
  if (!lower) return lower.error();
  auto uppers = files.standing_on(kept);
  if (!uppers) return std::move(uppers).error();
  const auto chain = chain_of(files.image());
  if (!chain) return chain.error();
  // What the machine has open comes last, and what it writes to last of all.
  std::stable_partition(uppers->begin(), uppers->end(), [&](const KeptFile& upper) {
    return upper.path != files.image() && !chain->has(upper.path);
  });
  for (std::size_t i = 0; i + 1 < uppers->size(); ++i) {
    if (auto taken = take_over((*uppers)[i], *lower); !taken) return taken;
  }
  if (!uppers->empty()) return merge(files, *lower, uppers->back());
  if (!chain->has(kept)) return {};
  return Error(ErrorCode::kRefused, "the machine has " + base::in_quotes(kept) +
                                        " open, though nothing of it rests on that");
}

Result<void> KeepImages::remove(const std::string& path, const std::string& name) {
  KeptFiles files = files_of(path);
  const std::string kept = point_file(path, name);
  if (auto whole = make_whole(path); !whole) return whole;
  const auto has_other_name = [&] {
    return is_same_file(kept, path) || std::any_of(ids_.begin(), ids_.end(), [&](const auto& id) {
             return id != name && is_same_file(kept, point_file(path, id));
           });
  };
  if (is_there(kept) && !has_other_name()) {
    if (auto removed = remove_file(files, kept); !removed) return removed;
    if (nodes_) {
      if (auto released = nodes_->release(path); !released) return released;
    }
    if (!has_other_name()) {
      if (auto dropped = drop_file(kept); !dropped) return dropped;
    }
  }
  files.forget(name);
  if (auto tidied = tidy(files); !tidied) return std::move(tidied).error();
  return {};
}

Result<void> KeepImages::flatten(const std::string& path) {
  if (auto whole = make_whole(path); !whole) return whole;
  const auto present = read_kept(path);
  if (!present) return present.error();
  if (present->below.empty()) return {};
  const auto chain = chain_of(path);
  if (!chain) return chain.error();
  if (chain->empty()) {
    if (auto taken = take_over(*present, KeptFile{}); !taken) return taken;
  } else {
    auto streamed = nodes_->stream(*chain, KeptFile{});
    if (!streamed) return base::wrap(std::move(streamed).error(), base::in_quotes(path));
    if (auto flushed = repository::flush_file(path); !flushed) return flushed;
  }
  if (auto tidied = tidy(files_of(path)); !tidied) return std::move(tidied).error();
  return {};
}

Result<void> KeepImages::check_apply(const std::string& path, const std::string& name) {
  const auto kept = read_kept(point_file(path, name));
  if (!kept) return kept.error();
  const auto info = images_.info(path, "qcow2", QemuImg::Use::kAlone, time());
  if (!info) return about("revert", path, info.error());
  return {};
}

Result<void> KeepImages::create(const std::string& path, const std::string& name) {
  const KeptFiles files = files_of(path);
  if (auto whole = make_whole(path); !whole) return whole;
  return files.give_name(path, point_file(path, name));
}

Result<void> KeepImages::apply(const std::string& path, const std::string& name) {
  const std::string kept = point_file(path, name);
  if (auto good = check_apply(path, name); !good) return good;
  const auto below = read_kept(kept);
  if (!below) return below.error();
  const std::string fresh = kept + ".new";
  if (auto dropped = drop_file(fresh); !dropped) return dropped;
  qmp::Disk disk;
  disk.chain.push_back({kept, "qcow2"});
  disk.virtual_size = below->virtual_size;
  if (auto made = make_overlay_file(fresh, disk, images_, time()); !made) return made;
  const KeptFiles files = files_of(path);
  if (auto named = files.give_name(fresh, path); !named) return named;
  if (auto tidied = tidy(files); !tidied) return std::move(tidied).error();
  return {};
}

}  // namespace holdfast::host::snapshot
