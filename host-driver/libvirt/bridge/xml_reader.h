// SPDX-License-Identifier: MIT
//
// The little of libxml2 that libvirt's documents need, and how text gets into those that it is
// given. Nothing is fetched, whatever a document names.
//
// Threads: plain functions. Ownership: nodes belong to their document.
#pragma once

#include <libxml/tree.h>

#include <memory>
#include <string>

namespace holdfast::host::libvirt {

struct XmlDocumentFree {
  void operator()(xmlDocPtr document) const { xmlFreeDoc(document); }
};
using XmlDocument = std::unique_ptr<xmlDoc, XmlDocumentFree>;

// Null for what is no XML.
[[nodiscard]] XmlDocument parse_xml(const std::string& text);
[[nodiscard]] std::string xml_text(const XmlDocument& document);

// All of these take null for a node and find nothing in it.
[[nodiscard]] bool is_element(const xmlNode* node, const char* name);
[[nodiscard]] xmlNodePtr child_of(const xmlNode* node, const char* name);
[[nodiscard]] std::string attribute_of(const xmlNode* node, const char* name);
[[nodiscard]] bool has_attribute(const xmlNode* node, const char* name);
[[nodiscard]] std::string content_of(const xmlNode* node);

void set_attribute(xmlNodePtr node, const char* name, const char* value);
void remove_attribute(xmlNodePtr node, const char* name);

// As the content of an element or of an attribute in either quotes.
[[nodiscard]] std::string xml_escaped(const std::string& text);

}  // namespace holdfast::host::libvirt
