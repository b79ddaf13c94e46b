// SPDX-License-Identifier: MIT
//
// The machine's place in its repository, locked: what a run of whatever kind begins with.
//
// Threads: one at a time. Ownership: the lock is held as long as the object lives.
#pragma once

#include "config/settings.h"
#include "repository/lock.h"
#include "repository/repository.h"
#include "run/observer.h"

namespace holdfast::host::run {

struct Place {
  repository::Repository repository;
  repository::Lock lock;
};

// Removes what earlier runs left unpublished. `new_repository`: it may be made anew though this
// host has published backups in it. kLocked is not waited for.
[[nodiscard]] base::Result<Place> take_place(const config::Settings& settings, bool new_repository,
                                             Observer& observer);

// That a backup has been published there.
void note_repository(const config::Settings& settings, Observer& observer);

}  // namespace holdfast::host::run
