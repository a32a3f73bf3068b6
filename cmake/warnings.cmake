# The options that every file of ours is compiled with. Warnings are errors unless XTCP_WERROR is switched off (an
# unknown compiler).
option(XTCP_WERROR "treat warnings as errors" ON)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_STANDARD_REQUIRED ON)
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(xtcp_flags INTERFACE)
target_compile_definitions(xtcp_flags INTERFACE _GNU_SOURCE XTCP_VERSION="${PROJECT_VERSION}")
target_include_directories(xtcp_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(xtcp_flags INTERFACE
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wformat=2 -Wundef
    -fvisibility=hidden -fno-common -fstack-protector-strong
    $<$<BOOL:${XTCP_WERROR}>:-Werror>)
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_compile_options(xtcp_flags INTERFACE $<$<NOT:$<BOOL:${XTCP_SANITIZE}>>:-D_FORTIFY_SOURCE=2>)
endif()
