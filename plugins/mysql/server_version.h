// SPDX-License-Identifier: MIT
//
// Which server is it, by the text of VERSION().
//
// The flavour comes from the word "MariaDB" in it and never from the number: client libraries
// report MariaDB as 5.5.5, and both products' numbers overlap. For statements that differ between
// versions, trying and falling back on an error is preferred to asking here.
#pragma once

#include <string>
#include <string_view>

namespace holdfast::mysql {

enum class Flavour { kMysql, kMariadb };

struct ServerVersion {
  Flavour flavour = Flavour::kMysql;
  unsigned major = 0;
  unsigned minor = 0;
  unsigned patch = 0;

  [[nodiscard]] bool at_least(unsigned wanted_major, unsigned wanted_minor) const {
    return major != wanted_major ? major > wanted_major : minor >= wanted_minor;
  }
};

// "10.11.19-MariaDB-0+deb12u1-log", "8.4.8", "5.5.5-10.11.19-MariaDB": zeros where there is no
// number.
[[nodiscard]] ServerVersion parse_version(std::string_view text);

// "MariaDB" or "MySQL".
[[nodiscard]] std::string name_of(Flavour flavour);

}  // namespace holdfast::mysql
