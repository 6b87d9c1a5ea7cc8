# SPDX-License-Identifier: MIT
#
# Rule that turns every *.decode table of a folder into C with tools/decodegen.py. Results go to
# generated/<name>_decode.{c,h} in the build directory, which is on the include path of all modules.

set(UMBRA_GENERATED_DIR "${PROJECT_BINARY_DIR}/generated")
file(MAKE_DIRECTORY "${UMBRA_GENERATED_DIR}")

# umbra_decode_tables(DIR OUT_SOURCES): OUT_SOURCES lists the generated files of DIR.
function(umbra_decode_tables dir out_sources)
    file(GLOB tables CONFIGURE_DEPENDS "${dir}/*.decode")
    set(generator "${PROJECT_SOURCE_DIR}/tools/decodegen.py")
    file(GLOB generator_parts CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tools/decode*.py")
    set(sources "")
    foreach(table IN LISTS tables)
        get_filename_component(name "${table}" NAME_WE)
        set(base "${UMBRA_GENERATED_DIR}/${name}_decode")
        add_custom_command(
            OUTPUT "${base}.c" "${base}.h"
            COMMAND Python3::Interpreter "${generator}" --input "${table}"
                    --header "${base}.h" --source "${base}.c"
            DEPENDS "${table}" "${generator}" ${generator_parts}
            COMMENT "Decoder table ${name}"
            VERBATIM)
        list(APPEND sources "${base}.c" "${base}.h")
    endforeach()
    set("${out_sources}" "${sources}" PARENT_SCOPE)
endfunction()
