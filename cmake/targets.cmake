# The three kinds of targets of this project, so that a folder's CMakeLists.txt is a list of files.
option(XTCP_FUZZ "build fuzz targets as libFuzzer programs (clang)" OFF)

# xtcp_library(<folder> SOURCES ... [LIBS ...]): the static library xtcp_<folder>.
function(xtcp_library folder)
    cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
    add_library(xtcp_${folder} STATIC ${ARG_SOURCES})
    target_link_libraries(xtcp_${folder} PUBLIC xtcp_flags ${ARG_LIBS})
endfunction()

# xtcp_unit_test(<name> SOURCES ... [LIBS ...]): a cmocka program, registered with ctest under the label unit.
function(xtcp_unit_test name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE xtcp_flags ${ARG_LIBS} cmocka)
    target_compile_definitions(${name} PRIVATE XTCP_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 120 SKIP_RETURN_CODE 77)
endfunction()

# xtcp_fuzz_target(<name> SOURCES ... [LIBS ...]): a libFuzzer program with XTCP_FUZZ, else a program that runs
# LLVMFuzzerTestOneInput over files; ctest replays tests/fuzz/corpus/<name> either way (label replay).
function(xtcp_fuzz_target name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE xtcp_flags ${ARG_LIBS})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    target_compile_options(${name} PRIVATE -Wno-missing-prototypes)
    if(XTCP_FUZZ)
        target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
        set(arguments -runs=0 ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
    else()
        target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.c)
        set(arguments ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
    endif()
    add_test(NAME ${name} COMMAND ${name} ${arguments})
    set_tests_properties(${name} PROPERTIES LABELS replay TIMEOUT 120)
endfunction()
