// SPDX-License-Identifier: MIT
//
// For LD_PRELOAD: a wall clock that jumps when the test says so. CLOCK_REALTIME, and all that is
// made of it, is off by as many seconds as the file HOLDFAST_CLOCK_OFFSET says at that moment
// (eight bytes, mapped). Time namespaces can't do this: they shift the monotonic clock alone, which
// does not jump on Linux while a program runs.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

using Offset = std::atomic<std::int64_t>;
static_assert(Offset::is_always_lock_free && sizeof(Offset) == 8);

const Offset* map_offset() {
  static const Offset kNone = 0;
  const char* path = std::getenv("HOLDFAST_CLOCK_OFFSET");
  if (path == nullptr) return &kNone;
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) std::abort();
  void* page = ::mmap(nullptr, sizeof(Offset), PROT_READ, MAP_SHARED, fd, 0);
  (void)::close(fd);
  if (page == MAP_FAILED) std::abort();
  return static_cast<const Offset*>(page);
}

std::int64_t offset() {
  static const Offset* const kMapped = map_offset();
  return kMapped->load();
}

bool is_wall(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) {
  using Real = int (*)(clockid_t, timespec*);
  static const auto kReal = reinterpret_cast<Real>(::dlsym(RTLD_NEXT, "clock_gettime"));
  const int status = kReal(clock, time);
  if (status == 0 && is_wall(clock)) time->tv_sec += offset();
  return status;
}

int gettimeofday(timeval* time, void* /*zone*/) {
  timespec now{};
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* result) {
  timespec now{};
  (void)clock_gettime(CLOCK_REALTIME, &now);
  if (result != nullptr) *result = now.tv_sec;
  return now.tv_sec;
}
}
