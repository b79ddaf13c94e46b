// SPDX-License-Identifier: MIT
#include "bridge/backups.h"

#include <libvirt/virterror.h>

#include <algorithm>
#include <utility>

#include "bridge/said.h"

namespace holdfast::host::libvirt {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

struct CheckpointFree {
  void operator()(virDomainCheckpointPtr checkpoint) const {
    (void)virDomainCheckpointFree(checkpoint);
  }
};
using Checkpoint = std::unique_ptr<virDomainCheckpoint, CheckpointFree>;

// The list that virDomainListAllCheckpoints allocates.
struct CheckpointList {
  virDomainCheckpointPtr* entries = nullptr;
  int count = 0;

  CheckpointList() = default;
  CheckpointList(const CheckpointList&) = delete;
  CheckpointList& operator=(const CheckpointList&) = delete;
  ~CheckpointList() {
    for (int i = 0; i < count; ++i)
      (void)virDomainCheckpointFree(entries[i]);
    std::free(entries);  // libvirt's list is malloc's
  }
};

struct Parameters {
  virTypedParameterPtr entries = nullptr;
  int count = 0;

  Parameters() = default;
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;
  ~Parameters() { virTypedParamsFree(entries, count); }

  [[nodiscard]] std::uint64_t number(const char* name) const {
    unsigned long long value = 0;
    (void)virTypedParamsGetULLong(entries, count, name, &value);
    return value;
  }
};

bool is_of_backup(virTypedParameterPtr parameters, int count) {
  int operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN;
  (void)virTypedParamsGetInt(parameters, count, VIR_DOMAIN_JOB_OPERATION, &operation);
  return operation == VIR_DOMAIN_JOB_OPERATION_BACKUP;
}

std::optional<BackupEnd> end_in(virTypedParameterPtr parameters, int count) {
  int success = 0;
  if (!is_of_backup(parameters, count) ||
      virTypedParamsGetBoolean(parameters, count, VIR_DOMAIN_JOB_SUCCESS, &success) != 1) {
    return std::nullopt;
  }
  const char* error = nullptr;
  (void)virTypedParamsGetString(parameters, count, VIR_DOMAIN_JOB_ERRMSG, &error);
  return BackupEnd{success != 0, error == nullptr ? "" : error};
}

void free_memory(void* opaque) {
  delete static_cast<std::shared_ptr<void>*>(opaque);
}

}  // namespace

void Backups::on_end(virConnectPtr, virDomainPtr, virTypedParameterPtr parameters, int count,
                     void* opaque) {
  auto ended = end_in(parameters, count);
  if (!ended) return;
  auto* const memory = static_cast<Memory*>(static_cast<std::shared_ptr<void>*>(opaque)->get());
  const std::lock_guard lock(memory->mutex);
  memory->ended = std::move(ended);
}

Result<Backups> Backups::of(Connection& connection) {
  Backups self(connection);
  // Libvirt owns it from here on: an event may be under way when the connection goes.
  auto memory = std::make_unique<std::shared_ptr<void>>(self.memory_);
  const int number = virConnectDomainEventRegisterAny(
      connection.handle(), connection.domain(), VIR_DOMAIN_EVENT_ID_JOB_COMPLETED,
      VIR_DOMAIN_EVENT_CALLBACK(on_end), memory.get(), free_memory);
  if (number < 0) return refused();
  (void)memory.release();
  return self;
}

Result<void> Backups::begin(const std::vector<BackupTarget>& targets,
                            const std::optional<NewCheckpoint>& checkpoint, std::uint64_t rate) {
  const std::string backup = backup_xml(targets);
  const std::string with = checkpoint ? checkpoint_xml(*checkpoint) : std::string();
  {
    const std::lock_guard lock(memory_->mutex);
    memory_->ended.reset();
  }
  if (virDomainBackupBegin(domain(), backup.c_str(), checkpoint ? with.c_str() : nullptr,
                           VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL) < 0) {
    return refused();
  }
  std::vector<std::string> disks;
  disks.reserve(targets.size());
  for (const BackupTarget& target : targets)
    disks.push_back(target.disk);
  // Where it is refused there is time for it later.
  if (rate > 0) (void)limit(disks, rate);
  return {};
}

Result<void> Backups::limit(const std::vector<std::string>& disks, std::uint64_t rate) {
  for (const std::string& disk : disks) {
    if (virDomainBlockJobSetSpeed(domain(), disk.c_str(), rate,
                                  VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES) == 0) {
      continue;
    }
    // A small disk is done by now (libvirt: "does not have an active block job").
    const virError* const error = virGetLastError();
    if (error == nullptr || error->code != VIR_ERR_INVALID_ARG) return refused();
  }
  return {};
}

std::optional<BackupEnd> Backups::last_end() const {
  {
    const std::lock_guard lock(memory_->mutex);
    if (memory_->ended) return memory_->ended;
  }
  Parameters found;
  int type = VIR_DOMAIN_JOB_NONE;
  if (virDomainGetJobStats(domain(), &type, &found.entries, &found.count,
                           VIR_DOMAIN_JOB_STATS_COMPLETED | VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED) <
      0) {
    return std::nullopt;
  }
  return end_in(found.entries, found.count);
}

Result<BackupStatus> Backups::status() const {
  Parameters now;
  int type = VIR_DOMAIN_JOB_NONE;
  // Refused for a machine that does not run: no job does, either.
  if (virDomainGetJobStats(domain(), &type, &now.entries, &now.count, 0) < 0 &&
      connection_->is_active()) {
    return refused();
  }
  BackupStatus status;
  if (type == VIR_DOMAIN_JOB_NONE) {
    status.ended = last_end();
    return status;
  }
  if (!is_of_backup(now.entries, now.count)) {
    status.state = BackupState::kOther;
    return status;
  }
  status.done = now.number(VIR_DOMAIN_JOB_DISK_PROCESSED);
  status.total = now.number(VIR_DOMAIN_JOB_DISK_TOTAL);
  const auto xml = taken(virDomainBackupGetXMLDesc(domain(), 0));
  // Either not yet or, if it has ended since, not any more: the next look will tell.
  status.state = xml ? BackupState::kRunning : BackupState::kBeginning;
  if (!xml) return status;
  auto targets = read_backup_targets(*xml);
  if (!targets) return std::move(targets).error();
  status.targets = std::move(*targets);
  return status;
}

Result<void> Backups::abort() {
  if (virDomainAbortJob(domain()) < 0) return refused();
  return {};
}

Result<std::vector<XmlCheckpoint>> Backups::checkpoints() const {
  CheckpointList list;
  list.count = virDomainListAllCheckpoints(domain(), &list.entries, 0);
  if (list.count < 0) {
    list.count = 0;
    return refused();
  }
  std::vector<XmlCheckpoint> found;
  const unsigned with_size = connection_->is_active() ? VIR_DOMAIN_CHECKPOINT_XML_SIZE : 0;
  for (int i = 0; i < list.count; ++i) {
    const unsigned flags = VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN;
    auto xml = taken(virDomainCheckpointGetXMLDesc(list.entries[i], flags | with_size));
    // A disk of it may be gone: then nobody knows its size.
    if (!xml) xml = taken(virDomainCheckpointGetXMLDesc(list.entries[i], flags));
    if (!xml) return std::move(xml).error();
    auto checkpoint = read_checkpoint(*xml);
    if (!checkpoint) return std::move(checkpoint).error();
    found.push_back(std::move(*checkpoint));
  }
  return found;
}

Result<void> Backups::remove_checkpoint(const std::string& name) {
  const Checkpoint checkpoint(virDomainCheckpointLookupByName(domain(), name.c_str(), 0));
  if (!checkpoint) return refused();
  if (virDomainCheckpointDelete(checkpoint.get(), 0) == 0) return {};
  Error error = refused();
  if (!connection_->is_active()) return error;
  const auto all = checkpoints();
  if (!all) return std::move(error).also(all.error());
  const auto now = std::find_if(all->begin(), all->end(),
                                [&](const XmlCheckpoint& entry) { return entry.name == name; });
  // If every bitmap is as it should be, there is another reason, and it may pass.
  const bool lacks =
      now != all->end() && std::any_of(now->disks.begin(), now->disks.end(),
                                       [](const CheckpointDisk& disk) { return !disk.changed; });
  if (!lacks) return error;
  const auto xml = taken(virDomainCheckpointGetXMLDesc(checkpoint.get(), 0));
  if (!xml) return std::move(error).also(xml.error());
  return remove_piece_by_piece(*xml, *now);
}

// Libvirt refuses to delete a checkpoint one of whose bitmaps is missing, be it lost with the
// machine's power or with the disk: so disk by disk, and at last its own note of it.
Result<void> Backups::remove_piece_by_piece(const std::string& xml,
                                            const XmlCheckpoint& checkpoint) {
  for (const CheckpointDisk& disk : checkpoint.disks) {
    const auto one = checkpoint_of_one_disk(xml, disk.disk);
    if (!one) return one.error();
    const Checkpoint piece(virDomainCheckpointCreateXML(domain(), one->c_str(),
                                                        VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE));
    if (!piece) return refused();
    if (virDomainCheckpointDelete(piece.get(), 0) == 0) continue;
    if (virDomainCheckpointDelete(piece.get(), VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY) < 0) {
      return refused();
    }
  }
  return {};
}

}  // namespace holdfast::host::libvirt
