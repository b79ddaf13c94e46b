# SPDX-License-Identifier: MIT
# Tests are labelled with the directory they stand in; exit status 77 is a skip with its reason.
find_package(GTest REQUIRED)
find_program(PYTHON3_PROGRAM NAMES /usr/bin/python3 python3 REQUIRED)

# holdfast_gtest(NAME LABEL label SOURCES ... LIBS ... [TIMEOUT seconds] [ENVIRONMENT ...])
function(holdfast_gtest name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;LIBS;ENVIRONMENT" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} SKIP_RETURN_CODE 77
    TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT "${ARG_ENVIRONMENT}")
endfunction()

# holdfast_pytest(NAME LABEL label SCRIPT file.py [ARGUMENTS ...] [TIMEOUT seconds] [SERIAL]
#                 [LOCK name] [ENVIRONMENT ...])
# LOCK: not beside another one that has the same.
# The script imports package `lab` (tests/lab) and finds the build tree in HOLDFAST_BUILD.
function(holdfast_pytest name)
  cmake_parse_arguments(ARG "SERIAL" "LABEL;TIMEOUT;SCRIPT;LOCK" "ARGUMENTS;ENVIRONMENT" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_test(NAME ${name}
    COMMAND ${PYTHON3_PROGRAM} ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SCRIPT} ${ARG_ARGUMENTS})
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} SKIP_RETURN_CODE 77
    TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "PYTHONPATH=${PROJECT_SOURCE_DIR}/tests;PYTHONDONTWRITEBYTECODE=1;HOLDFAST_BUILD=${PROJECT_BINARY_DIR};HOLDFAST_SOURCE=${PROJECT_SOURCE_DIR};${ARG_ENVIRONMENT}")
  if(ARG_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  endif()
  if(ARG_LOCK)
    set_tests_properties(${name} PROPERTIES RESOURCE_LOCK ${ARG_LOCK})
  endif()
endfunction()
