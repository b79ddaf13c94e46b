# SPDX-License-Identifier: MIT
# holdfast_static_program(NAME SOURCES ... LIBS component ...): a statically linked program.
#
# Links the archives of the components alone, not what these would bring along: base names
# Boost.Program_options, which a program that parses one argument has no use for, and whose shared
# library cannot be linked statically.
function(holdfast_static_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  foreach(component ${ARG_LIBS})
    add_dependencies(${name} ${component})
    target_include_directories(${name} PRIVATE
      $<TARGET_PROPERTY:${component},INTERFACE_INCLUDE_DIRECTORIES>)
    target_compile_definitions(${name} PRIVATE
      $<TARGET_PROPERTY:${component},INTERFACE_COMPILE_DEFINITIONS>)
    target_link_libraries(${name} PRIVATE $<TARGET_FILE:${component}>)
  endforeach()
  # The sanitizers' runtimes are shared libraries, and that of threads needs a movable program.
  if(HOLDFAST_SANITIZE)
    return()
  endif()
  target_compile_options(${name} PRIVATE -fno-pie)
  target_link_options(${name} PRIVATE -static -no-pie -Wl,--gc-sections)
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
endfunction()
