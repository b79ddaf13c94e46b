// SPDX-License-Identifier: MIT
#include "bridge/control_server.h"

#include <array>
#include <charconv>

#include "base/clock.h"
#include "base/look_until.h"

namespace holdfast::host::libvirt {

using base::Deadline;
using base::Error;
using base::ErrorCode;
using base::Json;
using base::Result;

namespace {

constexpr base::Millis kRestartTime{30000};
constexpr base::Millis kPause{500};

Json error_json(const Error& error) {
  const bool unknown = error.code() == ErrorCode::kUnsupported;
  return {{"class", unknown ? "CommandNotFound" : "GenericError"}, {"desc", error.text()}};
}

// {"QMP": {"version": {"qemu": {…}}}}: what a client of QEMU's expects.
Json greeting(const std::string& version) {
  std::array<int, 3> numbers{};
  const char* at = version.data();
  const char* const end = version.data() + version.size();
  for (int& number : numbers) {
    at = std::from_chars(at, end, number).ptr;
    if (at != end) ++at;
  }
  return {{"QMP",
           {{"version",
             {{"qemu", {{"major", numbers[0]}, {"minor", numbers[1]}, {"micro", numbers[2]}}},
              {"package", ""}}},
            {"capabilities", Json::array()}}}};
}

Json tpm_json(const std::optional<XmlTpm>& tpm) {
  if (!tpm) return {};
  return {{"backend", tpm->backend},
          {"directory", tpm->directory},
          {"file", tpm->file},
          {"encrypted", tpm->encrypted}};
}

Json disk_json(const XmlDisk& disk) {
  Json chain = Json::array();
  for (const XmlLayer& layer : disk.chain)
    chain.push_back({{"path", layer.path}, {"format", layer.format}});
  return {{"target", disk.target},     {"alias", disk.alias},
          {"skip", disk.skip},         {"problem", disk.problem},
          {"chain", std::move(chain)}, {"cache", disk.cache},
          {"job", disk.job},           {"job_ready", disk.job_ready},
          {"bus", disk.bus},           {"ioeventfd", disk.ioeventfd}};
}

}  // namespace

Result<void> ControlServer::connect() {
  auto opened = Connection::open(address_);
  if (!opened) return std::move(opened).error();
  auto watched = (*opened)->watch_jobs([this](const std::string& target) {
    writer_.line(base::to_line({{"event", "BLOCK_JOB"}, {"data", {{"target", target}}}}));
  });
  if (!watched) return watched;
  auto backups = BackupServer::of(**opened);
  if (!backups) return std::move(backups).error();
  backups_.reset();
  connection_ = std::move(*opened);
  backups_.emplace(std::move(*backups));
  return {};
}

// A daemon that is just being restarted takes a moment, and may be one of another host.
Result<void> ControlServer::connect_again() {
  Result<void> connected;
  (void)base::look_until(Deadline::in(kRestartTime), kPause, [&] {
    connected = connect();
    return connected.has_value();
  });
  return connected;
}

Result<Json> ControlServer::answer(const std::string& command, const Json& arguments) {
  if (!connection_->is_alive()) {
    if (auto again = connect_again(); !again) return std::move(again).error();
  }
  auto done = execute(command, arguments);
  if (done || connection_->is_alive() || !command.starts_with("query-")) return done;
  if (auto again = connect_again(); !again) return std::move(again).error();
  return execute(command, arguments);
}

void ControlServer::serve() {
  if (const auto connected = connect(); !connected) {
    return writer_.line(base::to_line({{"error", error_json(connected.error())}}));
  }
  writer_.line(base::to_line(greeting(connection_->hypervisor())));
  while (const auto line = requests_.next()) {
    const auto request = base::parse_json(*line, {std::size_t{4} << 20U, 16});
    const auto command =
        request ? base::string_member(*request, "execute") : Result<std::string>(request.error());
    if (!command) {
      writer_.line(base::to_line({{"error", error_json(command.error())}}));
      continue;
    }
    const auto arguments = base::object_member(*request, "arguments");
    const auto done = answer(*command, arguments ? **arguments : Json::object());
    Json message = done ? Json{{"return", *done}} : Json{{"error", error_json(done.error())}};
    if (request->contains("id")) message["id"] = request->at("id");
    writer_.line(base::to_line(message));
  }
}

Result<Json> ControlServer::execute(const std::string& command, const Json& arguments) {
  if (command == "qmp_capabilities") return Json(Json::object());
  if (command == "query-domain") return query_domain();
  if (command == "query-disks") return query_disks();
  if (command == "query-status") {
    const auto state = connection_->state();
    if (!state) return state.error();
    return Json{{"status", *state}};
  }
  if (command == "snapshot-disks") return snapshot_disks(arguments);
  if (command == "commit-disk" || command == "pivot-disk") {
    const auto target = base::string_member(arguments, "target");
    if (!target) return target.error();
    return nothing_or(command == "commit-disk" ? connection_->start_commit(*target)
                                               : connection_->pivot(*target));
  }
  if (auto done = backups_->execute(command, arguments)) return std::move(*done);
  return Error(ErrorCode::kUnsupported, "unknown command '" + command + "'");
}

// The disks, after whatever libvirt is just doing to the domain: asking for a size waits for that,
// asking for the definition does not.
Result<Json> ControlServer::query_disks() {
  auto xml = connection_->live_xml();
  if (!xml) return std::move(xml).error();
  const auto before = read_domain_xml(*xml);
  if (!before) return before.error();
  Json sizes = Json::object();
  for (const XmlDisk& disk : before->disks) {
    if (!disk.skip.empty() || !disk.problem.empty()) continue;
    const auto size = connection_->disk_size(disk.target);
    if (!size) return size.error();
    sizes[disk.target] = *size;
  }
  xml = connection_->live_xml();
  if (!xml) return std::move(xml).error();
  const auto domain = read_domain_xml(*xml);
  if (!domain) return domain.error();
  Json disks = Json::array();
  for (const XmlDisk& disk : domain->disks) {
    Json entry = disk_json(disk);
    entry["size"] = sizes.value(disk.target, std::uint64_t{0});
    disks.push_back(std::move(entry));
  }
  // What the next start would use: as long as an overlay is named there, it is needed.
  Json later = Json::array();
  if (connection_->is_persistent()) {
    const auto inactive = connection_->inactive_xml();
    if (!inactive) return inactive.error();
    const auto parsed = read_domain_xml(*inactive);
    if (!parsed) return parsed.error();
    for (const XmlDisk& disk : parsed->disks) {
      for (const XmlLayer& layer : disk.chain)
        later.push_back(layer.path);
    }
  }
  return Json{{"disks", std::move(disks)},
              {"inactive_paths", std::move(later)},
              {"active", connection_->is_active()}};
}

Result<Json> ControlServer::query_domain() {
  auto answer = query_disks();
  if (!answer) return answer;
  const auto name = connection_->name();
  const auto uuid = connection_->uuid();
  const auto state = connection_->state();
  const auto live = connection_->live_xml();
  const auto inactive = connection_->inactive_xml();
  for (const Result<std::string>* text : {&name, &uuid, &state, &live, &inactive}) {
    if (!*text) return text->error();
  }
  const auto parsed = read_domain_xml(*live);
  if (!parsed) return parsed.error();
  (*answer)["name"] = *name;
  (*answer)["uuid"] = *uuid;
  (*answer)["state"] = *state;
  (*answer)["libvirt"] = connection_->library();
  (*answer)["nvram"] = parsed->nvram;
  (*answer)["nvram_problem"] = parsed->nvram_problem;
  (*answer)["tpm"] = tpm_json(parsed->tpm);
  (*answer)["agent"] = parsed->agent;
  (*answer)["persistent"] = connection_->is_persistent();
  (*answer)["live_xml"] = *live;
  (*answer)["inactive_xml"] = *inactive;
  return answer;
}

Result<Json> ControlServer::snapshot_disks(const Json& arguments) {
  const auto targets = texts_in(arguments, "targets");
  const auto paths = texts_in(arguments, "paths");
  const auto others = texts_in(arguments, "others");
  if (!targets) return targets.error();
  if (!paths) return paths.error();
  if (!others) return others.error();
  if (targets->size() != paths->size()) return Error(ErrorCode::kProtocol, "a path per target");
  std::vector<OverlayOf> disks;
  for (std::size_t i = 0; i < targets->size(); ++i)
    disks.push_back({(*targets)[i], (*paths)[i]});
  return nothing_or(connection_->snapshot(disks, *others));
}

}  // namespace holdfast::host::libvirt
