// SPDX-License-Identifier: MIT
#include "notify/mail.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <ctime>

#include "base/file.h"
#include "base/text.h"
#include "config/addresses.h"
#include "notify/encoding.h"

namespace holdfast::host::notify {

using base::Result;

namespace {

// RFC 5322, 2.1.1: no header line is longer, and more than that of a text helps nobody.
constexpr std::size_t kLongestText = 600;

std::string date_of(base::WallTime time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  std::array<char, 64> text{};
  // The program never leaves the C locale, so these are the names that the RFC means.
  const std::size_t length =
      std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S %z", &local);
  return {text.data(), length};
}

void add_header(std::string& text, std::string_view name, std::string_view value) {
  text +=
      std::string(name) + ": " + header_value(name, base::printable(value, kLongestText)) + "\n";
}

// One address per line: no line becomes too long, and none is cut.
std::string joined(const std::vector<std::string>& addresses) {
  std::string text;
  for (const std::string& address : addresses)
    text += (text.empty() ? "" : ",\n ") + address;
  return text;
}

}  // namespace

std::string text_of(const Mail& mail) {
  std::string text;
  // The addresses are checked where they are configured.
  text += "From: Holdfast <" + mail.from + ">\n";
  text += "To: " + joined(mail.to) + "\n";
  add_header(text, "Subject", mail.subject);
  text += "Date: " + date_of(mail.date) + "\n";
  text += "Message-ID: <" + mail.id + ">\n";
  text += "Auto-Submitted: auto-generated\n";
  add_header(text, "X-Holdfast-Result", mail.result);
  const bool plain = is_plain(mail.body);
  text += "MIME-Version: 1.0\n";
  text += "Content-Type: text/plain; charset=utf-8\n";
  text += std::string("Content-Transfer-Encoding: ") + (plain ? "7bit" : "quoted-printable") + "\n";
  return text + "\n" + (plain ? mail.body : quoted_printable(mail.body));
}

std::string mail_domain(const std::string& host, const std::string& root) {
  const auto is_domain = [](const std::string& name) {
    return !name.empty() && config::check_address("root@" + name);
  };
  if (const auto text = base::read_file(root + "/etc/mailname", 4096)) {
    const std::string_view all = *text;
    std::string first(base::trimmed(all.substr(0, all.find('\n'))));
    if (is_domain(first)) return first;
  }
  return is_domain(host) ? host : "localhost";
}

Result<std::string> make_mail_id(base::WallTime time, const std::string& domain) {
  std::uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != static_cast<ssize_t>(sizeof number)) {
    return base::errno_error(errno, "unable to get random bytes");
  }
  std::array<char, 80> left{};
  std::snprintf(left.data(), left.size(), "holdfast.%lld.%016llx",
                static_cast<long long>(std::chrono::system_clock::to_time_t(time)),
                static_cast<unsigned long long>(number));
  return std::string(left.data()) + "@" + domain;
}

}  // namespace holdfast::host::notify
