# Checks of the source text, as tests: the layers, circles in them, the formatting, and clang-tidy (target and label lint). The last two are
# for version 14 of clang's tools (Debian 12) and are skipped where there is only another.
option(XTCP_LINT "run clang-tidy as part of the tests" ON)

add_test(NAME layers COMMAND /usr/bin/python3 ${CMAKE_SOURCE_DIR}/cmake/layer_check.py ${CMAKE_SOURCE_DIR})
# The check itself must notice: a small tree with one offence of each kind.
add_test(NAME layers_self_test
    COMMAND /usr/bin/python3 ${CMAKE_SOURCE_DIR}/cmake/layer_check.py ${CMAKE_SOURCE_DIR}/tests/data/layers)
set_tests_properties(layers_self_test PROPERTIES PASS_REGULAR_EXPRESSION "10 files, 15 problems")
# The same for the files of each folder, by the symbols that their objects need and define.
add_test(NAME circles COMMAND /usr/bin/python3 ${CMAKE_SOURCE_DIR}/tools/circles.py ${CMAKE_BINARY_DIR})
add_test(NAME unused COMMAND /usr/bin/python3 ${CMAKE_SOURCE_DIR}/tools/unused.py ${CMAKE_BINARY_DIR})
add_test(NAME circles_self_test
    COMMAND /usr/bin/python3 ${CMAKE_SOURCE_DIR}/tools/circles.py --symbols ${CMAKE_SOURCE_DIR}/tests/data/circles/symbols.txt)
set_tests_properties(circles_self_test PROPERTIES
    PASS_REGULAR_EXPRESSION "a/one.c a/three.c a/two.c: .*a/one.c uses of a/two.c: two, two_too\n.*8 files, 2 problems")
add_test(NAME format COMMAND ${CMAKE_SOURCE_DIR}/tools/format.sh --check)
set_tests_properties(layers layers_self_test circles circles_self_test unused format PROPERTIES LABELS unit TIMEOUT 120)
set_tests_properties(format PROPERTIES SKIP_RETURN_CODE 77)

# xtcp_own_sources(<variable> <directory>): our .c files that targets in and below |directory| are made of.
function(xtcp_own_sources variable directory)
    set(found "")
    get_property(targets DIRECTORY ${directory} PROPERTY BUILDSYSTEM_TARGETS)
    foreach(target IN LISTS targets)
        get_target_property(sources ${target} SOURCES)
        foreach(source IN LISTS sources)
            cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${directory} NORMALIZE)
            cmake_path(IS_PREFIX CMAKE_BINARY_DIR ${source} generated)
            if(source MATCHES "\\.c$" AND NOT generated)
                list(APPEND found ${source})
            endif()
        endforeach()
    endforeach()
    get_property(children DIRECTORY ${directory} PROPERTY SUBDIRECTORIES)
    foreach(child IN LISTS children)
        xtcp_own_sources(more ${child})
        list(APPEND found ${more})
    endforeach()
    list(REMOVE_DUPLICATES found)
    set(${variable} ${found} PARENT_SCOPE)
endfunction()

# xtcp_skip_lint(<reason>): the target lint and its test only say why there is no linting.
function(xtcp_skip_lint reason)
    add_custom_target(lint COMMAND ${CMAKE_COMMAND} -E echo "lint: skipped: ${reason}" VERBATIM)
    add_test(NAME lint COMMAND ${CMAKE_COMMAND} -E echo "lint: skipped: ${reason}")
    set_tests_properties(lint PROPERTIES LABELS lint SKIP_REGULAR_EXPRESSION "skipped")
endfunction()

# xtcp_add_lint(): the target lint. A file is looked at again when it, a header that it includes or .clang-tidy has changed.
function(xtcp_add_lint)
    find_program(XTCP_CLANG_TIDY NAMES clang-tidy-14 clang-tidy)
    if(NOT XTCP_LINT OR NOT XTCP_CLANG_TIDY)
        return()
    endif()
    # Each version has other checks: the list in .clang-tidy is for this one.
    execute_process(COMMAND ${XTCP_CLANG_TIDY} --version OUTPUT_VARIABLE version)
    if(NOT version MATCHES "version 14\\.")
        string(REGEX MATCH "version [0-9]+" version "${version}")
        xtcp_skip_lint("this is clang-tidy of ${version}, the checks are those of version 14")
        return()
    endif()
    xtcp_own_sources(sources ${CMAKE_SOURCE_DIR})
    set(stamps "")
    foreach(source IN LISTS sources)
        cmake_path(RELATIVE_PATH source BASE_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE name)
        set(stamp ${CMAKE_BINARY_DIR}/lint/${name}.ok)
        add_custom_command(
            OUTPUT ${stamp}
            COMMAND /usr/bin/python3 ${CMAKE_SOURCE_DIR}/cmake/lint.py ${XTCP_CLANG_TIDY} ${CMAKE_BINARY_DIR} ${source} ${stamp}
            DEPENDS ${source} ${CMAKE_SOURCE_DIR}/.clang-tidy ${CMAKE_SOURCE_DIR}/cmake/lint.py xtcp_proto_c xtcp_proto_upb
            DEPFILE ${stamp}.d
            COMMENT "clang-tidy ${name}"
            VERBATIM)
        list(APPEND stamps ${stamp})
    endforeach()
    add_custom_target(lint DEPENDS ${stamps})
    # Gently: other tests run beside it.
    add_test(NAME lint COMMAND nice -n 15 ${CMAKE_COMMAND} --build ${CMAKE_BINARY_DIR} --target lint -- -k 0 -j 2)
    set_tests_properties(lint PROPERTIES LABELS lint COST 1000 TIMEOUT 1800)
endfunction()
if(TARGET xtcp_proto_c)
    xtcp_add_lint()
endif()
