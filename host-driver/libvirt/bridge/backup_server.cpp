// SPDX-License-Identifier: MIT
#include "bridge/backup_server.h"

#include <utility>

namespace holdfast::host::libvirt {

using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

std::string name_of(BackupState state) {
  switch (state) {
    case BackupState::kNone:
      return "none";
    case BackupState::kBeginning:
      return "beginning";
    case BackupState::kRunning:
      return "running";
    case BackupState::kOther:
      return "other";
  }
  return "other";
}

Result<std::vector<BackupTarget>> targets_in(const Json& arguments) {
  const auto list = base::array_member(arguments, "targets");
  if (!list) return list.error();
  std::vector<BackupTarget> targets;
  for (const Json& entry : **list) {
    auto disk = base::string_member(entry, "disk");
    auto path = base::string_member(entry, "path");
    auto since = base::string_member(entry, "since");
    for (const Result<std::string>* text : {&disk, &path, &since}) {
      if (!*text) return text->error();
    }
    targets.push_back({std::move(*disk), std::move(*path), std::move(*since)});
  }
  return targets;
}

Result<std::optional<NewCheckpoint>> checkpoint_in(const Json& arguments) {
  const auto entry = base::object_member(arguments, "checkpoint");
  if (!entry) return std::optional<NewCheckpoint>();
  auto name = base::string_member(**entry, "name");
  auto description = base::string_member(**entry, "description");
  auto disks = texts_in(**entry, "disks");
  auto others = texts_in(**entry, "others");
  if (!name) return std::move(name).error();
  if (!description) return std::move(description).error();
  if (!disks) return std::move(disks).error();
  if (!others) return std::move(others).error();
  return std::optional<NewCheckpoint>(NewCheckpoint{std::move(*name), std::move(*description),
                                                    std::move(*disks), std::move(*others)});
}

}  // namespace

Result<std::vector<std::string>> texts_in(const Json& arguments, std::string_view key) {
  const auto list = base::array_member(arguments, key);
  if (!list) return list.error();
  std::vector<std::string> found;
  for (const Json& entry : **list) {
    if (!entry.is_string()) return Error(ErrorCode::kProtocol, "'" + std::string(key) + "'");
    found.push_back(entry.get<std::string>());
  }
  return found;
}

Result<Json> nothing_or(Result<void> done) {
  if (!done) return std::move(done).error();
  return Json(Json::object());
}

Result<BackupServer> BackupServer::of(Connection& connection) {
  auto backups = Backups::of(connection);
  if (!backups) return std::move(backups).error();
  return BackupServer(std::move(*backups));
}

std::optional<Result<Json>> BackupServer::execute(const std::string& command,
                                                  const Json& arguments) {
  if (command == "begin-backup") return begin(arguments);
  if (command == "limit-backup") return limit(arguments);
  if (command == "query-backup") return status();
  if (command == "abort-backup") return nothing_or(backups_.abort());
  if (command == "query-checkpoints") return checkpoints();
  if (command == "remove-checkpoint") {
    const auto name = base::string_member(arguments, "name");
    if (!name) return Result<Json>(name.error());
    return nothing_or(backups_.remove_checkpoint(*name));
  }
  return std::nullopt;
}

Result<Json> BackupServer::begin(const Json& arguments) {
  const auto targets = targets_in(arguments);
  const auto checkpoint = checkpoint_in(arguments);
  const auto rate = base::integer_member(arguments, "rate");
  if (!targets) return targets.error();
  if (!checkpoint) return checkpoint.error();
  if (!rate) return rate.error();
  return nothing_or(backups_.begin(*targets, *checkpoint, static_cast<std::uint64_t>(*rate)));
}

Result<Json> BackupServer::limit(const Json& arguments) {
  const auto disks = texts_in(arguments, "disks");
  const auto rate = base::integer_member(arguments, "rate");
  if (!disks) return disks.error();
  if (!rate) return rate.error();
  return nothing_or(backups_.limit(*disks, static_cast<std::uint64_t>(*rate)));
}

Result<Json> BackupServer::status() const {
  const auto status = backups_.status();
  if (!status) return status.error();
  Json answer{{"state", name_of(status->state)},
              {"targets", status->targets},
              {"done", status->done},
              {"total", status->total},
              {"ended", nullptr}};
  if (status->ended) {
    answer["ended"] = {{"success", status->ended->success}, {"error", status->ended->error}};
  }
  return answer;
}

Result<Json> BackupServer::checkpoints() const {
  const auto found = backups_.checkpoints();
  if (!found) return found.error();
  Json list = Json::array();
  for (const XmlCheckpoint& checkpoint : *found) {
    Json disks = Json::array();
    for (const CheckpointDisk& disk : checkpoint.disks) {
      disks.push_back(
          {{"disk", disk.disk}, {"changed", disk.changed ? Json(*disk.changed) : Json()}});
    }
    list.push_back({{"name", checkpoint.name},
                    {"description", checkpoint.description},
                    {"disks", std::move(disks)}});
  }
  return Json{{"checkpoints", std::move(list)}};
}

}  // namespace holdfast::host::libvirt
