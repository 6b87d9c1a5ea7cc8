/* SPDX-License-Identifier: MIT */
/*
 * virtio-net with a user network: packets there and back, buffers that are merged, checksums the
 * guest leaves to the card, back-pressure, the control queue, the layout before virtio 1.0.
 */
#include "virtio_net_rig.h"

static void setup(void)
{
    rig_setup();
    host_open();
}

static void teardown(void)
{
    rig_end();
    close(host_fd);
}

TestSuite(virtio_net, .init = setup, .fini = teardown, .timeout = 60);

Test(virtio_net, identity)
{
    cr_assert_eq(net_card("netdev=n,mac=52:54:00:12:34:56"), 0);
    cr_expect_eq(rd(R_DEVICE_ID), 1);
    for (unsigned i = 0; i < 6; i++) {
        cr_expect_eq(test_read(vm.bus, NULL, SLOT + R_CONFIG + i, 1), guest_mac[i]);
    }
    cr_expect_eq(test_read(vm.bus, NULL, SLOT + R_CONFIG + 6, 2), 1, "the link is up");
    uint64_t f = device_features();
    cr_expect_eq(f & (NET_F_CSUM | NET_F_MRG | NET_F_CTRL), NET_F_CSUM | NET_F_MRG | NET_F_CTRL);
    cr_expect_eq(f & 1 << 22, 0, "a user network has one pair of queues");
    wr(R_QSEL, 2);
    cr_expect_eq(rd(R_QMAX), 256);
    wr(R_QSEL, 3);
    cr_expect_eq(rd(R_QMAX), 0);
}

Test(virtio_net, there_and_back)
{
    uint8_t text[64];
    struct sockaddr_in from;

    cr_assert_eq(net_card("netdev=n"), 0);
    net_restart(NET_F_MRG);
    expect_arp_answer();
    take_interrupt();
    send_frame(make_udp(tx_frame(), "hello", 5, false));
    cr_assert_eq(host_receive(text, sizeof text, &from), 5);
    cr_expect_eq(memcmp(text, "hello", 5), 0);
    give_buffer(1, 2048);
    cr_assert_eq(sendto(host_fd, "world", 5, 0, (struct sockaddr *)&from, sizeof from), 5);
    uint32_t len;
    take_used(&rx, &len);
    const uint8_t *p = ram(RX_DATA + 0x1000);
    cr_expect_eq(len, NET_HDR + 42 + 5);
    cr_expect_eq(memcmp(p + NET_HDR + 42, "world", 5), 0);
    cr_expect_eq(p[10] + p[11], 1, "one buffer");
    cr_expect_eq(p[0], 0, "no word about checksums to a driver that did not ask");
}

/* The host side checks sums: a wrong one would be dropped. */
Test(virtio_net, checksum_left_to_the_card)
{
    uint8_t text[64];
    struct sockaddr_in from;

    cr_assert_eq(net_card("netdev=n"), 0);
    net_restart(NET_F_MRG | NET_F_CSUM | NET_F_GUEST_CSUM);
    expect_arp_answer();
    for (unsigned n = 1; n < 12; n++) {
        uint8_t *frame = tx_frame();
        size_t len = make_udp(frame, "some odd data", n, true);
        uint16_t at[2] = {34, 6};
        frame[-(ptrdiff_t)NET_HDR] = 1;
        memcpy(frame - NET_HDR + 6, at, sizeof at);
        send_frame(len);
        cr_assert_eq(host_receive(text, sizeof text, &from), (ssize_t)n, "%u bytes", n);
    }
    give_buffer(1, 2048);
    cr_assert_eq(sendto(host_fd, "x", 1, 0, (struct sockaddr *)&from, sizeof from), 1);
    take_used(&rx, NULL);
    cr_expect_eq(*(uint8_t *)ram(RX_DATA + 0x1000), 2, "checked");
}

Test(virtio_net, merged_buffers)
{
    uint8_t data[1000], got[1200];
    struct sockaddr_in from;

    cr_assert_eq(net_card("netdev=n"), 0);
    net_restart(NET_F_MRG);
    expect_arp_answer();
    send_frame(make_udp(tx_frame(), "x", 1, false));
    cr_assert_eq(host_receive(data, sizeof data, &from), 1);
    for (unsigned i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 13 + i / 256);
    }
    cr_assert_eq(sendto(host_fd, data, sizeof data, 0, (struct sockaddr *)&from, sizeof from),
                 (ssize_t)sizeof data);
    /* 12 + 42 + 1000 bytes: ten buffers of 100 and one of 54, all at once or not at all. */
    for (unsigned i = 1; i <= 10; i++) {
        give_buffer(i, 100);
    }
    usleep(30000);
    cr_expect_eq(used_idx(&rx), rx.used_seen, "not before all fits");
    give_buffer(11, 100);
    for (unsigned i = 1, at = 0; i <= 11; i++) {
        uint32_t len;
        take_used(&rx, &len);
        cr_assert_eq(len, i < 11 ? 100 : 54);
        memcpy(got + at, ram(RX_DATA + i * 0x1000), len);
        at += len;
    }
    cr_expect_eq(got[10], 11, "num_buffers");
    cr_expect_eq(memcmp(got + NET_HDR + 42, data, sizeof data), 0);
}

/* Nobody takes packets: they wait, in order; the card goes on sending meanwhile. */
Test(virtio_net, no_room)
{
    uint8_t b[16];
    struct sockaddr_in from;

    cr_assert_eq(net_card("netdev=n"), 0);
    net_restart(F_EVENT);
    expect_arp_answer();
    send_frame(make_udp(tx_frame(), "x", 1, false));
    cr_assert_eq(host_receive(b, sizeof b, &from), 1);
    for (uint8_t i = 0; i < 50; i++) {
        cr_assert_eq(sendto(host_fd, &i, 1, 0, (struct sockaddr *)&from, sizeof from), 1);
    }
    usleep(20000);
    send_frame(make_udp(tx_frame(), "y", 1, false));
    cr_assert_eq(host_receive(b, sizeof b, &from), 1);
    for (uint8_t i = 0; i < 50; i++) {
        give_buffer(1, 2048);
        take_used(&rx, NULL);
        cr_assert_eq(*(uint8_t *)ram(RX_DATA + 0x1000 + NET_HDR + 42), i);
    }
}

/* ---- control queue ---- */
/* Does a frame for the guest get through? */
static bool gets_through(struct sockaddr_in *from)
{
    uint32_t len;
    uint8_t b[16];

    send_frame(make_udp(tx_frame(), "?", 1, false));
    cr_assert_eq(host_receive(b, sizeof b, from), 1);
    give_buffer(1, 2048);
    cr_assert_eq(sendto(host_fd, "!", 1, 0, (struct sockaddr *)from, sizeof *from), 1);
    for (unsigned i = 0; i < 300 && used_idx(&rx) == rx.used_seen; i++) {
        nap();
    }
    if (used_idx(&rx) == rx.used_seen) {
        return false;
    }
    take_used(&rx, &len);
    return len == NET_HDR + 42 + 1;
}

Test(virtio_net, which_frames)
{
    static const uint8_t on = 1, off = 0;
    static const uint8_t other[6] = {0x52, 0, 0, 0, 0, 1};
    uint8_t table[4 + 6 + 4] = {1, 0, 0, 0};
    struct sockaddr_in from;

    memcpy(table + 4, guest_mac, 6);
    cr_assert_eq(net_card("netdev=n"), 0);
    net_restart(NET_F_MRG | NET_F_CTRL);
    expect_arp_answer();
    cr_expect(gets_through(&from), "its own address");
    cr_expect_eq(command(1, 1, other, 6), 0);
    cr_expect_eq(test_read(vm.bus, NULL, SLOT + R_CONFIG + 5, 1), 1, "the new address shows");
    cr_expect_not(gets_through(&from), "another address");
    cr_expect_eq(command(1, 0, table, sizeof table), 0);
    cr_expect(gets_through(&from), "in the table");
    cr_expect_eq(command(0, 4, &on, 1), 0);
    cr_expect_not(gets_through(&from), "no unicast");
    cr_expect_eq(command(0, 0, &on, 1), 0);
    cr_expect(gets_through(&from), "promiscuous");
    cr_expect_eq(command(0, 0, &off, 1), 0);
    cr_expect_eq(command(0, 4, &off, 1), 0);
    memset(table, 0, sizeof table);
    cr_expect_eq(command(1, 0, table, 8), 0, "empty tables");
    cr_expect_not(gets_through(&from), "no longer in the table");
    static uint8_t many[4 + 1000 * 6 + 4] = {0xe8, 3};
    cr_expect_eq(command(1, 0, many, 2000), 1, "a thousand, and not there");
    cr_expect_not(gets_through(&from));
    cr_expect_eq(command(1, 0, many, sizeof many), 0, "a thousand");
    cr_expect(gets_through(&from), "more than we keep: all");
    net_restart(NET_F_MRG | NET_F_CTRL);
    cr_expect_eq(test_read(vm.bus, NULL, SLOT + R_CONFIG + 5, 1), 0x56, "a reset brings it back");
    cr_expect(gets_through(&from));
}

Test(virtio_net, commands_refused)
{
    static const uint8_t zero[16];
    uint8_t many[4] = {0xff, 0xff, 0xff, 0xff};

    cr_assert_eq(net_card("netdev=n"), 0);
    net_restart(NET_F_CTRL);
    cr_expect_eq(command(0, 6, zero, 1), 1, "unknown mode");
    cr_expect_eq(command(0, 0, zero, 0), 1, "no data");
    cr_expect_eq(command(1, 1, zero, 5), 1, "half an address");
    cr_expect_eq(command(1, 0, many, 4), 1, "a table that is not there");
    cr_expect_eq(command(1, 0, zero, 7), 1, "a table and a half");
    cr_expect_eq(command(4, 0, zero, 2), 1, "no pairs");
    cr_expect_eq(command(5, 0, zero, 8), 1, "offloads not negotiated");
    cr_expect_eq(command(77, 0, zero, 8), 1);
    expect_arp_answer();
}

/* ---- before virtio 1.0 ---- */
Test(virtio_net, short_header)
{
    uint8_t b[16];
    struct sockaddr_in from;

    opt.virtio_legacy = true;
    hdr_size = 10;
    cr_assert_eq(net_card("netdev=n"), 0);
    wr(R_STATUS, 0);
    wr(R_STATUS, ST_ACK | ST_DRIVER);
    wr(R_PAGE_SIZE, 4096);
    wr(R_DRV_FEATURES, 0);
    rx = legacy_queue(0, 16, RAM_BASE);
    tx = legacy_queue(1, 16, RAM_BASE + 0x8000);
    wr(R_STATUS, ST_ACK | ST_DRIVER | ST_OK);
    expect_arp_answer();
    send_frame(make_udp(tx_frame(), "old", 3, false));
    cr_expect_eq(host_receive(b, sizeof b, &from), 3);
    test_write(vm.bus, NULL, SLOT + R_CONFIG + 5, 1, 0x77);
    cr_expect_eq(test_read(vm.bus, NULL, SLOT + R_CONFIG + 5, 1), 0x77, "legacy way to set it");
}

/* ---- mistakes of the user ---- */
Test(virtio_net, mistakes)
{
    cr_expect_eq(net_card(""), -EINVAL);
    cr_expect_eq(net_card("netdev=m"), -ENOENT);
    cr_expect_eq(net_card("netdev=n,mac=1:2:3"), -EINVAL);
    vm.nets_used = 0;
    cr_expect_eq(net_card("netdev=n,mac=01:00:00:00:00:00"), -EINVAL);
    vm.nets_used = 0;
    cr_assert_eq(net_card("netdev=n"), 0);
    struct vm_device again = {.driver = (char *)(uintptr_t)"virtio-net-device",
                              .options = (char *)(uintptr_t)"netdev=n"};
    cr_expect_eq(virtio_mmio_create(&vm, 1, SLOT + 0x200, &(struct irq_line){0}, &again), -EBUSY);
}
