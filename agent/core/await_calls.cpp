// SPDX-License-Identifier: MIT
#include "core/await_calls.h"

#include <algorithm>

namespace holdfast::core {

namespace {

bool all_finished(const std::vector<Resource*>& resources) {
  return std::all_of(resources.begin(), resources.end(),
                     [](const Resource* resource) { return resource->finished(); });
}

bool required_failed(const std::vector<Resource*>& resources) {
  return std::any_of(resources.begin(), resources.end(), [](const Resource* resource) {
    return resource->traits().required && resource->finished() && !resource->outcome();
  });
}

}  // namespace

Awaited await_calls(const std::vector<Resource*>& resources, Bell& bell, const Patience& patience) {
  Awaited awaited;
  const auto finished = [&] { return all_finished(resources); };
  const std::stop_callback on_stop(patience.stop, [&] { bell.ring(); });
  const bool awake = bell.wait_until(patience.deadline, [&] {
    return finished() || patience.stop.stop_requested() ||
           (patience.fail_fast && required_failed(resources));
  });
  awaited.stopped = patience.stop.stop_requested();
  // Calls know their deadline themselves and come back at it: then nobody had to be stopped.
  awaited.timed_out = !awake || std::chrono::steady_clock::now() >= patience.deadline;
  if (finished()) return awaited;
  const auto grace_from_now = [&] { return std::chrono::steady_clock::now() + patience.grace; };
  // At the deadline calls come back by themselves, with a better reason than having been stopped.
  const auto half = std::chrono::steady_clock::now() + patience.grace / 2;
  if (!awake && bell.wait_until(half, finished)) return awaited;
  for (Resource* resource : resources) {
    if (!resource->finished()) resource->cancel();
  }
  if (bell.wait_until(grace_from_now(), finished)) return awaited;
  for (Resource* resource : resources) {
    if (!resource->finished()) resource->interrupt();
  }
  if (bell.wait_until(grace_from_now(), finished)) return awaited;
  for (Resource* resource : resources) {
    if (!resource->finished()) awaited.stuck.push_back(resource);
  }
  return awaited;
}

}  // namespace holdfast::core
