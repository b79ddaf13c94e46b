// SPDX-License-Identifier: MIT
#include "api/plugin.h"

#include <utility>

namespace holdfast::api {

Plugin::Plugin(PluginContext context) : context_(std::move(context)) {}

base::Options& Plugin::ensure_options() {
  if (!options_) options_ = std::make_unique<base::Options>(option_table());
  return *options_;
}

base::Result<void> Plugin::configure(const base::Setting& setting) {
  return ensure_options().set(setting);
}

base::Result<void> Plugin::finish_config(const std::string& file) {
  if (auto complete = ensure_options().finish(file); !complete) return complete;
  return do_finish_config();
}

std::string Plugin::print_config() const {
  return options_ ? options_->print() : base::Options(option_table()).print();
}

}  // namespace holdfast::api
