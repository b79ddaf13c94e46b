# SPDX-License-Identifier: MIT
# holdfast_man(PAGE SECTION COMPONENT): PAGE.pod beside the code becomes a manual page.
# Packaging needs every page, so a missing pod2man (package perl) is an error, not a silent gap.
find_program(POD2MAN_PROGRAM pod2man REQUIRED)
add_custom_target(man ALL)

function(holdfast_man page section component)
  set(pod ${CMAKE_CURRENT_SOURCE_DIR}/${page}.pod)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${page}.${section})
  string(TOUPPER ${page} title)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${POD2MAN_PROGRAM} --section=${section} --name=${title} --center=Holdfast
            --release=holdfast\ ${PROJECT_VERSION} --errors=die --utf8 ${pod} ${out}
    DEPENDS ${pod}
    VERBATIM)
  add_custom_target(man-${page}-${section} DEPENDS ${out})
  add_dependencies(man man-${page}-${section})
  install(FILES ${out} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT ${component})
endfunction()
