// SPDX-License-Identifier: MIT
#include "repository/proof.h"

#include <fcntl.h>
#include <sys/file.h>

#include <array>
#include <cerrno>

#include "base/file.h"
#include "base/text.h"
#include "repository/paths.h"

namespace holdfast::host::repository {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr int kSchema = 1;
constexpr std::size_t kLimit = std::size_t{256} << 10U;
constexpr std::size_t kLongestTime = 40;
constexpr const char* kBefore = "before";
constexpr std::array kResults{ProofResult::kUndecided, ProofResult::kFailed, ProofResult::kBooted,
                              ProofResult::kProven};

std::string path_in(const std::string& directory) {
  return directory + "/" + std::string(kProofName);
}

Error corrupt(const std::string& problem) {
  return {ErrorCode::kCorrupt, "unable to use the proof: " + problem};
}

Result<Proof> parse_proof(std::string_view text) {
  auto json = base::parse_json(text, {kLimit, 16});
  if (!json) return corrupt(json.error().text());
  const auto schema = base::integer_member(*json, "schema");
  const auto result = base::string_member(*json, "result");
  const auto at = base::string_member(*json, "at");
  if (!schema || *schema != kSchema) return corrupt("its schema is not known");
  if (!result) return corrupt(result.error().text());
  if (!at) return corrupt(at.error().text());
  for (const ProofResult known : kResults) {
    if (*result == name_of(known)) {
      return Proof{known, base::printable(*at, kLongestTime), std::move(*json)};
    }
  }
  return corrupt("'" + base::printable(*result, 40) + "' is no result");
}

}  // namespace

std::string_view name_of(ProofResult result) {
  switch (result) {
    case ProofResult::kUndecided:
      return "undecided";
    case ProofResult::kFailed:
      return "failed";
    case ProofResult::kBooted:
      return "booted";
    case ProofResult::kProven:
      return "proven";
  }
  return "";  // uncovered: every value has its case
}

Result<std::optional<Proof>> read_proof(const std::string& directory) {
  const std::string path = path_in(directory);
  const auto kind = kind_of(path);
  if (!kind) return kind.error();
  if (*kind == Kind::kMissing) return std::optional<Proof>();
  if (*kind != Kind::kFile) return corrupt("it is no regular file");
  const auto text = base::read_file(path, kLimit);
  if (!text) return corrupt(text.error().text());
  auto proof = parse_proof(*text);
  if (!proof) return std::move(proof).error();
  return std::optional<Proof>(std::move(*proof));
}

Result<base::UniqueFd> lock_proof(const std::string& directory) {
  base::UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd.valid() && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK) {
    return Error(ErrorCode::kLocked,
                 "the backup '" + base::printable(directory) + "' is being tried already");
  }
  return base::errno_error(errno, "unable to lock '" + base::printable(directory) + "'");
}

Result<void> write_proof(const std::string& directory, const Proof& proof) {
  Json document{
      {"schema", kSchema}, {"result", std::string(name_of(proof.result))}, {"at", proof.at}};
  document.update(proof.document);
  if (proof.result == ProofResult::kUndecided) {
    const auto before = read_proof(directory);
    if (before && *before) {
      const bool decided = (*before)->result != ProofResult::kUndecided;
      const Json& known = (*before)->document;
      document[kBefore] = decided ? known : known.value(kBefore, Json());
    }
  }
  // Of one that was killed at this point.
  base::discard_unfinished(path_in(directory));
  return base::write_file(path_in(directory), base::to_document(document), 0600,
                          base::Durable::kYes);
}

}  // namespace holdfast::host::repository
