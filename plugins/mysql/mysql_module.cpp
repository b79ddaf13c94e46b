// SPDX-License-Identifier: MIT
#include "mysql/mysql_plugin.h"

HOLDFAST_PLUGIN_MODULE("mysql", holdfast::mysql::MysqlPlugin)
