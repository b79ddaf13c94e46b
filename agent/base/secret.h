// SPDX-License-Identifier: MIT
//
// A password or other text that must not be seen. It cannot be formatted, streamed, compared or
// copied by accident; reveal() is the one way in, easy to find in a review. The bytes are
// overwritten before the memory is given back.
#pragma once

#include <string.h>  // explicit_bzero: glibc, not std

#include <string>
#include <utility>

namespace holdfast::base {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {
    // A moved-from short string keeps its bytes in the small buffer.
    wipe(text);
  }
  Secret(Secret&& other) noexcept : text_(std::move(other.text_)) { wipe(other.text_); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      wipe(text_);
      text_ = std::move(other.text_);
      wipe(other.text_);
    }
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { wipe(text_); }

  [[nodiscard]] bool empty() const { return text_.empty(); }
  // Borrowed for one call, such as mysql_real_connect(); never stored, logged or put into argv.
  [[nodiscard]] const char* reveal() const { return text_.c_str(); }

 private:
  static void wipe(std::string& text) {
    text.resize(text.capacity());
    explicit_bzero(text.data(), text.size());
    text.clear();
  }

  std::string text_;
};

}  // namespace holdfast::base
