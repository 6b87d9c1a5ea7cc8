/* SPDX-License-Identifier: MIT */
/*
 * Goldfish audio: two buffers in turn, at the speed of sound, into a WAV file; silence recorded;
 * buffers that are no RAM or have no end.
 */
#include "goldfish_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { STATUS = 0, ENABLE = 4, OUT_1 = 8, OUT_2 = 0xc, PLAY_1 = 0x10, PLAY_2 = 0x14, HAS_IN = 0x18,
       SET_IN = 0x1c, RECORD = 0x20, RECORDED = 0x24 };

#define BYTES_S (44100u * 4)

static struct goldfish_audio *audio;
static char path[] = "/tmp/umbra-goldfish-XXXXXX";

static void setup(void)
{
    struct irq_line irq = rig_irq();

    rig_setup();
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_eq(goldfish_audio_create(&vm, RIG_DEVICE, &irq, path, &audio), 0);
}

static void end_device(void)
{
    rig_stop();
    goldfish_audio_destroy(audio);
    audio = NULL;
}

static void teardown(void)
{
    if (audio != NULL) {
        end_device();
    }
    unlink(path);
    rig_end();
}

TestSuite(goldfish_audio, .init = setup, .fini = teardown, .timeout = 60);

static void wait_status(uint32_t bit)
{
    do {
        cr_assert(rig_wait_line());
    } while (!(rd(STATUS) & bit));
}

static uint32_t word(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

Test(goldfish_audio, plays_in_turn_into_a_file)
{
    struct timespec from, to;
    uint8_t file[44 + 4 * 8820];

    memset(rig_ram(RIG_RAM), 1, 8820);
    memset(rig_ram(RIG_RAM + 16384), 2, 8820);
    wr(OUT_1, RIG_RAM);
    wr(OUT_2, RIG_RAM + 16384);
    wr(ENABLE, 7);
    cr_expect_eq(rd(STATUS), 3, "both are empty");
    cr_expect_not(rig_level());
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (unsigned i = 0; i < 2; i++) {
        wr(PLAY_1, 8820); /* 50 ms each */
        wr(PLAY_2, 8820);
        cr_expect_eq(rd(STATUS) & 3, 0);
        wait_status(1);
        wait_status(2);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    long ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
    cr_expect_geq(ms, 199, "%ld ms for 200", ms);
    end_device();

    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f);
    cr_assert_eq(fread(file, 1, sizeof file, f), sizeof file);
    cr_expect_eq(fgetc(f), EOF);
    fclose(f);
    cr_expect_arr_eq(file, "RIFF", 4);
    cr_expect_eq(word(file + 4), sizeof file - 8);
    cr_expect_arr_eq(file + 8, "WAVEfmt ", 8);
    cr_expect_eq(word(file + 24), 44100);
    cr_expect_eq(word(file + 28), BYTES_S);
    cr_expect_eq(word(file + 40), 4 * 8820);
    for (unsigned i = 0; i < 4 * 8820; i++) {
        cr_assert_eq(file[44 + i], 1 + i / 8820 % 2, "byte %u", i);
    }
}

Test(goldfish_audio, records_silence)
{
    cr_expect_eq(rd(HAS_IN), 1);
    memset(rig_ram(RIG_RAM), 0xee, 1000);
    wr(SET_IN, RIG_RAM);
    wr(ENABLE, 4);
    cr_expect_not(rig_level());
    wr(RECORD, 800); /* 50 ms */
    cr_expect_eq(rd(RECORDED), 0);
    wait_status(4);
    cr_expect_eq(rd(RECORDED), 800);
    cr_expect_eq(*(uint8_t *)rig_ram(RIG_RAM + 799), 0);
    cr_expect_eq(*(uint8_t *)rig_ram(RIG_RAM + 800), 0xee);
    wr(SET_IN, 0x1000);
    wr(RECORD, 800);
    wait_status(4);
    cr_expect_eq(rd(RECORDED), 0, "that is not RAM");
}

Test(goldfish_audio, stopping_forgets_and_a_reset_too)
{
    wr(OUT_1, RIG_RAM);
    wr(ENABLE, 3);
    rd(STATUS);
    wr(PLAY_1, 65536);
    cr_expect_eq(rd(STATUS), 2);
    wr(ENABLE, 3);
    cr_expect_eq(rd(STATUS), 3);
    wr(PLAY_1, 65536);
    goldfish_audio_reset(audio);
    cr_expect_not(rig_level());
    cr_expect_eq(rd(STATUS), 0);
    usleep(100000);
    cr_expect_not(rig_level());
}

Test(goldfish_audio, nonsense)
{
    wr(OUT_1, RIG_RAM + RIG_BYTES - 4);
    wr(OUT_2, 0xfffffffc);
    wr(ENABLE, 7);
    rd(STATUS);
    wr(PLAY_1, 8);
    wr(PLAY_2, 0xffffffff); /* as much as a buffer may have: 0.37 s */
    wait_status(1);
    wait_status(2);
    wr(PLAY_1, 0);
    cr_expect(rd(STATUS) & 1, "nothing is played at once");
    rig_abuse(0x1000);
}

Test(goldfish_audio, a_file_that_cannot_be)
{
    struct irq_line irq = rig_irq();
    struct goldfish_audio *other;

    cr_expect_lt(goldfish_audio_create(&vm, RIG_DEVICE + 0x1000, &irq, "/nowhere/a.wav", &other),
                 0);
}
