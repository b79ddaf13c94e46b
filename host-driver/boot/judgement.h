// SPDX-License-Identifier: MIT
//
// What a guest's answer proves of a backup, judged together with what the backup's own record says
// of the window: the freeze record on the guest's disk has to be that of this window, every
// resource that was held then has to be there, and each has to be up, sound, and where it stood.
//
// Pure. Threads: plain functions. Every text of the guest's is bounded and printable when it leaves
// here.
#pragma once

#include <string>
#include <vector>

#include "base/json_codec.h"
#include "boot/guest.h"
#include "repository/proof.h"

namespace holdfast::host::boot {

struct Judgement {
  repository::ProofResult result = repository::ProofResult::kFailed;
  std::vector<std::string> reasons;  // why it is not proven
  std::vector<std::string> notes;    // what was not looked at
  // What each resource came to, in short; null: nobody said anything.
  base::Json guest;
};

// `record` is the backup's guest_record; null: there is none.
[[nodiscard]] Judgement judge(const base::Json& record, const GuestAnswer& answer);

}  // namespace holdfast::host::boot
