// SPDX-License-Identifier: MIT
#include "postgresql/postgresql_plugin.h"

HOLDFAST_PLUGIN_MODULE("postgresql", holdfast::postgresql::PostgresqlPlugin)
