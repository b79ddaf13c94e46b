// SPDX-License-Identifier: MIT
//
// One connection to holdfast-execd: answers its requests one by one, and when it ends, tells `thaw`
// to whatever it has left frozen.
//
// The client says which resource and which verb; what runs is read here, from the resource file
// that root alone can write, and every program is checked before it is run (trust.h).
//
// A request is given up when the client goes away, except `thaw`: that always runs to its end, and
// has two seconds for it even if the client could not wait for so long.
//
// Threads: run() blocks its thread until the connection ends.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "base/process_runner.h"
#include "base/unique_fd.h"
#include "exec/claims.h"
#include "exec/execd_protocol.h"
#include "exec/local_executor.h"

namespace holdfast::exec {

// What every session shares; borrowed.
struct ExecdContext {
  std::string resource_directory;
  base::ProcessRunner& processes;
  Claims& claims;
};

class ExecdSession {
 public:
  ExecdSession(base::UniqueFd connection, const ExecdContext& context);

  // Until the client goes away, says something improper, or a stop is requested. Returns an error
  // only if what was left frozen could not be thawed.
  [[nodiscard]] base::Result<void> run(const std::stop_token& stop);

 private:
  [[nodiscard]] base::Result<std::string> answer(const ExecRequest& request,
                                                 const std::stop_token& stop);
  // The executor of the resource, made anew from its file unless something is frozen.
  [[nodiscard]] base::Result<void> load(const std::string& resource);
  [[nodiscard]] base::Result<std::string> perform(const ExecRequest& request,
                                                  const std::stop_token& stop);
  [[nodiscard]] base::Result<void> thaw_unfinished();
  void give_back_claim();

  base::UniqueFd connection_;
  const ExecdContext& context_;
  std::string resource_;
  std::string window_;
  std::unique_ptr<LocalExecutor> executor_;
  bool claimed_ = false;
  bool began_ = false;  // a window, over this connection
};

}  // namespace holdfast::exec
