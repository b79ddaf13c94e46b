// SPDX-License-Identifier: MIT
#include "bridge/connection.h"

#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>

#include <array>
#include <thread>

#include "bridge/said.h"

namespace holdfast::host::libvirt {

using base::Error;
using base::ErrorCode;
using base::Result;

namespace {

constexpr int kKeepAlive = 5;
constexpr unsigned kKeepAlives = 3;

void say_nothing(void*, virErrorPtr) {}

// 1002003 is 1.2.3 (libvirt: virGetVersion).
std::string version_text(unsigned long version) {
  return std::to_string(version / 1000000) + "." + std::to_string(version / 1000 % 1000) + "." +
         std::to_string(version % 1000);
}

std::string state_name(int state) {
  switch (state) {
    case VIR_DOMAIN_RUNNING:
      return "running";
    case VIR_DOMAIN_BLOCKED:
      return "blocked";
    case VIR_DOMAIN_PAUSED:
      return "paused";
    case VIR_DOMAIN_SHUTDOWN:
      return "in shutdown";
    case VIR_DOMAIN_SHUTOFF:
      return "shut off";
    case VIR_DOMAIN_CRASHED:
      return "crashed";
    case VIR_DOMAIN_PMSUSPENDED:
      return "suspended";
    default:
      return "in no known state";
  }
}

void on_job(virConnectPtr, virDomainPtr, const char* target, int, int, void* opaque) {
  const auto* const call = static_cast<const std::function<void(const std::string&)>*>(opaque);
  (*call)(target == nullptr ? "" : target);
}

void free_call(void* opaque) {
  delete static_cast<std::function<void(const std::string&)>*>(opaque);
}

// The event loop of the process: for keep-alive messages and events.
bool run_events() {
  if (virEventRegisterDefaultImpl() < 0) return false;
  std::thread([] {
    while (virEventRunDefaultImpl() == 0) {
    }
  }).detach();
  return true;
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(const DomainAddress& address) {
  virSetErrorFunc(nullptr, say_nothing);
  static const bool kReady = virInitialize() == 0 && run_events();
  if (!kReady) return Error(ErrorCode::kInternal, last_words());
  std::unique_ptr<Connection> self(new Connection);
  self->connection_.reset(virConnectOpen(address.uri.c_str()));
  if (!self->connection_) return Error(ErrorCode::kUnreachable, last_words());
  virConnectPtr connection = self->connection_.get();
  // A driver that lives in this process (test:///) needs none, and says so with 1.
  if (virConnectSetKeepAlive(connection, kKeepAlive, kKeepAlives) < 0) {
    return Error(ErrorCode::kUnreachable, last_words());
  }
  self->domain_.reset(virDomainLookupByName(connection, address.domain.c_str()));
  if (!self->domain_) {
    const std::string reason = last_words();
    self->domain_.reset(virDomainLookupByUUIDString(connection, address.domain.c_str()));
    if (!self->domain_) return Error(ErrorCode::kNotFound, reason);
  }
  unsigned long version = 0;
  if (virConnectGetVersion(connection, &version) == 0) self->hypervisor_ = version_text(version);
  if (virConnectGetLibVersion(connection, &version) == 0) self->library_ = version_text(version);
  return self;
}

bool Connection::is_alive() const {
  return virConnectIsAlive(connection_.get()) == 1;
}

Result<std::string> Connection::name() const {
  const char* const text = virDomainGetName(domain_.get());
  if (text == nullptr) return refused();
  return std::string(text);
}

Result<std::string> Connection::uuid() const {
  std::array<char, VIR_UUID_STRING_BUFLEN> text{};
  if (virDomainGetUUIDString(domain_.get(), text.data()) < 0) return refused();
  return std::string(text.data());
}

Result<std::string> Connection::state() const {
  int state = VIR_DOMAIN_NOSTATE;
  if (virDomainGetState(domain_.get(), &state, nullptr, 0) < 0) return refused();
  return state_name(state);
}

bool Connection::is_active() const {
  return virDomainIsActive(domain_.get()) == 1;
}

bool Connection::is_persistent() const {
  return virDomainIsPersistent(domain_.get()) == 1;
}

Result<std::string> Connection::live_xml() const {
  return taken(virDomainGetXMLDesc(domain_.get(), 0));
}

Result<std::string> Connection::inactive_xml() const {
  return taken(virDomainGetXMLDesc(domain_.get(), VIR_DOMAIN_XML_INACTIVE));
}

Result<std::uint64_t> Connection::disk_size(const std::string& target) const {
  virDomainBlockInfo info{};
  if (virDomainGetBlockInfo(domain_.get(), target.c_str(), &info, 0) < 0) return refused();
  return static_cast<std::uint64_t>(info.capacity);
}

Result<void> Connection::snapshot(const std::vector<OverlayOf>& disks,
                                  const std::vector<std::string>& others) {
  const std::string xml = snapshot_xml(disks, others);
  virDomainSnapshotPtr taken = virDomainSnapshotCreateXML(
      domain_.get(), xml.c_str(),
      VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC |
          VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA | VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT);
  if (taken == nullptr) return refused();
  (void)virDomainSnapshotFree(taken);
  return {};
}

Result<void> Connection::start_commit(const std::string& target) {
  if (virDomainBlockCommit(domain_.get(), target.c_str(), nullptr, nullptr, 0,
                           VIR_DOMAIN_BLOCK_COMMIT_ACTIVE | VIR_DOMAIN_BLOCK_COMMIT_SHALLOW) < 0) {
    return refused();
  }
  return {};
}

Result<void> Connection::pivot(const std::string& target) {
  if (virDomainBlockJobAbort(domain_.get(), target.c_str(), VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT) < 0) {
    return refused();
  }
  return {};
}

Result<std::string> Connection::ask_agent(const std::string& command, int seconds) {
  const Text answer(virDomainQemuAgentCommand(domain_.get(), command.c_str(), seconds, 0));
  if (answer) return std::string(answer.get());
  const virError* const error = virGetLastError();
  // What the agent itself refuses has no code of its own (libvirt: qemuAgentCheckError).
  const bool by_the_guest =
      error != nullptr && error->domain == VIR_FROM_QEMU && error->code == VIR_ERR_INTERNAL_ERROR;
  return Error(by_the_guest ? ErrorCode::kGuest : ErrorCode::kUnreachable, last_words());
}

Result<void> Connection::watch_jobs(std::function<void(const std::string& target)> on_change) {
  // Libvirt owns it from here on: an event may be under way when this connection goes.
  auto call = std::make_unique<std::function<void(const std::string&)>>(std::move(on_change));
  const int number = virConnectDomainEventRegisterAny(
      connection_.get(), domain_.get(), VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2,
      VIR_DOMAIN_EVENT_CALLBACK(on_job), call.get(), free_call);
  if (number < 0) return refused();
  (void)call.release();
  return {};
}

}  // namespace holdfast::host::libvirt
