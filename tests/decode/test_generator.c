/* SPDX-License-Identifier: MIT */
/*
 * tools/decodegen.py: tables that it must refuse (tests/decode/bad/, one mistake each, named by the
 * file), a table that uses every construct and must be accepted, and the tables of the product, set
 * by set, which must be free of overlaps across files.
 */
#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exit status of `decodegen.py args`; its complaint goes to out. */
static int decodegen(const char *args, char *out, size_t size)
{
    char command[1024];
    size_t n;
    FILE *f;
    int status;

    snprintf(command, sizeof(command), "cd %s && python3 tools/decodegen.py %s 2>&1",
             UMBRA_SOURCE_DIR, args);
    f = popen(command, "r");
    cr_assert_not_null(f);
    n = fread(out, 1, size - 1, f);
    out[n] = 0;
    while (fgetc(f) != EOF) {
    }
    status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(generator, refuses_bad_tables)
{
    static const struct {
        const char *file, *complaint;
    } bad[] = {
        {"overlap", "overlaps"},
        {"short", "31 bits"},
        {"long", "bits, expected 32"},
        {"unknown_field", "bad constraint"},
        {"constraint_value", "does not fit"},
        {"open_group", "never closed"},
        {"hidden_member", "hidden by earlier"},
        {"different_fields", "fields differ"},
        {"never_matches", "leave nothing"},
        {"empty", "no encoding"},
        {"signed_twice", "first part"},
        {"join_missing", "no such field"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char args[128], out[1024];

        snprintf(args, sizeof(args), "--check tests/decode/bad/%s.decode", bad[i].file);
        cr_expect_eq(decodegen(args, out, sizeof(out)), 1, "%s accepted", bad[i].file);
        cr_expect_not_null(strstr(out, bad[i].complaint), "%s: %s", bad[i].file, out);
    }
}

Test(generator, every_bad_table_is_tried)
{
    glob_t g;

    cr_assert_eq(glob(UMBRA_SOURCE_DIR "/tests/decode/bad/*.decode", 0, NULL, &g), 0);
    cr_expect_eq(g.gl_pathc, 12);
    globfree(&g);
}

static void expect_in(const char *path, const char *part)
{
    static char text[65536];
    FILE *f = fopen(path, "r");

    cr_assert_not_null(f, "%s", path);
    text[fread(text, 1, sizeof(text) - 1, f)] = 0;
    fclose(f);
    cr_expect_not_null(strstr(text, part), "missing: %s", part);
}

Test(generator, generates_each_construct)
{
    char dir[] = "/tmp/decodegen-XXXXXX", args[512], out[1024], header[64], source[64];

    cr_assert_not_null(mkdtemp(dir));
    snprintf(header, sizeof(header), "%s/good_decode.h", dir);
    snprintf(source, sizeof(source), "%s/good_decode.c", dir);
    snprintf(args, sizeof(args), "--input tests/decode/good.decode --header %s --source %s", header,
             source);
    cr_assert_eq(decodegen(args, out, sizeof(out)), 0, "%s", out);
    expect_in(header, "#define arg_ALU args_op_rd_rm_rn_s\n");
    expect_in(header, "#define arg_SIGNED args_copy_simm_lo_rd\n");
    expect_in(header, "    int32_t imm;\n");
    expect_in(source, ".section = \"Section two\"");
    expect_in(source, ".k = 7,");
    expect_in(source, ".copy = decode_ubits(insn, 0, 16),");
    expect_in(source,
              ".imm = decode_sbits(insn, 24, 3) * 16 + (int32_t)(decode_ubits(insn, 20, 4)),");
    expect_in(source, ".lo = (decode_ubits(insn, 16, 4)) + 8,");
    expect_in(source, "(insn & 0x1f00000) != 0x1000000");
    expect_in(source, ".sb_mask = 0xff0, .sb_value = 0x40");
    unlink(header);
    unlink(source);
    rmdir(dir);
}

Test(generator, product_tables_do_not_overlap)
{
    static const char *const sets[] = {
        "src/tcg/arm/a32_*.decode src/tcg/arm/vfp*.decode src/tcg/arm/asimd_*.decode",
        "src/tcg/arm/t32_*.decode src/tcg/arm/vfp*.decode",
        "src/tcg/arm/t16_*.decode",
    };

    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        char args[256], out[4096];

        snprintf(args, sizeof(args), "--check %s", sets[i]);
        cr_expect_eq(decodegen(args, out, sizeof(out)), 0, "%s", out);
    }
}
