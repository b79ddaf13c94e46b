// SPDX-License-Identifier: MIT
#include "config/addresses.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast::host::config {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

// RFC 5321, 4.5.3.1: a local part, and a path without its angle brackets.
constexpr std::size_t kLongestLocalPart = 64;
constexpr std::size_t kLongestAddress = 254;
constexpr std::size_t kMostAddresses = 50;
constexpr std::string_view kBetween = ", \t";

bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// RFC 5322's atext.
bool is_of_an_atom(char c) {
  return is_alnum(c) || std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

bool is_of_a_label(char c) {
  return is_alnum(c) || c == '-';
}

// Parts that are not empty, with dots between them.
bool is_dotted(std::string_view text, bool (*allowed)(char)) {
  if (text.empty() || text.front() == '.' || text.back() == '.') return false;
  if (text.find("..") != std::string_view::npos) return false;
  return std::all_of(text.begin(), text.end(),
                     [allowed](char c) { return c == '.' || allowed(c); });
}

}  // namespace

Result<void> check_address(std::string_view address) {
  const std::size_t at = address.find('@');
  const std::string_view local = address.substr(0, at);
  const bool has_domain = at != std::string_view::npos;
  // sendmail(8) takes what begins with '-' for an option.
  const bool right = address.size() <= kLongestAddress && local.size() <= kLongestLocalPart &&
                     !address.starts_with('-') && is_dotted(local, is_of_an_atom) &&
                     (!has_domain || is_dotted(address.substr(at + 1), is_of_a_label));
  if (right) return {};
  return Error(ErrorCode::kConfiguration,
               "'" + base::printable(address, 100) + "' is not a mail address")
      .with_hint("NAME or NAME@DOMAIN, nothing around it");
}

Result<std::vector<std::string>> addresses_in(std::string_view text) {
  std::vector<std::string> addresses;
  for (std::size_t begin = text.find_first_not_of(kBetween); begin < text.size();
       begin = text.find_first_not_of(kBetween, begin)) {
    const std::size_t end = std::min(text.find_first_of(kBetween, begin), text.size());
    const std::string_view address = text.substr(begin, end - begin);
    if (auto right = check_address(address); !right) return std::move(right).error();
    addresses.emplace_back(address);
    if (addresses.size() > kMostAddresses) {
      return Error(ErrorCode::kConfiguration,
                   "more than " + std::to_string(kMostAddresses) + " mail addresses")
          .with_hint("one address of a list will do");
    }
    begin = end;
  }
  return addresses;
}

}  // namespace holdfast::host::config
