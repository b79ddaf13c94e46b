// SPDX-License-Identifier: MIT
//
// One mail, as RFC 5322 wants it: a plain text in UTF-8, marked as sent by a program (RFC 3834), so
// that nobody's vacation answers it.
//
// Threads: plain values. Whatever stands in the texts, a header stays one header.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace holdfast::host::notify {

struct Mail {
  std::string from;             // an address
  std::vector<std::string> to;  // addresses
  std::string subject;
  std::string result;  // a word for filters: "failed"
  std::string body;
  base::WallTime date;
  std::string id;  // "LEFT@RIGHT"
};

// With "\n" at the end of each line, as sendmail(8) reads it.
[[nodiscard]] std::string text_of(const Mail& mail);

// What stands behind the '@' of this host's mails: /etc/mailname, else the host's name.
[[nodiscard]] std::string mail_domain(const std::string& host, const std::string& root = "");
[[nodiscard]] base::Result<std::string> make_mail_id(base::WallTime time,
                                                     const std::string& domain);

}  // namespace holdfast::host::notify
