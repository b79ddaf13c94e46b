// SPDX-License-Identifier: MIT
#include "run/place.h"

#include "base/text.h"
#include "repository/remembered.h"

namespace holdfast::host::run {

using base::Result;

namespace {

Result<repository::Repository> open_repository(const config::Settings& settings,
                                               bool new_repository) {
  const std::string& path = settings.repository;
  if (new_repository || !repository::is_remembered(settings.state_directory, path)) {
    return repository::Repository::open_or_create(path);
  }
  auto opened = repository::Repository::open(path);
  if (opened) return opened;
  return repository::gone(path, std::move(opened).error());
}

}  // namespace

Result<Place> take_place(const config::Settings& settings, bool new_repository,
                         Observer& observer) {
  auto opened = open_repository(settings, new_repository);
  if (!opened) return std::move(opened).error();
  auto directory = opened->make_vm_directory(settings.vm);
  if (!directory) return std::move(directory).error();
  // A second host, or another state directory, may use the same repository.
  auto locked =
      repository::Lock::acquire(*directory + "/.lock", "'" + settings.vm + "' in this repository");
  if (!locked) return std::move(locked).error();
  auto removed = opened->remove_incomplete(settings.vm);
  if (!removed) return std::move(removed).error();
  for (const std::string& name : *removed)
    observer.note("removed the unfinished '" + base::printable(name) + "'");
  return Place{std::move(*opened), std::move(*locked)};
}

void note_repository(const config::Settings& settings, Observer& observer) {
  if (auto noted = repository::remember(settings.state_directory, settings.repository); !noted) {
    observer.note(noted.error().one_line() +
                  ", continuing: it will not be noticed when the repository is not mounted");
  }
}

}  // namespace holdfast::host::run
