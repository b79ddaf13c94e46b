// SPDX-License-Identifier: MIT
#include "definition/gather.h"

#include "definition/still_file.h"
#include "definition/tpm_state.h"

namespace holdfast::host::definition {

namespace {

void gather_tpm_state(Definition& definition, const TpmPlace& place) {
  auto files = read_tpm_state(place);
  if (!files) {
    definition.lacking.push_back("without the state of the TPM: " + files.error().one_line());
    return;
  }
  for (TpmFile& file : *files) {
    definition.files.push_back(
        {file.name, "TPM state", std::move(file.content), std::move(file.source), file.modified});
  }
  definition.about["tpm_state"] = {{"engine", place.engine},
                                   {"directory", place.directory},
                                   {"found_by", place.found_by},
                                   {"encrypted", place.encrypted}};
  if (place.encrypted) {
    definition.lacking.emplace_back("without the key that the state of the TPM is encrypted with");
  }
}

}  // namespace

void gather(Definition& definition, std::size_t limit) {
  std::vector<DefinitionFile> taken;
  for (DefinitionFile& file : definition.files) {
    if (!file.source.empty()) {
      auto still = read_still_file(file.source, limit);
      if (!still) {
        definition.lacking.push_back("without the " + file.what + ": " + still.error().one_line());
        continue;
      }
      file.content = std::move(still->content);
      file.modified = still->modified;
    }
    taken.push_back(std::move(file));
  }
  definition.files = std::move(taken);
  definition.about["tpm_state"] = nullptr;
  if (definition.tpm) gather_tpm_state(definition, *definition.tpm);
}

}  // namespace holdfast::host::definition
