// SPDX-License-Identifier: MIT
//
// One connection to libvirt and one domain of it, as far as a backup needs them. Everything that
// libvirt says goes through here and comes out as an Error of one line; libvirt itself prints
// nothing.
//
// A daemon that hangs is noticed by keep-alive messages, after kKeepAlive times kKeepAlives; the
// call that waits for it fails then, and so does every later one. (libvirt: virConnectSetKeepAlive,
// which needs the event loop that runs here.)
//
// Threads: calls on one thread; events arrive on another, inside. Ownership: owns the connection.
// Errors: kUnreachable for the connection, kNotFound for the domain, kRefused with libvirt's words.
#pragma once

#include <libvirt/libvirt.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "bridge/snapshot_xml.h"

namespace holdfast::host::libvirt {

struct ConnectionClose {
  void operator()(virConnectPtr connection) const { (void)virConnectClose(connection); }
};
struct DomainFree {
  void operator()(virDomainPtr domain) const { (void)virDomainFree(domain); }
};

struct DomainAddress {
  std::string uri;
  std::string domain;  // its name or UUID
};

class Connection {
 public:
  [[nodiscard]] static base::Result<std::unique_ptr<Connection>> open(const DomainAddress& address);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() = default;

  // For calls that have their own file; valid as long as this is.
  [[nodiscard]] virConnectPtr handle() const { return connection_.get(); }
  [[nodiscard]] virDomainPtr domain() const { return domain_.get(); }

  // "7.2.22" of QEMU, "9.0.0" of libvirt at the other side.
  [[nodiscard]] const std::string& hypervisor() const { return hypervisor_; }
  [[nodiscard]] const std::string& library() const { return library_; }

  // False once the daemon has gone, or hangs: open another one.
  [[nodiscard]] bool is_alive() const;
  [[nodiscard]] base::Result<std::string> name() const;
  [[nodiscard]] base::Result<std::string> uuid() const;
  // "running", "paused", "shut off", …
  [[nodiscard]] base::Result<std::string> state() const;
  [[nodiscard]] bool is_active() const;
  [[nodiscard]] bool is_persistent() const;
  // What runs now, or what will at the next start. Without passwords.
  [[nodiscard]] base::Result<std::string> live_xml() const;
  [[nodiscard]] base::Result<std::string> inactive_xml() const;
  // The size that the guest sees. Waits until whatever is being done to the domain is done.
  [[nodiscard]] base::Result<std::uint64_t> disk_size(const std::string& target) const;

  // Puts overlays that exist on top of these disks, all or none, and leaves the others alone. Takes
  // no note of it in libvirt's own list of snapshots.
  [[nodiscard]] base::Result<void> snapshot(const std::vector<OverlayOf>& disks,
                                            const std::vector<std::string>& others);
  // Starts to bring the topmost image back into the one below. It goes on by itself.
  [[nodiscard]] base::Result<void> start_commit(const std::string& target);
  // Ends a commit that is ready: the image below is on top again. Waits for that.
  [[nodiscard]] base::Result<void> pivot(const std::string& target);

  // The guest agent's answer to a command, both as JSON. kGuest: it refused, with its words.
  // Everything else: it is out of reach.
  [[nodiscard]] base::Result<std::string> ask_agent(const std::string& command, int seconds);

  // Called on a thread of its own whenever a job on a disk changes.
  [[nodiscard]] base::Result<void> watch_jobs(
      std::function<void(const std::string& target)> on_change);

 private:
  Connection() = default;

  std::unique_ptr<virConnect, ConnectionClose> connection_;
  std::unique_ptr<virDomain, DomainFree> domain_;
  std::string hypervisor_;
  std::string library_;
};

}  // namespace holdfast::host::libvirt
