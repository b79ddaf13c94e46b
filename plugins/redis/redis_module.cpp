// SPDX-License-Identifier: MIT
#include "redis/redis_plugin.h"

HOLDFAST_PLUGIN_MODULE("redis", holdfast::redis::RedisPlugin)
