// SPDX-License-Identifier: MIT
#include "repository/overview.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/text.h"
#include "base/unique_fd.h"
#include "repository/group.h"
#include "repository/index.h"
#include "repository/paths.h"
#include "repository/stored.h"

namespace holdfast::host::repository {

using base::Result;

namespace {

using std::chrono::steady_clock;

class Look {
 public:
  Look(const Repository& repository, const std::string& vm, std::string directory, int fd)
      : repository_(repository), vm_(vm), directory_(std::move(directory)), fd_(fd) {}

  void remember(Index index) { index_ = std::move(index); }

  void at(const std::string& id) {
    const auto known = std::lower_bound(
        index_.begin(), index_.end(), id,
        [](const IndexLine& line, const std::string& wanted) { return line.summary.id < wanted; });
    if (known == index_.end() || known->summary.id != id ||
        stamps_of(fd_, id, known->stamps.proof.has_value()) != known->stamps) {
      read(id);
      return;
    }
    known->summary.vm = vm_;
    known->summary.directory = directory_ + "/" + id;
    overview_.backups.push_back(std::move(known->summary));
    stamps_.emplace_back(known->stamps);
    overview_.is_remembered = true;
  }

  void write_if_worth_it() const {
    if (read_ < kIndexedFrom) return;
    Index lines;
    for (std::size_t i = 0; i < stamps_.size(); ++i) {
      if (stamps_[i]) lines.push_back({overview_.backups[i], *stamps_[i]});
    }
    write_index(directory_, lines,
                std::chrono::duration_cast<base::Millis>(steady_clock::now() - begin_));
  }

  [[nodiscard]] Overview& result() { return overview_; }

 private:
  void read(const std::string& id) {
    const auto binding = binding_of(repository_.path(), directory_ + "/" + id, id);
    if (binding && *binding == Binding::kUnbound) return;
    // Before anything in it is read: what changes from here on makes them differ.
    auto stamps = stamps_of(fd_, id, true);
    if (!stamps) stamps = stamps_of(fd_, id, false);
    auto backup = load_backup(repository_, vm_, id);
    if (!backup) {
      overview_.bad.push_back({vm_, id, std::move(backup).error()});
      return;
    }
    ++read_;
    Summary summary = summary_of(*backup);
    const bool plain = binding && *binding == Binding::kNone && !summary.proof_is_unusable;
    if (!plain || (stamps && stamps->proof.has_value() != summary.proof.has_value())) {
      stamps.reset();
    }
    stamps_.push_back(stamps);
    overview_.backups.push_back(std::move(summary));
  }

  const steady_clock::time_point begin_ = steady_clock::now();
  const Repository& repository_;
  const std::string& vm_;
  const std::string directory_;
  const int fd_;
  Index index_;
  std::size_t read_ = 0;
  Overview overview_;
  // Of each of its backups; nothing where the index is to say nothing.
  std::vector<std::optional<Stamps>> stamps_;
};

}  // namespace

Result<Overview> overview(const Repository& repository, const std::string& vm, Source source) {
  const auto directory = repository.vm_directory(vm);
  if (!directory) return directory.error();
  const base::UniqueFd fd(
      ::open(directory->c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return base::errno_error(errno, "unable to list " + base::in_quotes(*directory));
  Look look(repository, vm, *directory, fd.get());
  const auto names = names_in(*directory);
  if (!names) return names.error();
  if (source == Source::kIndex && names->size() >= kIndexedFrom) {
    look.remember(read_index(*directory));
  }
  for (const std::string& name : *names) {
    if (is_backup_id(name)) look.at(name);
  }
  if (source == Source::kIndex) look.write_if_worth_it();
  return std::move(look.result());
}

}  // namespace holdfast::host::repository
