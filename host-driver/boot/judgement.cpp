// SPDX-License-Identifier: MIT
#include "boot/judgement.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace holdfast::host::boot {

using base::Json;
using repository::ProofResult;

namespace {

constexpr int kSchema = 1;
constexpr std::size_t kMostResources = 64;
constexpr std::size_t kLongestName = 80;
constexpr std::size_t kLongestText = 400;
constexpr std::array kChecks{"up", "sound", "position"};

const Json& member(const Json& object, const char* key) {
  static const Json kNone;
  if (!object.is_object()) return kNone;
  const auto found = object.find(key);
  return found == object.end() ? kNone : *found;
}

std::string text_of(const Json& object, const char* key, std::size_t limit = kLongestText) {
  const Json& value = member(object, key);
  return value.is_string() ? base::printable(value.get_ref<const std::string&>(), limit)
                           : std::string();
}

std::string verdict_of(const Json& resource, const char* check) {
  return text_of(member(resource, check), "verdict", kLongestName);
}

// In any order.
bool same_position(const Json& one, const Json& other) {
  if (!one.is_object() || !other.is_object() || one.size() != other.size()) return false;
  for (const auto& [key, value] : one.items()) {
    if (!other.contains(key) || other.at(key) != value) return false;
  }
  return true;
}

const Json& resource_named(const Json& resources, const std::string& name) {
  static const Json kNone;
  if (!resources.is_array()) return kNone;
  for (const Json& resource : resources) {
    if (text_of(resource, "name", kLongestName) == name) return resource;
  }
  return kNone;
}

class Judge {
 public:
  Judge(const Json& record, const Json& proof) : record_(record), proof_(proof) {}

  Judgement judge() {
    if (!is_an_answer()) {
      fail("the guest's answer is none that can be understood");
      return std::move(judgement_);
    }
    shorten();
    if (const std::string problem = text_of(proof_, "problem"); !problem.empty()) fail(problem);
    compare_window();
    for (const Json& resource : member(proof_, "resources"))
      look_at(resource);
    look_for_the_held();
    conclude();
    return std::move(judgement_);
  }

 private:
  void fail(std::string reason) { judgement_.reasons.push_back(std::move(reason)); }

  bool is_an_answer() const {
    const auto schema = base::integer_member(proof_, "schema");
    const Json& resources = member(proof_, "resources");
    return schema && *schema == kSchema && resources.is_array() &&
           resources.size() <= kMostResources &&
           std::all_of(resources.begin(), resources.end(), [](const Json& resource) {
             return !text_of(resource, "name", kLongestName).empty() &&
                    base::bool_member(resource, "required") &&
                    std::all_of(kChecks.begin(), kChecks.end(), [&](const char* check) {
                      const std::string verdict = verdict_of(resource, check);
                      return verdict == "ok" || verdict == "bad" || verdict == "none";
                    });
           });
  }

  void shorten() {
    Json resources = Json::array();
    for (const Json& resource : member(proof_, "resources")) {
      Json one{{"name", text_of(resource, "name", kLongestName)},
               {"engine", text_of(resource, "engine", kLongestName)},
               {"version", text_of(resource, "version", kLongestName)},
               {"required", base::bool_member(resource, "required").value_or(true)}};
      for (const char* check : kChecks) {
        one[check] = {{"verdict", verdict_of(resource, check)},
                      {"text", text_of(member(resource, check), "text")}};
      }
      resources.push_back(std::move(one));
    }
    judgement_.guest = {{"holdfast", text_of(proof_, "holdfast", kLongestName)},
                        {"window", text_of(member(proof_, "record"), "window", kLongestName)},
                        {"resources", std::move(resources)}};
  }

  // Other disks than those of the backup would have another one.
  void compare_window() {
    const std::string recorded = text_of(record_, "window", kLongestName);
    const std::string found = text_of(member(proof_, "record"), "window", kLongestName);
    if (recorded.empty()) {
      judgement_.notes.emplace_back("the backup has no freeze record to compare positions with");
    } else if (found.empty()) {
      fail("there is no freeze record on the guest's disk, the backup's is of window '" + recorded +
           "'");
    } else if (found != recorded) {
      fail("the freeze record on the guest's disk is of window '" + found + "', the backup's of '" +
           recorded + "'");
    }
  }

  void look_at(const Json& resource) {
    const std::string name = text_of(resource, "name", kLongestName);
    const bool required = base::bool_member(resource, "required").value_or(true);
    const std::string problem = problem_of(resource, name);
    if (!problem.empty()) {
      if (required) return fail(problem);
      judgement_.notes.push_back("not required: " + problem);
      return;
    }
    if (verdict_of(resource, "up") != "ok") {
      if (required) fail(name + ": nothing says that it is up");
      return;
    }
    if (verdict_of(resource, "sound") == "none") {
      judgement_.notes.push_back(name + ": it is up, and nothing checks what it holds");
      return;
    }
    ++checked_;
    if (verdict_of(resource, "position") == "none") {
      judgement_.notes.push_back(name + ": its position was not compared: " +
                                 text_of(member(resource, "position"), "text"));
    }
  }

  static std::string problem_of(const Json& resource, const std::string& name) {
    static constexpr std::array kWords{": not up: ", ": not sound: ", ": before its backup: "};
    for (std::size_t i = 0; i < kChecks.size(); ++i) {
      if (verdict_of(resource, kChecks.at(i)) != "bad") continue;
      const std::string text = text_of(member(resource, kChecks.at(i)), "text");
      return name + kWords.at(i) + (text.empty() ? "no reason given" : text);
    }
    return {};
  }

  // A database that the guest does not know of any more proves nothing by its silence.
  void look_for_the_held() {
    const Json& held = member(record_, "resources");
    if (!held.is_array()) return;
    for (const Json& resource : held) {
      const std::string name = text_of(resource, "name", kLongestName);
      if (name.empty() || !base::bool_member(resource, "required").value_or(true)) continue;
      const Json& there = resource_named(member(proof_, "resources"), name);
      if (there.is_null()) {
        fail(name + ": it was held for the backup, and the guest that booted has no such resource");
        continue;
      }
      const Json& position = member(resource, "position");
      if (!position.is_object() || position.empty()) continue;
      if (!same_position(position, member(there, "recorded"))) {
        fail(name + ": the position recorded on the guest's disk is not that of the backup");
      }
    }
  }

  void conclude() {
    if (!judgement_.reasons.empty()) return;
    if (const auto status = base::integer_member(proof_, "status"); !status || *status != 0) {
      fail("the guest says that it is not proven, and not why");
    } else if (checked_ == 0) {
      judgement_.result = ProofResult::kBooted;
      fail("the guest has no database that could be checked");
    } else {
      judgement_.result = ProofResult::kProven;
    }
  }

  const Json& record_;
  const Json& proof_;
  std::size_t checked_ = 0;
  Judgement judgement_;
};

}  // namespace

Judgement judge(const Json& record, const GuestAnswer& answer) {
  if (!answer.proof.is_null()) return Judge(record, answer.proof).judge();
  Judgement judgement;
  // One that may not be asked is nothing against the backup; one that was there, and is not, is.
  if (record.is_object() && answer.missing) {
    judgement.reasons.push_back("its databases were held by the guest's Holdfast, and now " +
                                answer.silence);
    return judgement;
  }
  judgement.result = ProofResult::kBooted;
  judgement.reasons.push_back(answer.silence);
  return judgement;
}

}  // namespace holdfast::host::boot
