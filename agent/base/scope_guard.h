// SPDX-License-Identifier: MIT
//
// Runs a function when the scope ends, however it ends, unless dismissed. The function must not
// throw: it runs in a destructor.
#pragma once

#include <utility>

namespace holdfast::base {

template <typename F>
class [[nodiscard]] ScopeGuard {
 public:
  explicit ScopeGuard(F function) : function_(std::move(function)) {}
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;
  ScopeGuard(ScopeGuard&&) = delete;
  ScopeGuard& operator=(ScopeGuard&&) = delete;
  ~ScopeGuard() {
    if (armed_) function_();
  }

  void dismiss() { armed_ = false; }

 private:
  F function_;
  bool armed_ = true;
};

}  // namespace holdfast::base
