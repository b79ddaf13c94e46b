// SPDX-License-Identifier: MIT
#include "api/plugin.h"
#include "exec/exec_plugin.h"

HOLDFAST_PLUGIN_MODULE("exec", holdfast::exec::ExecPlugin)
