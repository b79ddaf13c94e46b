// SPDX-License-Identifier: MIT
//
// The control socket's messages (base/control_protocol.h): any line as a request, as a reply, and
// as the text of an error that becomes a reply.
#include "base/control_protocol.h"

#include "base/error.h"
#include "base/text.h"
#include "fuzz.h"

namespace holdfast::fuzz {

namespace {

void check_request(std::string_view line) {
  const auto verb = base::parse_request(line);
  if (!verb) {
    require(verb.error().code() == base::ErrorCode::kProtocol, "a wrong request is kProtocol");
    require(is_one_safe_line(verb.error().one_line()), "the error is one safe line");
    return;
  }
  require(base::format_request(*verb) == std::string(line) + "\n",
          "a request is accepted to the letter only");
}

void check_sent(const base::ReplyLine& reply) {
  const std::string sent = base::format_reply(reply);
  require(sent.size() <= base::kReplyLineLimit, "a reply fits its limit");
  require(sent.ends_with('\n') && sent.find('\n') == sent.size() - 1, "a reply is one line");
  const auto read = base::parse_reply(std::string_view(sent).substr(0, sent.size() - 1));
  require(read.has_value(), "what is sent can be read");
  require(read->status == reply.status && read->name == reply.name, "status and name arrive");
  require(read->text == base::printable(reply.text, base::kReplyLineLimit - 64),
          "the text arrives, made printable");
}

void check_reply(std::string_view line) {
  const auto reply = base::parse_reply(line);
  if (!reply) {
    require(reply.error().code() == base::ErrorCode::kProtocol, "a wrong reply is kProtocol");
    require(is_one_safe_line(reply.error().one_line()), "the error is one safe line");
    return;
  }
  require((reply->status == 0) == (reply->name == "ok"), "only 'ok' ends with 0");
  require(is_one_safe_line(reply->name) && is_one_safe_line(reply->text),
          "what is shown is one safe line");
  check_sent(*reply);
}

}  // namespace

void check(std::string_view input) {
  const std::string_view line = input.substr(0, input.find('\n'));
  check_request(line);
  check_reply(line);
  const base::Error error(base::ErrorCode::kHoldLost, std::string(input));
  check_sent(base::reply_for(error));
  check_sent({0, "ok", std::string(input)});
}

}  // namespace holdfast::fuzz
