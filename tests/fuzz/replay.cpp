// SPDX-License-Identifier: MIT
//
// Runs a fuzz target over files, and over those in directories, where no libFuzzer is at hand.
// An input that breaks a property ends the process, after its name has been printed.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void run(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::uint8_t> input{std::istreambuf_iterator<char>(file),
                                  std::istreambuf_iterator<char>()};
  (void)std::fprintf(stderr, "%s\n", path.c_str());
  (void)LLVMFuzzerTestOneInput(input.data(), input.size());
  // Every beginning of a message is a message that was cut off.
  for (std::size_t size = 0; size < input.size() && input.size() <= 512; ++size) {
    const std::vector<std::uint8_t> cut(input.begin(),
                                        input.begin() + static_cast<std::ptrdiff_t>(size));
    (void)LLVMFuzzerTestOneInput(cut.data(), cut.size());
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t count = 0;
  for (int i = 1; i < argc; ++i) {
    const std::filesystem::path given(argv[i]);
    if (!std::filesystem::is_directory(given)) {
      run(given);
      ++count;
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(given)) {
      run(entry.path());
      ++count;
    }
  }
  (void)std::printf("%zu inputs\n", count);
  return count > 0 ? 0 : 1;
}
