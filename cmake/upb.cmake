# upb, the protobuf runtime inside gRPC. Debian has its library (libupb.so, of libgrpc-dev) without headers and
# generators: `make deps` puts both under .deps/, of exactly the version of that library (tools/deps.sh).
#
# Defines the target xtcp_upb: the headers, as system headers, and the library. Nothing else uses files of .deps/.
set(XTCP_UPB_DIR ${CMAKE_SOURCE_DIR}/.deps/upb)
set(XTCP_PROTOC_GEN_UPB ${CMAKE_SOURCE_DIR}/.deps/bin/protoc-gen-upb)
set(XTCP_PROTOC_GEN_UPBDEFS ${CMAKE_SOURCE_DIR}/.deps/bin/protoc-gen-upbdefs)
foreach(file ${XTCP_PROTOC_GEN_UPB} ${XTCP_PROTOC_GEN_UPBDEFS} ${XTCP_UPB_DIR}/upb/upb.h)
    if(NOT EXISTS ${file})
        message(FATAL_ERROR "${file} is missing: run `make deps` in ${CMAKE_SOURCE_DIR} first")
    endif()
endforeach()

find_program(XTCP_PROTOC protoc REQUIRED)
find_library(XTCP_UPB_LIBRARY upb REQUIRED)
find_path(XTCP_GOOGLE_PROTO_DIR google/protobuf/descriptor.proto REQUIRED)

add_library(xtcp_upb INTERFACE)
target_include_directories(xtcp_upb SYSTEM INTERFACE ${XTCP_UPB_DIR})
target_link_libraries(xtcp_upb INTERFACE ${XTCP_UPB_LIBRARY})

# xtcp_protoc(<variable> IMPORT dir PLUGIN name [PLUGIN_PATH path] OUT dir SUFFIXES .x.c .x.h ... PROTOS a.proto ...)
#
# Runs protoc with one plugin over protos that lie under the import directory; |variable| gets the generated files.
function(xtcp_protoc variable)
    cmake_parse_arguments(ARG "" "IMPORT;PLUGIN;PLUGIN_PATH;OUT" "SUFFIXES;PROTOS" ${ARGN})
    set(all "")
    foreach(proto IN LISTS ARG_PROTOS)
        string(REGEX REPLACE "\\.proto$" "" stem ${proto})
        set(generated "")
        foreach(suffix IN LISTS ARG_SUFFIXES)
            list(APPEND generated ${ARG_OUT}/${stem}${suffix})
        endforeach()
        set(plugin "")
        if(ARG_PLUGIN_PATH)
            set(plugin --plugin=protoc-gen-${ARG_PLUGIN}=${ARG_PLUGIN_PATH})
        endif()
        add_custom_command(
            OUTPUT ${generated}
            COMMAND ${CMAKE_COMMAND} -E make_directory ${ARG_OUT}
            COMMAND ${XTCP_PROTOC} -I${ARG_IMPORT} -I${XTCP_GOOGLE_PROTO_DIR} ${plugin}
                    --${ARG_PLUGIN}_out=${ARG_OUT} ${proto}
            DEPENDS ${ARG_IMPORT}/${proto} ${ARG_PLUGIN_PATH}
            COMMENT "protoc --${ARG_PLUGIN}_out ${proto}"
            VERBATIM)
        list(APPEND all ${generated})
    endforeach()
    set(${variable} ${all} PARENT_SCOPE)
endfunction()
