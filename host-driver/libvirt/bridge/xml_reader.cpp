// SPDX-License-Identifier: MIT
#include "bridge/xml_reader.h"

#include <libxml/parser.h>

#include "base/text.h"

namespace holdfast::host::libvirt {

namespace {

struct TextFree {
  void operator()(xmlChar* text) const { xmlFree(text); }
};
using XmlText = std::unique_ptr<xmlChar, TextFree>;

// Libxml2's bytes are unsigned.
const xmlChar* as_xml(const char* text) {
  return reinterpret_cast<const xmlChar*>(text);
}

std::string as_text(const xmlChar* text) {
  return text == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(text));
}

}  // namespace

XmlDocument parse_xml(const std::string& text) {
  return XmlDocument(xmlReadMemory(text.data(), static_cast<int>(text.size()), "libvirt.xml",
                                   nullptr,
                                   XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING));
}

std::string xml_text(const XmlDocument& document) {
  xmlChar* text = nullptr;
  int size = 0;
  xmlDocDumpMemory(document.get(), &text, &size);
  const XmlText owned(text);
  return as_text(text);
}

bool is_element(const xmlNode* node, const char* name) {
  return node != nullptr && node->type == XML_ELEMENT_NODE &&
         xmlStrEqual(node->name, as_xml(name)) != 0;
}

xmlNodePtr child_of(const xmlNode* node, const char* name) {
  if (node == nullptr) return nullptr;
  for (xmlNodePtr child = node->children; child != nullptr; child = child->next) {
    if (is_element(child, name)) return child;
  }
  return nullptr;
}

std::string attribute_of(const xmlNode* node, const char* name) {
  if (node == nullptr) return {};
  const XmlText text(xmlGetProp(node, as_xml(name)));
  return as_text(text.get());
}

bool has_attribute(const xmlNode* node, const char* name) {
  return node != nullptr && xmlHasProp(node, as_xml(name)) != nullptr;
}

std::string content_of(const xmlNode* node) {
  if (node == nullptr) return {};
  const XmlText text(xmlNodeGetContent(node));
  return std::string(base::trimmed(as_text(text.get())));
}

void set_attribute(xmlNodePtr node, const char* name, const char* value) {
  (void)xmlSetProp(node, as_xml(name), as_xml(value));
}

void remove_attribute(xmlNodePtr node, const char* name) {
  (void)xmlUnsetProp(node, as_xml(name));
}

std::string xml_escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&apos;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace holdfast::host::libvirt
