# SPDX-License-Identifier: MIT
# Language level, warnings and hardening: the same for every target.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Paths relative to the tree, so that another checkout of the same sources finds them in the cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
                                  CCACHE_NOHASHDIR=true ${CCACHE_PROGRAM})
endif()

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

add_compile_options(
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wold-style-cast -Wcast-qual -Wformat=2 -Wimplicit-fallthrough
  -Wundef -fstack-protector-strong)
if(HOLDFAST_WERROR)
  add_compile_options(-Werror)
endif()
add_compile_definitions($<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
add_link_options(-Wl,-z,relro -Wl,-z,now)

# For what stays in a guest's memory all the time: this directory and those below are compiled for few
# pages, since they wait for databases and hurry for nobody; and what nobody calls is left out when
# they are linked with HOLDFAST_LEAN_LINK, libraries as well.
macro(holdfast_small_code)
  add_compile_options($<$<NOT:$<CONFIG:Debug>>:-Os> -ffunction-sections -fdata-sections)
endmacro()

set(HOLDFAST_SANITIZE "" CACHE STRING "sanitizers to build with, for example address,undefined")
if(HOLDFAST_SANITIZE)
  # Line tables are all that a report needs, and a little optimisation builds no slower than none.
  add_compile_options(-fsanitize=${HOLDFAST_SANITIZE} -fno-omit-frame-pointer -O1 -g1)
  if(HOLDFAST_SANITIZE MATCHES undefined)
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
  add_link_options(-fsanitize=${HOLDFAST_SANITIZE})
endif()

option(HOLDFAST_FUZZ "build the fuzz targets with libFuzzer; needs clang" OFF)
if(HOLDFAST_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

option(HOLDFAST_COVERAGE "instrument for coverage" OFF)
if(HOLDFAST_COVERAGE)
  add_compile_options(--coverage -O0)
  add_link_options(--coverage)
endif()

# Instruments keep what they need in sections that nobody seems to use.
if(NOT HOLDFAST_SANITIZE AND NOT HOLDFAST_COVERAGE)
  set(HOLDFAST_LEAN_LINK -Wl,--gc-sections -Wl,--as-needed)
endif()
