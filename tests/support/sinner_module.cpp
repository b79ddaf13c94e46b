// SPDX-License-Identifier: MIT
//
// A plugin that does, all through its hold, what must not be done while filesystems are frozen: the
// tests that watch for it have to notice. `sin` names what:
//
//   write   writes to a file that it has open          remove  removes a file, which is not there
//   open    opens a file to write to it                log     writes a line to standard error
//   ask     sends a statement to a server, at `path`    fault   reads the pages of a mapped file
//   none    nothing
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <utility>

#include "api/plugin.h"
#include "base/unique_fd.h"
#include "base/unix_socket.h"

namespace holdfast::support {

namespace {

using base::Deadline;
using base::Result;
using namespace std::chrono_literals;

constexpr auto kPause = 20ms;

class Sinner {
 public:
  Sinner(std::string sin, std::string path) : sin_(std::move(sin)), path_(std::move(path)) {
    if (sin_ == "ask") {
      if (auto fd = base::connect_unix(path_, Deadline::in(5s))) fd_ = std::move(*fd);
    } else if (sin_ == "write") {
      fd_ = base::UniqueFd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    } else if (sin_ == "fault") {
      map();
    }
    thread_ = std::jthread([this](const std::stop_token& stop) {
      for (; !stop.stop_requested(); std::this_thread::sleep_for(kPause))
        do_it();
    });
  }

 private:
  void map() {
    const base::UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (!file.valid() || ::fstat(file.get(), &status) != 0) return;
    size_ = static_cast<std::size_t>(status.st_size);
    void* pages = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (pages == MAP_FAILED) return;
    // One page at each fault, and none ahead of it.
    (void)::madvise(pages, size_, MADV_RANDOM);
    pages_ = static_cast<const volatile char*>(pages);
  }

  void do_it() {
    if (sin_ == "write") {
      (void)!::write(fd_.get(), "sin\n", 4);
    } else if (sin_ == "open") {
      const base::UniqueFd file(::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    } else if (sin_ == "remove") {
      (void)::unlink(path_.c_str());
    } else if (sin_ == "log") {
      (void)!::write(STDERR_FILENO, "sin\n", 4);
    } else if (sin_ == "ask") {
      (void)base::send_all(fd_.get(), "SELECT 1\n", Deadline::in(1s));
    } else if (pages_ != nullptr && touched_ < size_) {
      read_ = pages_[touched_];
      touched_ += 1U << 16U;
    }
  }

  std::string sin_;
  std::string path_;
  base::UniqueFd fd_;
  const volatile char* pages_ = nullptr;
  std::size_t size_ = 0;
  std::size_t touched_ = 0;
  char read_ = 0;
  std::jthread thread_;
};

class SinfulHold final : public api::Hold {
 public:
  SinfulHold(const std::string& sin, const std::string& path) : sinner_(sin, path) {}

  [[nodiscard]] const api::Identity& identity() const override { return identity_; }
  [[nodiscard]] const api::Position& position() const override { return position_; }
  [[nodiscard]] int watch_fd() const override { return -1; }
  [[nodiscard]] Result<api::Position> check(Deadline) override { return position_; }
  [[nodiscard]] Result<void> release(Deadline) override { return {}; }

 private:
  api::Identity identity_{"Sinner", "1", "uuid", "1"};
  api::Position position_{{"lsn", "0"}};
  Sinner sinner_;
};

class SinnerPlugin final : public api::Plugin {
 public:
  explicit SinnerPlugin(api::PluginContext context) : Plugin(std::move(context)) {}

  [[nodiscard]] base::OptionTable option_table() const override {
    return {{.name = "sin",
             .type = base::OptionType::kChoice,
             .help = "what is done",
             .required = true,
             .choices = {"write", "open", "remove", "log", "ask", "fault", "none"}},
            {.name = "path",
             .type = base::OptionType::kPath,
             .help = "to which file or socket",
             .required = true}};
  }
  [[nodiscard]] Result<api::ProbeReport> probe(Deadline, std::stop_token) override {
    return api::ProbeReport{{"Sinner", "1", "uuid", "1"}, {}};
  }
  [[nodiscard]] int watch_fd() const override { return -1; }
  [[nodiscard]] Result<void> prepare(const api::Window&, Deadline, std::stop_token) override {
    return {};
  }
  [[nodiscard]] Result<std::unique_ptr<api::Hold>> hold(const api::Window&, Deadline,
                                                        std::stop_token) override {
    return std::unique_ptr<api::Hold>(
        std::make_unique<SinfulHold>(options().text("sin"), options().text("path")));
  }
  void rollback(Deadline) override {}
  void interrupt() override {}

 private:
  [[nodiscard]] Result<void> do_finish_config() override { return {}; }
};

}  // namespace

}  // namespace holdfast::support

HOLDFAST_PLUGIN_MODULE("sinner", holdfast::support::SinnerPlugin)
