// SPDX-License-Identifier: MIT
#include "daemon/fs_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/text.h"
#include "base/unix_socket.h"

namespace holdfast::daemon {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;
using fs::FsOp;

}  // namespace

FsClient::FsClient(std::string socket) : socket_(std::move(socket)) {}

bool FsClient::is_connected() const {
  // A service that has restarted since has closed it.
  pollfd watched{fd_.get(), POLLIN | POLLRDHUP, 0};
  return fd_.valid() && ::poll(&watched, 1, 0) == 0;
}

Result<void> FsClient::connect(Deadline deadline) {
  if (is_connected()) return {};
  fd_.reset();
  has_set_ = false;
  auto fd = base::connect_unix(socket_, deadline, SOCK_SEQPACKET);
  if (!fd) return std::move(fd).error().with_hint("is holdfast-fs running?");
  fd_ = std::move(*fd);
  return {};
}

Result<fs::FsReply> FsClient::ask(const fs::FsRequest& request, Deadline deadline) {
  if (auto connected = connect(deadline); !connected) return std::move(connected).error();
  const auto failed = [this](Error error) {
    fd_.reset();
    return error;
  };
  if (::send(fd_.get(), &request, sizeof request, MSG_NOSIGNAL | MSG_DONTWAIT) !=
      static_cast<ssize_t>(sizeof request)) {
    return failed(base::errno_error(errno, "unable to ask '" + socket_ + "'"));
  }
  for (;;) {
    pollfd watched{fd_.get(), POLLIN, 0};
    const int ready = ::poll(&watched, 1, deadline.poll_timeout());
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      return failed(Error(ErrorCode::kTimedOut, "no answer from '" + socket_ + "' in time"));
    }
    fs::FsReply reply;
    const ssize_t size = ::recv(fd_.get(), &reply, sizeof reply, MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (size != static_cast<ssize_t>(sizeof reply) || reply.version != fs::kFsVersion) {
      return failed(Error(ErrorCode::kUnreachable, "'" + socket_ + "' closed the connection"));
    }
    return reply;
  }
}

Result<void> FsClient::request(FsOp op, std::uint64_t value, const char* what, Deadline deadline) {
  fs::FsRequest request;
  request.op = op;
  request.value = value;
  auto reply = ask(request, deadline);
  if (!reply) return base::wrap(std::move(reply).error(), std::string("unable to ") + what);
  if (reply->error_number == 0) return {};
  std::string message = std::string("unable to ") + what;
  if (reply->which < mount_points_.size()) {
    message += " '" + base::printable(mount_points_[reply->which]) + "'";
  }
  return base::errno_error(reply->error_number, message);
}

Result<void> FsClient::open(const std::string& mount_point, Deadline deadline) {
  const std::string what = "unable to open the filesystem '" + base::printable(mount_point) + "'";
  fs::FsRequest request;
  request.op = FsOp::kOpen;
  if (mount_point.size() >= request.path.size()) {
    return Error(ErrorCode::kTooLarge, what + ": its path is too long");
  }
  std::memcpy(request.path.data(), mount_point.data(), mount_point.size());
  auto reply = ask(request, deadline);
  if (!reply) return base::wrap(std::move(reply).error(), what);
  if (reply->error_number != 0) return base::errno_error(reply->error_number, what);
  return {};
}

Result<void> FsClient::arm(const std::vector<std::string>& mount_points, base::Millis max_hold,
                           Deadline deadline) {
  mount_points_ = mount_points;
  has_set_ = false;
  if (auto closed = request(FsOp::kClose, 0, "begin with the filesystems", deadline); !closed) {
    return closed;
  }
  for (const std::string& mount_point : mount_points) {
    if (auto opened = open(mount_point, deadline); !opened) {
      (void)disarm(deadline);
      return opened;
    }
  }
  has_set_ = true;
  return extend(max_hold, deadline);
}

Result<void> FsClient::confirm() {
  if (has_set_ && is_connected()) return {};
  return Error(ErrorCode::kUnreachable, "'" + socket_ + "' closed the connection")
      .with_hint("holdfast-fs was restarted during the freeze");
}

Result<void> FsClient::restore_set(Deadline deadline) {
  if (confirm()) return {};
  // One that was not restarted has them already, and then twice: that harms nobody.
  std::optional<Error> failure;
  for (const std::string& mount_point : mount_points_) {
    if (auto opened = open(mount_point, deadline); !opened && !failure) {
      failure = std::move(opened).error();
    }
  }
  has_set_ = fd_.valid() && !failure;
  if (failure) return std::move(*failure);
  return {};
}

Result<void> FsClient::extend(base::Millis max_hold, Deadline deadline) {
  if (auto restored = restore_set(deadline); !restored) return restored;
  return request(FsOp::kArm, static_cast<std::uint64_t>(max_hold.count()), "arm the thaw timer",
                 deadline);
}

Result<void> FsClient::sync(Deadline deadline) {
  // Nothing is locked yet: a freeze that has lost its dead-man is better refused than repaired.
  if (auto armed = confirm(); !armed) return armed;
  return request(FsOp::kSync, 0, "flush", deadline);
}

Result<void> FsClient::thaw(Deadline deadline) {
  // What can be opened is thawed, whatever the others say.
  auto restored = restore_set(deadline);
  auto thawed = request(FsOp::kThaw, 0, "thaw", deadline);
  return restored ? std::move(thawed) : std::move(restored);
}

Result<void> FsClient::disarm(Deadline deadline) {
  has_set_ = false;
  return request(FsOp::kClose, 0, "disarm the thaw timer", deadline);
}

}  // namespace holdfast::daemon
