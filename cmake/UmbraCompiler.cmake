# SPDX-License-Identifier: MIT
#
# Compiler flags shared by every target: interface library umbra_options.

add_library(umbra_options INTERFACE)
target_include_directories(umbra_options INTERFACE "${PROJECT_SOURCE_DIR}/src")
target_compile_definitions(umbra_options INTERFACE
    _GNU_SOURCE
    UMBRA_VERSION="${PROJECT_VERSION}"
    UMBRA_DEBUG=$<BOOL:${UMBRA_DEBUG}>
    UMBRA_FAULT_INJECTION=$<BOOL:${UMBRA_FAULT_INJECTION}>)

# -fno-strict-aliasing: guest memory is read and written under many types through the same pointers.
target_compile_options(umbra_options INTERFACE
    -fno-strict-aliasing
    -fno-common
    -fno-omit-frame-pointer
    $<$<COMPILE_LANGUAGE:C>:-Wall;-Wextra;-Wshadow;-Wstrict-prototypes;-Wmissing-prototypes>
    $<$<COMPILE_LANGUAGE:C>:-Wold-style-definition;-Wpointer-arith;-Wundef;-Wvla;-Wformat=2>
    $<$<COMPILE_LANGUAGE:C>:-Wimplicit-fallthrough;-Wwrite-strings;-Wredundant-decls>
    $<$<COMPILE_LANGUAGE:C>:-Wnested-externs;-Wdate-time>
    $<$<COMPILE_LANG_AND_ID:C,GNU>:-Wlogical-op;-Wduplicated-cond>)
if(UMBRA_WERROR)
    target_compile_options(umbra_options INTERFACE -Werror)
endif()

set(CMAKE_C_FLAGS_DEBUG "-O1 -g")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")

if(UMBRA_SANITIZE)
    list(JOIN UMBRA_SANITIZE "," umbra_sanitizers)
    target_compile_options(umbra_options INTERFACE
        "-fsanitize=${umbra_sanitizers}" -fno-sanitize-recover=all)
    target_link_options(umbra_options INTERFACE "-fsanitize=${umbra_sanitizers}")
    if("thread" IN_LIST UMBRA_SANITIZE)
        target_compile_definitions(umbra_options INTERFACE UMBRA_TSAN=1)
        # Fences are not modelled. Ours only order a store before a load, both atomic; what
        # publishes data are release stores and acquire loads.
        target_compile_options(umbra_options INTERFACE $<$<C_COMPILER_ID:GNU>:-Wno-tsan>)
    endif()
endif()
