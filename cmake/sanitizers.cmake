# XTCP_SANITIZE=address (ASan + UBSan) or thread (TSan): the whole tree is built with it.
set(XTCP_SANITIZE "" CACHE STRING "address, thread or empty")
if(XTCP_SANITIZE STREQUAL "address")
    add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
    add_link_options(-fsanitize=address,undefined)
elseif(XTCP_SANITIZE STREQUAL "thread")
    add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
    add_link_options(-fsanitize=thread)
elseif(XTCP_SANITIZE)
    message(FATAL_ERROR "XTCP_SANITIZE=${XTCP_SANITIZE}: expected address, thread or nothing")
endif()

# GCC loses track of values through the sanitizers' code: these warnings are then false. The plain build checks them.
if(XTCP_SANITIZE AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-maybe-uninitialized -Wno-format-truncation -Wno-stringop-truncation -Wno-stringop-overflow)
endif()

# Fuzzing needs to see the branches of the libraries too, not only those of the fuzz target.
if(XTCP_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
