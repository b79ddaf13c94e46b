// SPDX-License-Identifier: MIT
#include <iostream>

#include "command/commands.h"
#include "repository/lock.h"
#include "repository/prune.h"

namespace holdfast::host::command {

using base::Result;
using repository::Repository;

namespace {

Result<int> set(const Invocation& invocation, bool wanted) {
  const std::string& vm = invocation.arguments[0];
  const auto settings = settings_for(invocation, vm, Needs::kRepository);
  if (!settings) return settings.error();
  const auto repository = Repository::open(settings->repository);
  if (!repository) return repository.error();
  const auto directory = repository->vm_directory(vm);
  if (!directory) return directory.error();
  // A prune that is under way has read the marks already.
  const auto lock =
      repository::Lock::acquire(*directory + "/.lock", "'" + vm + "' in this repository");
  if (!lock) return lock.error();
  const auto backup = repository->find(vm, invocation.arguments[1]);
  if (!backup) return backup.error();
  if (auto done = repository::set_protected(*backup, wanted); !done) {
    return std::move(done).error();
  }
  if (invocation.json) {
    std::cout << base::to_document(
        {{"vm", vm}, {"id", backup->manifest.id}, {"protected", wanted}});
  } else if (!invocation.quiet) {
    std::cout << vm << ": " << backup->manifest.id << ": "
              << (wanted ? "protected" : "not protected") << std::endl;
  }
  return 0;
}

}  // namespace

Result<int> protect(const Invocation& invocation, Environment&) {
  return set(invocation, true);
}

Result<int> unprotect(const Invocation& invocation, Environment&) {
  return set(invocation, false);
}

}  // namespace holdfast::host::command
