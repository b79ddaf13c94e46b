// SPDX-License-Identifier: MIT
#include "base/command_line.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast::base {

std::string complaint_about(const std::vector<std::string>& words, const std::exception& problem) {
  const auto suspect = std::find_if(words.begin(), words.end(), [](const std::string& word) {
    return word.find('%') != std::string::npos;
  });
  if (suspect == words.end()) return printable(problem.what());
  return "the command line is not understood: an option is not known, or its value is wrong, "
         "perhaps " +
         in_quotes(*suspect);
}

}  // namespace holdfast::base
