// SPDX-License-Identifier: MIT
#include "ctl/request.h"

#include <algorithm>
#include <utility>

#include "base/unix_socket.h"

namespace holdfast::ctl {

namespace {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Result;
using namespace std::chrono_literals;

constexpr base::Millis kConnectLimit = 5s;

}  // namespace

Result<Reply> ask(const std::string& socket, base::Verb verb, base::Millis limit) {
  const Deadline deadline = Deadline::in(limit);
  auto fd = base::connect_unix(socket, Deadline::in(std::min(limit, kConnectLimit)));
  if (!fd) {
    return Error(ErrorCode::kDaemonUnreachable, fd.error().text())
        .with_hint("is holdfastd running, and are you root?");
  }
  const auto lost = [](const Error& problem) {
    return Error(ErrorCode::kDaemonUnreachable, "holdfastd gave no answer").caused_by(problem);
  };
  auto sent = base::send_all(fd->get(), base::format_request(verb), deadline);
  if (!sent) return lost(sent.error());
  std::string buffer;
  auto first = base::receive_line(fd->get(), buffer, base::kReplyLineLimit, deadline);
  if (!first) return lost(first.error());
  Reply reply;
  auto line = base::parse_reply(*first);
  if (!line) return std::move(line).error();
  reply.line = std::move(*line);
  auto rest = base::receive_all(fd->get(), std::move(buffer), base::kReplyDocumentLimit, deadline);
  if (!rest) return lost(rest.error());
  if (rest->empty()) return reply;
  auto document = base::parse_json(*rest, {base::kReplyDocumentLimit, 32});
  if (!document) return std::move(document).error();
  reply.document = std::move(*document);
  return reply;
}

}  // namespace holdfast::ctl
