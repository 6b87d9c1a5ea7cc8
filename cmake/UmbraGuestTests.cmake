# SPDX-License-Identifier: MIT
#
# Bare-metal payloads as ctest entries. tests/guest/list names them with CPUs, time limit and class;
# each is built for A32 and T32 by tests/guest/build.sh (a ctest fixture, so that only those who run
# the tests need the cross compiler) and run in every MMU mode. Class ci has the label guest, all
# others the label nightly.

# Where payloads are built: one folder for all presets and for umbra-stress.
set(UMBRA_PAYLOADS "${PROJECT_BINARY_DIR}/payloads")
if(PROJECT_BINARY_DIR MATCHES "^${PROJECT_SOURCE_DIR}/build/")
    set(UMBRA_PAYLOADS "${PROJECT_SOURCE_DIR}/build/payloads")
endif()

function(umbra_guest_tests dir)
    set(list_file "${dir}/list")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${list_file}")
    find_program(GUEST_CC arm-linux-gnueabihf-gcc)
    if(NOT GUEST_CC)
        message(STATUS "No arm-linux-gnueabihf-gcc: bare-metal tests are left out (scripts/setup)")
        return()
    endif()
    set(out "${UMBRA_PAYLOADS}")
    add_test(NAME guest/build COMMAND "${dir}/build.sh" "${out}")
    set_tests_properties(guest/build PROPERTIES
        LABELS guest TIMEOUT 300 FIXTURES_SETUP guest_payloads)

    file(STRINGS "${list_file}" lines REGEX "^[a-z]")
    foreach(line IN LISTS lines)
        string(REGEX REPLACE "[ \t]+" ";" words "${line}")
        list(GET words 0 name)
        list(GET words 1 smp)
        list(GET words 2 seconds)
        list(GET words 3 class)
        set(cpu cortex-a15)
        list(LENGTH words columns)
        if(columns GREATER 4)
            list(GET words 4 cpu)
        endif()
        set(label nightly)
        if(class STREQUAL "ci")
            set(label guest)
        endif()
        if(UMBRA_SANITIZE)
            math(EXPR seconds "${seconds} * 5")
        endif()
        math(EXPR timeout "${seconds} + 15")
        # A32 sees every mode; T32 differs in the front end only, so the default mode serves it.
        foreach(state IN ITEMS arm thumb)
            set(modes auto)
            if(state STREQUAL "arm")
                list(APPEND modes soft spt "spt=group,windows=4,prefill=32")
                # The smallest code cache: eviction all the time.
                list(APPEND modes "auto -accel tcg,tb-size=128K")
            endif()
            foreach(mmu IN LISTS modes)
                string(REPLACE " -accel tcg,tb-size=" "-cache-" mode_name "${mmu}")
                string(REGEX REPLACE "[=,]" "-" mode_name "${mode_name}")
                set(test guest/${name}-${state}-${mode_name})
                add_test(NAME ${test} COMMAND "${dir}/run.sh" -t ${seconds}
                    "$<TARGET_FILE:umbra> -M virt -cpu ${cpu} -smp %n -m 256 -mmu ${mmu} \
-nographic -no-reboot -kernel %k"
                    "${out}/${name}.${state}.elf" ${smp})
                set_tests_properties(${test} PROPERTIES LABELS ${label} TIMEOUT ${timeout}
                    PROCESSORS ${smp} FIXTURES_REQUIRED guest_payloads)
            endforeach()
        endforeach()
    endforeach()

    # With PCI and flash, which a machine has only when asked.
    file(WRITE "${PROJECT_BINARY_DIR}/guest-flash.bin" "0000")
    add_test(NAME guest/hostile-devices COMMAND "${dir}/run.sh" -t 100
        "$<TARGET_FILE:umbra> -M virt -smp %n -m 256 -nographic -no-reboot -kernel %k \
-device virtio-rng-pci -bios ${PROJECT_BINARY_DIR}/guest-flash.bin"
        "${out}/hostile.arm.elf" 2)
    set_tests_properties(guest/hostile-devices PROPERTIES LABELS guest TIMEOUT 120
        PROCESSORS 2 FIXTURES_REQUIRED guest_payloads)
endfunction()
