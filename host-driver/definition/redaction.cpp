// SPDX-License-Identifier: MIT
#include "definition/redaction.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace holdfast::host::definition {

using base::Json;

namespace {

constexpr base::JsonLimits kLimits{std::size_t{16} << 20U, 64};
constexpr std::string_view kJsonName = "json:";

template <std::size_t kSize>
bool is_one_of(std::string_view text, const std::array<std::string_view, kSize>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool is_switch(std::string_view value) {
  static constexpr std::array<std::string_view, 6> kSwitches{"on", "off",  "yes",
                                                             "no", "true", "false"};
  return is_one_of(value, kSwitches);
}

// Called like a secret? What nobody has thought of yet is rather taken out once too often.
bool sounds_secret(std::string_view name) {
  static constexpr std::array<std::string_view, 11> kParts{
      "passw",  "passphrase", "secret",  "token",       "cookie",     "credential",
      "apikey", "api-key",    "api_key", "private-key", "private_key"};
  std::string text(name);
  std::transform(text.begin(), text.end(), text.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  });
  if (text.ends_with("pass") && !text.ends_with("bypass")) return true;
  return std::any_of(kParts.begin(), kParts.end(),
                     [&](std::string_view part) { return text.find(part) != std::string::npos; });
}

// Of QEMU's options; may be dotted: "file.password".
bool is_secret_key(std::string_view key, std::string_view option) {
  const std::string_view last = key.substr(key.rfind('.') + 1);
  // The names of objects that hold one.
  if (last.ends_with("-secret") || last == "passwordid") return false;
  if (sounds_secret(last)) return true;
  if (option == "-object" && last == "data") return true;
  if (option == "-fw_cfg" && last == "string") return true;
  return option == "-smbios" && last == "value";
}

// What stands between `begin` and `end`; was it there?
bool cut(std::string& text, std::size_t begin, std::size_t end) {
  if (begin >= end || text.compare(begin, end - begin, kRedacted) == 0) return false;
  text.replace(begin, end - begin, kRedacted);
  return true;
}

// "https", of the address whose "://" is at `at`.
std::string_view scheme_before(std::string_view text, std::size_t at) {
  std::size_t begin = at;
  while (begin > 0 && (std::isalnum(static_cast<unsigned char>(text[begin - 1])) != 0 ||
                       text[begin - 1] == '+')) {
    --begin;
  }
  return text.substr(begin, at - begin);
}

// "iscsi://user%password@host", "https://user:password@host": all before the '@'. A name alone may
// be a token, except where people log in. Of the web, what follows a '?' as well: there an address
// is signed.
bool redact_urls(std::string& text) {
  bool any = false;
  for (std::size_t at = text.find("://"); at != std::string::npos; at = text.find("://", at + 3)) {
    const std::string scheme(scheme_before(text, at));
    const std::size_t begin = at + 3;
    const std::size_t end = std::min(text.find_first_of("/ \t\"?#", begin), text.size());
    const std::size_t host = std::string_view(text).substr(begin, end - begin).rfind('@');
    if (host != std::string::npos) {
      const bool login = scheme.ends_with("ssh") || scheme == "sftp";
      const bool bare =
          std::string_view(text).substr(begin, host).find_first_of(":%") == std::string::npos;
      if (!login || !bare) any = cut(text, begin, begin + host) || any;
    }
    if (!scheme.starts_with("http") && !scheme.starts_with("ftp")) continue;
    const std::size_t stop = std::min(text.find_first_of(" \t\"", begin), text.size());
    const std::size_t query = text.find('?', begin);
    if (query < stop) any = cut(text, query + 1, stop) || any;
  }
  return any;
}

// dracut's "iscsi:user:password@host:…", which is no address.
bool redact_netroot(std::string& text) {
  constexpr std::string_view kIscsi = "=iscsi:";
  const std::size_t at = text.find(kIscsi);
  if (at == std::string::npos) return false;
  const std::size_t begin = at + kIscsi.size();
  const std::size_t host = text.find('@', begin);
  return host != std::string::npos && cut(text, begin, host);
}

// "rbd:pool/image:id=admin:key=…:mon_host=…", where "\:" is a colon inside.
bool redact_rbd(std::string& text) {
  constexpr std::string_view kKey = ":key=";
  if (text.find("rbd:") == std::string::npos) return false;
  const std::size_t at = text.find(kKey);
  if (at == std::string::npos) return false;
  const std::size_t begin = at + kKey.size();
  std::size_t end = begin;
  while (end < text.size() && text[end] != ':' && text[end] != ',')
    end += text[end] == '\\' ? 2U : 1U;
  return cut(text, begin, std::min(end, text.size()));
}

bool redact_json(Json& node, std::string_view option, int depth);

// A text that is no pair: a name of an image, or a part of the kernel's command line.
bool redact_text(std::string& text, std::string_view option, int depth) {
  if (text.starts_with(kJsonName)) {
    auto inner = base::parse_json(std::string_view(text).substr(kJsonName.size()), kLimits);
    if (!inner || depth <= 0) return cut(text, kJsonName.size(), text.size());
    if (!redact_json(*inner, option, depth - 1)) return false;
    text = std::string(kJsonName) + base::to_line(*inner);
    return true;
  }
  const bool urls = redact_urls(text);
  return redact_rbd(text) || urls;
}

bool redact_json(Json& node, std::string_view option, int depth) {
  if (node.is_string()) {
    auto text = node.get<std::string>();
    if (!redact_text(text, option, depth)) return false;
    node = std::move(text);
    return true;
  }
  bool any = false;
  if (node.is_object()) {
    // Objects of QEMU's own account do not stand behind an option.
    const std::string type = base::string_member(node, "qom-type").value_or("");
    const std::string_view within = type.starts_with("secret") ? "-object" : option;
    for (auto& [key, value] : node.items()) {
      const bool holds = !value.empty() && !value.is_boolean();
      if (holds && is_secret_key(key, within)) {
        if (value.is_string() && (is_switch(value.get<std::string>()) || value == kRedacted)) {
          continue;
        }
        value = kRedacted;
        any = true;
      } else {
        any = redact_json(value, within, depth) || any;
      }
    }
  } else if (node.is_array()) {
    for (Json& entry : node)
      any = redact_json(entry, option, depth) || any;
  }
  return any;
}

// Where the value of "key=value" begins; nowhere in "https://host/image?a=b" and "rbd:…:key=…".
std::size_t equals_in(std::string_view piece) {
  const std::size_t equals = piece.find('=');
  return piece.substr(0, equals).find_first_of(":/?{") == std::string_view::npos
             ? equals
             : std::string_view::npos;
}

// "key=value" with doubled commas.
bool redact_pair(std::string& piece, std::string_view option, std::string& what) {
  const std::size_t equals = equals_in(piece);
  if (equals != std::string::npos) {
    const std::string_view key = std::string_view(piece).substr(0, equals);
    const std::string_view value = std::string_view(piece).substr(equals + 1);
    if (is_secret_key(key, option) && !is_switch(value)) {
      what = std::string(key);
      return cut(piece, equals + 1, piece.size());
    }
  }
  const std::size_t begin = equals == std::string::npos ? 0 : equals + 1;
  std::string text = without_doubled_commas(std::string_view(piece).substr(begin));
  if (!redact_text(text, option, 3)) return false;
  what = equals == std::string::npos ? "a name" : piece.substr(0, equals);
  piece = piece.substr(0, begin) + with_doubled_commas(text);
  return true;
}

// The kernel's command line: "name=value name=value", a value with blanks in double quotes.
bool redact_kernel(std::string& text) {
  std::string result;
  bool any = false;
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] == ' ' || text[at] == '\t' || text[at] == '\n') {
      result += text[at++];
      continue;
    }
    const std::size_t begin = at;
    bool quoted = false;
    for (;
         at < text.size() && (quoted || (text[at] != ' ' && text[at] != '\t' && text[at] != '\n'));
         ++at) {
      if (text[at] == '"') quoted = !quoted;
    }
    std::string word = text.substr(begin, at - begin);
    const std::size_t equals = word.find('=');
    if (equals != std::string::npos && sounds_secret(word.substr(0, equals)) &&
        !is_switch(word.substr(equals + 1))) {
      any = cut(word, equals + 1, word.size()) || any;
    } else {
      any = redact_urls(word) || any;
      any = redact_netroot(word) || any;
    }
    result += word;
  }
  text = std::move(result);
  return any;
}

std::string named(const std::string& what, std::string_view option) {
  return option.empty() ? what : what + " of " + std::string(option);
}

// One word, of which `option` is the one before; what was taken out of it.
std::vector<std::string> redact_word(std::string& word, std::string_view option) {
  if (option == "-append") {
    return redact_kernel(word) ? std::vector<std::string>{named("a parameter", option)}
                               : std::vector<std::string>{};
  }
  if (word.starts_with('{')) {
    auto json = base::parse_json(word, kLimits);
    if (!json) {
      word = kRedacted;
      return {named("all", option)};
    }
    if (!redact_json(*json, option, 3)) return {};
    word = base::to_line(*json);
    return {named("a member", option)};
  }
  // What -hda takes: a name as it stands, commas and all.
  if (word.starts_with(kJsonName)) {
    return redact_text(word, option, 3) ? std::vector<std::string>{named("a name", option)}
                                        : std::vector<std::string>{};
  }
  std::vector<std::string> found;
  std::string whole;
  // "-set object.sec0.data=…": the kind of the group is what an option would say.
  const std::string_view kind = option == "-set" && word.starts_with("object.")   ? "-object"
                                : option == "-set" && word.starts_with("fw_cfg.") ? "-fw_cfg"
                                                                                  : option;
  for (const std::string_view part : pieces_of(word)) {
    std::string piece(part);
    std::string what;
    if (redact_pair(piece, kind, what)) found.push_back(named(what, option));
    whole += (whole.empty() && part.data() == word.data() ? "" : ",") + piece;
  }
  if (!found.empty()) word = std::move(whole);
  return found;
}

}  // namespace

RedactedWords redact(const Words& words) {
  RedactedWords result{words, {}};
  for (std::size_t i = 1; i < words.size(); ++i) {
    for (std::string& what : redact_word(result.words[i], option_of(words[i - 1])))
      result.redactions.push_back({i, std::move(what)});
  }
  return result;
}

bool redact(Json& document) {
  return redact_json(document, {}, 3);
}

}  // namespace holdfast::host::definition
