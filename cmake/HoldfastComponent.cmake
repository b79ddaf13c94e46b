# SPDX-License-Identifier: MIT
# holdfast_component(NAME DIR dir PREFIX prefix SOURCES ... PUBLIC ... PRIVATE ...)
#
# One static library per directory. Its headers are reachable as "PREFIX/header.h", and only for
# targets that link it: every component gets an include root of its own (a link farm in the build
# tree), so that an include against the arrows does not compile.
function(holdfast_component name)
  cmake_parse_arguments(ARG "" "DIR;PREFIX" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  if(NOT ARG_DIR)
    set(ARG_DIR ${CMAKE_CURRENT_SOURCE_DIR})
  endif()
  set(root ${PROJECT_BINARY_DIR}/include/${name})
  get_filename_component(parent ${root}/${ARG_PREFIX} DIRECTORY)
  file(MAKE_DIRECTORY ${parent})
  file(CREATE_LINK ${ARG_DIR} ${root}/${ARG_PREFIX} SYMBOLIC)
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${root})
  target_link_libraries(${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
endfunction()
