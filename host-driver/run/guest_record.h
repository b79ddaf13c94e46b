// SPDX-License-Identifier: MIT
//
// The freeze record that the guest's Holdfast writes (design 3.6), read by the host: the evidence
// for level `application`. It comes from the guest and is nothing but data here: bounded, checked
// in shape, printable. It counts only if it is that of this very window: the same boot, the
// sequence number one above the one read before the freeze, done, and ok. A record that says that
// it is of something else than a freeze (a drill) never counts.
//
// Threads: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_codec.h"
#include "base/result.h"

namespace holdfast::host::run {

inline constexpr std::size_t kRecordLimit = std::size_t{1} << 20U;

struct GuestResource {
  std::string name;
  bool required = true;
  std::string code;
  std::string text;
};

struct GuestRecord {
  std::string kind;  // "freeze"
  std::string boot;
  std::int64_t sequence = 0;
  std::string state;
  std::string code;  // of the verdict; empty while the window is open
  std::int64_t status = 0;
  std::string text;
  std::vector<GuestResource> resources;
  // All of it, made printable, for the manifest.
  base::Json document;
};

[[nodiscard]] base::Result<GuestRecord> parse_guest_record(std::string_view text);

// What stood there before the freeze.
struct EarlierRecord {
  bool known = false;  // read, or known to be absent
  std::string boot;    // empty if absent
  std::int64_t sequence = 0;
  std::string problem;  // why it is not known
};

[[nodiscard]] EarlierRecord earlier_record(const base::Result<std::string>& text);

struct Proof {
  // Empty: the guest has proven that its holds were unbroken in this window.
  std::string lacking;
  // Beside that, worth knowing: resources that were not required and not held.
  std::vector<std::string> notes;
};

[[nodiscard]] bool is_of_this_window(const EarlierRecord& before, const GuestRecord& after);
[[nodiscard]] Proof judge(const EarlierRecord& before, const GuestRecord& after);

}  // namespace holdfast::host::run
