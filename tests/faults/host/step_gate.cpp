// SPDX-License-Identifier: MIT
//
// For LD_PRELOAD: stops `holdfast` where it changes files or starts a program, and tells the
// campaign. What it does there goes on when the campaign says so: HOLDFAST_STEP_GATE is the path of
// a unix socket, which hears one line per connection and answers by closing it. Where nobody
// listens, nothing stops.
//
//   "rename FROM TO"   "unlink PATH"   "mkdir PATH"   "run PROGRAM FIRST-ARGUMENT"
//
// In the child of a fork too, and so nothing here but what signal handlers may call.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace {

const char* gate() {
  // Not in the programs that holdfast starts.
  static const char* const kPath = std::strcmp(program_invocation_short_name, "holdfast") == 0
                                       ? std::getenv("HOLDFAST_STEP_GATE")
                                       : nullptr;
  return kPath;
}

void say(int fd, const char* text) {
  (void)!::send(fd, text, std::strlen(text), MSG_NOSIGNAL);
}

void stop_at(const char* what, const char* first, const char* second) {
  if (gate() == nullptr) return;
  const int problem = errno;
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, gate(), sizeof address.sun_path - 1);
  if (fd >= 0 && ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    const std::initializer_list<const char*> parts{what, " ", first, " ", second, "\n"};
    for (const char* part : parts)
      say(fd, part);
    char byte = 0;
    while (::recv(fd, &byte, 1, 0) < 0 && errno == EINTR) {
    }
  }
  if (fd >= 0) (void)::close(fd);
  errno = problem;
}

template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

#define HOLDFAST_IN_PLACE __attribute__((visibility("default")))

extern "C" {

HOLDFAST_IN_PLACE int rename(const char* from, const char* to) {
  stop_at("rename", from, to);
  static auto* const kReal = real<int(const char*, const char*)>("rename");
  return kReal(from, to);
}

HOLDFAST_IN_PLACE int renameat2(int from_at, const char* from, int to_at, const char* to,
                                unsigned flags) {
  stop_at("rename", from, to);
  static auto* const kReal = real<int(int, const char*, int, const char*, unsigned)>("renameat2");
  return kReal(from_at, from, to_at, to, flags);
}

HOLDFAST_IN_PLACE int unlink(const char* path) {
  stop_at("unlink", path, "");
  static auto* const kReal = real<int(const char*)>("unlink");
  return kReal(path);
}

HOLDFAST_IN_PLACE int unlinkat(int at, const char* path, int flags) {
  stop_at("unlink", path, "");
  static auto* const kReal = real<int(int, const char*, int)>("unlinkat");
  return kReal(at, path, flags);
}

HOLDFAST_IN_PLACE int mkdir(const char* path, mode_t mode) {
  stop_at("mkdir", path, "");
  static auto* const kReal = real<int(const char*, mode_t)>("mkdir");
  return kReal(path, mode);
}

HOLDFAST_IN_PLACE int execvpe(const char* program, char* const* argv, char* const* environment) {
  stop_at("run", program, argv[0] != nullptr && argv[1] != nullptr ? argv[1] : "");
  using Call = int(const char*, char* const*, char* const*);
  static auto* const kReal = real<Call>("execvpe");
  return kReal(program, argv, environment);
}

}  // extern "C"
