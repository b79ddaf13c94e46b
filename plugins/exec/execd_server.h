// SPDX-License-Identifier: MIT
//
// The socket of holdfast-execd: accepts the connections of root and of the service's user, and
// gives each a session in a thread of its own. Idle, it sleeps in the kernel.
//
// Threads: serve() blocks its thread until the stop descriptor is readable, and returns when every
// session has thawed what it had to.
#pragma once

#include <sys/types.h>

#include <list>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "exec/execd_session.h"

namespace holdfast::exec {

class ExecdServer {
 public:
  // `context` is borrowed. `peers` are the users that may connect.
  ExecdServer(base::UniqueFd listener, const ExecdContext& context, std::vector<uid_t> peers);
  ExecdServer(const ExecdServer&) = delete;
  ExecdServer& operator=(const ExecdServer&) = delete;
  ~ExecdServer();

  // `stop_fd` becomes readable when it is time to end; borrowed.
  [[nodiscard]] base::Result<void> serve(int stop_fd);

 private:
  struct Worker;

  void accept_one();
  void collect_finished();
  [[nodiscard]] bool is_peer(int connection) const;

  base::UniqueFd listener_;
  const ExecdContext& context_;
  std::vector<uid_t> peers_;
  base::UniqueFd finished_;  // eventfd: a worker has ended
  std::list<Worker> workers_;
};

}  // namespace holdfast::exec
