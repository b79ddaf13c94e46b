// SPDX-License-Identifier: MIT
//
// All that runs in a guest of the libvirt tests: the first process of a kernel with a handful of
// modules. It opens the guest agent's port, which is how libvirt knows that an agent is there, and
// passes everything between it and another port, behind which the test's own agent sits.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>

namespace {

constexpr const char* kModules[] = {"virtio_ring",           "virtio",     "virtio_pci_modern_dev",
                                    "virtio_pci_legacy_dev", "virtio_pci", "virtio_console"};

void pause_briefly() {
  const timespec time{0, 5000000};
  (void)::nanosleep(&time, nullptr);
}

void load_modules() {
  for (const char* name : kModules) {
    const std::string path = "/modules/" + std::string(name) + ".ko";
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (::syscall(SYS_finit_module, fd, "", 0) != 0) std::perror(path.c_str());
    (void)::close(fd);
  }
}

std::string first_line(const std::string& path) {
  std::array<char, 100> text{};
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const ssize_t count = fd < 0 ? 0 : ::read(fd, text.data(), text.size());
  if (fd >= 0) (void)::close(fd);
  const std::string line(text.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  return line.substr(0, line.find('\n'));
}

// The port of this name, as soon as it is there.
int open_port(const std::string& wanted) {
  const std::string all = "/sys/class/virtio-ports";
  for (;; pause_briefly()) {
    DIR* const directory = ::opendir(all.c_str());
    if (directory == nullptr) continue;
    int fd = -1;
    while (const dirent* entry = ::readdir(directory)) {
      const std::string port = entry->d_name;
      if (first_line(all + "/" + port + "/name") != wanted) continue;
      fd = ::open(("/dev/" + port).c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    }
    (void)::closedir(directory);
    if (fd >= 0) return fd;
  }
}

// What is there now. False if there was nothing.
bool pass(int from, int to) {
  std::array<char, 65536> piece{};
  const ssize_t count = ::read(from, piece.data(), piece.size());
  if (count <= 0) return false;
  ssize_t done = 0;
  while (done < count) {
    const ssize_t written =
        ::write(to, piece.data() + done, static_cast<std::size_t>(count - done));
    if (written > 0) {
      done += written;
    } else {
      pause_briefly();
    }
  }
  return true;
}

}  // namespace

int main() {
  (void)::mount("devtmpfs", "/dev", "devtmpfs", 0, nullptr);
  (void)::mount("sysfs", "/sys", "sysfs", 0, nullptr);
  load_modules();
  const int agent = open_port("org.qemu.guest_agent.0");
  const int test = open_port("holdfast.test");
  std::puts("relay: both ports are open");
  (void)std::fflush(stdout);
  for (;;) {
    std::array<pollfd, 2> ends{{{agent, POLLIN, 0}, {test, POLLIN, 0}}};
    (void)::poll(ends.data(), ends.size(), -1);
    const bool there = pass(agent, test);
    const bool back = pass(test, agent);
    // POLLHUP: nobody is connected on the host's side, which poll says again and again.
    if (!there && !back) pause_briefly();
  }
}
