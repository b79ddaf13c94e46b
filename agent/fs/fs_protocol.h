// SPDX-License-Identifier: MIT
//
// What holdfastd and holdfast-fsd say to each other: messages of one fixed size over a
// SOCK_SEQPACKET socket, so that the side with CAP_SYS_ADMIN parses nothing. One request, one
// reply, in order.
//
// holdfast-fsd keeps one set of opened filesystems and one dead-man timer, whoever is connected. A
// client that goes away leaves both as they are: the timer has to fire even when holdfastd is dead,
// and the next holdfastd may close what the last one opened.
//
//   kOpen   path         opens a mount point and adds it to the set; ENOSPC beyond kFsMost
//   kSync                syncfs(2) of all of them, in parallel; EBUSY while an earlier one runs
//   kArm    value = ms   thaw everything that long from now (1 ms to 1 h); again: from now, anew
//   kThaw                FITHAW on all of them, now; `count` is how many were frozen
//   kClose               the timer is dropped, the set emptied; nothing is thawed
//   kAwaitFreeze         answers as soon as the filesystem opened last is seen to be frozen (see
//                        freeze_watch.h), and takes no other request before that; one client at a
//                        time, a later one takes the place (ECANCELED); kClose ends it, too. EBADF
//                        if the set is empty
//
// Who may connect: root, and the owner of the socket file. The socket comes from systemd
// (LISTEN_FDS, holdfast-fs.socket), or is made by holdfast-fsd itself with --socket=PATH.
//
// Both ends are of one package and run on one machine: host byte order, and a version that has to
// be equal.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

namespace holdfast::fs {

inline constexpr const char* kDefaultFsSocket = "/run/holdfast-fs/fs.sock";
inline constexpr std::uint32_t kFsVersion = 1;
inline constexpr std::uint32_t kFsMost = 64;
inline constexpr std::uint64_t kArmMostMs = 3'600'000;

enum class FsOp : std::uint32_t {
  kOpen = 1,
  kSync = 2,
  kArm = 3,
  kThaw = 4,
  kClose = 5,
  kAwaitFreeze = 6
};

struct FsRequest {
  std::uint32_t version = kFsVersion;
  FsOp op = FsOp::kClose;
  std::uint64_t value = 0;
  // kOpen: absolute, ended by a NUL.
  std::array<char, 1024> path{};
};

struct FsReply {
  std::uint32_t version = kFsVersion;
  // 0, or the errno of the first filesystem that failed.
  std::int32_t error_number = 0;
  // kOpen: how many are open now. kThaw: how many were frozen. kSync: how many were synced.
  std::uint32_t count = 0;
  // Which one failed, counted from 0 in the order of kOpen; kFsMost if none or not known.
  std::uint32_t which = kFsMost;
};

static_assert(std::is_trivially_copyable_v<FsRequest> && sizeof(FsRequest) == 1040);
static_assert(std::is_trivially_copyable_v<FsReply> && sizeof(FsReply) == 16);

}  // namespace holdfast::fs
