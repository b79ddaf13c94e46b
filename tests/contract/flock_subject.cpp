// SPDX-License-Identifier: MIT
//
// The example plugin, with another process's lock played by another descriptor.
#include <fcntl.h>
#include <sys/file.h>

#include <fstream>

#include "base/unique_fd.h"
#include "contract/contract.h"
#include "support/temporary_directory.h"

namespace holdfast::contract {
namespace {

class FlockSubject final : public Subject {
 public:
  FlockSubject() {
    std::ofstream(path()) << '\n';
    other_.reset(::open(path().c_str(), O_RDONLY | O_CLOEXEC));
  }

  std::unique_ptr<api::Plugin> make() override {
    return plugin_from(HOLDFAST_FLOCK_MODULE, {"flock:contract", processes_, ""});
  }
  std::vector<base::Setting> settings() const override { return {{"file", path(), "test.conf:1"}}; }

  bool can_block() const override { return true; }
  void block() override { (void)::flock(other_.get(), LOCK_EX | LOCK_NB); }
  void unblock() override { (void)::flock(other_.get(), LOCK_UN); }

  bool holds_writers() const override { return true; }
  bool others_can_write() override {
    const base::UniqueFd fd(::open(path().c_str(), O_RDONLY | O_CLOEXEC));
    return ::flock(fd.get(), LOCK_SH | LOCK_NB) == 0;
  }

 private:
  [[nodiscard]] std::string path() const { return directory_.file("lock"); }

  base::SystemProcessRunner processes_;
  support::TemporaryDirectory directory_;
  base::UniqueFd other_;
};

const Registration kFlock("flock", [] { return std::make_unique<FlockSubject>(); });

}  // namespace
}  // namespace holdfast::contract
