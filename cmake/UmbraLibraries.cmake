# SPDX-License-Identifier: MIT
#
# Libraries the emulator stands on, gathered in the interface library umbra_libraries.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
pkg_check_modules(URCU REQUIRED IMPORTED_TARGET liburcu-memb)
pkg_check_modules(CAPSTONE REQUIRED IMPORTED_TARGET capstone)
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(NBD REQUIRED IMPORTED_TARGET libnbd)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(VNCSERVER REQUIRED IMPORTED_TARGET libvncserver)
# Headers only: the library is loaded when somebody wants a window.
pkg_check_modules(SDL2 sdl2)
pkg_check_modules(JEMALLOC IMPORTED_TARGET jemalloc)
pkg_check_modules(CRITERION IMPORTED_TARGET criterion)

# Debian ships libfdt without a .pc file.
find_library(FDT_LIBRARY fdt REQUIRED)
find_path(FDT_INCLUDE_DIR libfdt.h REQUIRED)

# libslirp's asks for the headers of glib, which its own header does not need.
find_library(SLIRP_LIBRARY slirp REQUIRED)
find_path(SLIRP_INCLUDE_DIR slirp/libslirp.h REQUIRED)

# Zydis has no .pc file in Debian either; only the emitter's tests use it.
find_library(ZYDIS_LIBRARY Zydis)

add_library(umbra_libraries INTERFACE)
target_include_directories(umbra_libraries SYSTEM INTERFACE "${FDT_INCLUDE_DIR}"
    "${SLIRP_INCLUDE_DIR}")
target_link_libraries(umbra_libraries INTERFACE
    PkgConfig::URCU PkgConfig::CAPSTONE PkgConfig::HWLOC PkgConfig::ZLIB
    PkgConfig::JANSSON PkgConfig::MICROHTTPD PkgConfig::NBD PkgConfig::PNG
    PkgConfig::VNCSERVER
    "${FDT_LIBRARY}" "${SLIRP_LIBRARY}" Threads::Threads m)
