// SPDX-License-Identifier: MIT
//
// Result<T>: a value or an Error, with the surface of std::expected (which g++ 12 lacks).
//
// For everything that can fail at run time. Exceptions remain for broken invariants and for memory
// that has run out. Reading the value of a failed Result is such a broken invariant and throws.
#pragma once

#include <functional>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/error.h"

namespace holdfast::base {

template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  // Implicit, like std::expected's: `return value;` where a Result is returned.
  template <typename U = T>
  requires(std::is_constructible_v<T, U&&> && !std::is_same_v<std::remove_cvref_t<U>, Result> &&
           !std::is_same_v<std::remove_cvref_t<U>, Error>) Result(U&& value)
      : state_(std::in_place_index<0>, std::forward<U>(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  [[nodiscard]] T& value() & { return checked<0>(state_); }
  [[nodiscard]] const T& value() const& { return checked<0>(state_); }
  [[nodiscard]] T&& value() && { return std::move(checked<0>(state_)); }

  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] T&& operator*() && { return std::move(*this).value(); }
  [[nodiscard]] T* operator->() { return &value(); }
  [[nodiscard]] const T* operator->() const { return &value(); }

  [[nodiscard]] Error& error() & { return checked<1>(state_); }
  [[nodiscard]] const Error& error() const& { return checked<1>(state_); }
  [[nodiscard]] Error&& error() && { return std::move(checked<1>(state_)); }

  template <typename U>
  [[nodiscard]] T value_or(U&& otherwise) const& {
    return has_value() ? value() : static_cast<T>(std::forward<U>(otherwise));
  }

 private:
  template <std::size_t I, typename State>
  static auto& checked(State& state) {
    if (state.index() != I) throw std::logic_error("the other side of a Result was read");
    return std::get<I>(state);
  }

  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  [[nodiscard]] bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }

  [[nodiscard]] Error& error() & {
    require_error();
    return *error_;
  }
  [[nodiscard]] const Error& error() const& {
    require_error();
    return *error_;
  }
  [[nodiscard]] Error&& error() && {
    require_error();
    return std::move(*error_);
  }

 private:
  void require_error() const {
    if (!error_) throw std::logic_error("the other side of a Result was read");
  }

  std::optional<Error> error_;
};

}  // namespace holdfast::base
