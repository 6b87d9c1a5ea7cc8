/* SPDX-License-Identifier: MIT */
/*
 * Drivers of a network card that break the rules, and headers that lie: the card asks for a reset
 * or drops the packet, works again afterwards, and touches nothing outside RAM. The last test does
 * random things with a seed (VIRTIO_SEED, VIRTIO_ROUNDS).
 */
#include "virtio_net_rig.h"

#define RAM_END ((gpa_t)RAM_BASE + RAM_SIZE)
#define FEATURES (F_INDIRECT | F_EVENT | NET_F_MRG | NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_CTRL)

static void setup(void)
{
    rig_setup();
    host_open();
    net_restricted = true;
    cr_assert_eq(net_card("netdev=n"), 0);
    net_restart(FEATURES);
}

static void teardown(void)
{
    rig_end();
    close(host_fd);
}

TestSuite(virtio_net_hostile, .init = setup, .fini = teardown, .timeout = 100);

static void expect_works(void)
{
    net_restart(FEATURES);
    expect_arp_answer();
    cr_expect_not(rd(R_STATUS) & ST_NEEDS_RESET);
}

static void expect_broken(struct gqueue *q, const char *what, struct gdesc d)
{
    publish(q, put_chain(q, &d, 1));
    wr(R_NOTIFY, q->index);
    cr_expect(WAIT_FOR(rd(R_STATUS) & ST_NEEDS_RESET), "%s: not noticed", what);
    wr(R_ACK, 3);
    expect_works();
}

Test(virtio_net_hostile, chains)
{
    expect_broken(&tx, "no header", (struct gdesc){TX_DATA, 11, 0, 0});
    expect_broken(&tx, "only writable", (struct gdesc){TX_DATA, 100, D_WRITE, 0});
    expect_broken(&tx, "outside RAM", (struct gdesc){RAM_END - 10, 100, 0, 0});
    expect_broken(&tx, "huge, beyond RAM", (struct gdesc){TX_DATA, UINT32_MAX, 0, 0});
    expect_broken(&ctrl, "no room for the answer", (struct gdesc){CTRL_DATA, 3, 0, 0});
    expect_broken(&ctrl, "outside RAM", (struct gdesc){RAM_END, 3, D_WRITE, 0});
}

/* Receive buffers are looked at when a packet comes. */
static void expect_broken_receive(const char *what, struct gdesc d)
{
    publish(&rx, put_chain(&rx, &d, 1));
    wr(R_NOTIFY, rx.index);
    send_frame(make_arp(tx_frame()));
    cr_expect(WAIT_FOR(rd(R_STATUS) & ST_NEEDS_RESET), "%s: not noticed", what);
    expect_works();
}

Test(virtio_net_hostile, receive_buffers)
{
    expect_broken_receive("no room for the header", (struct gdesc){RX_DATA, 11, D_WRITE, 0});
    expect_broken_receive("readable", (struct gdesc){RX_DATA, 2000, 0, 0});
    expect_broken_receive("outside RAM", (struct gdesc){RAM_END - 5, 2000, D_WRITE, 0});
    /* Without merging, a packet longer than its buffer is dropped, and the buffer used again. */
    net_restart(0);
    give_buffer(0, 40);
    give_buffer(1, 100);
    send_frame(make_arp(tx_frame()));
    usleep(20000);
    cr_expect_eq(used_idx(&rx), 0);
    cr_expect_not(rd(R_STATUS) & ST_NEEDS_RESET);
    expect_works();
    /* A whole ring that cannot hold one packet does not stop the next. */
    net_restart(NET_F_MRG);
    give_buffer(0, 12);
    for (unsigned i = 1; i < 16; i++) {
        give_buffer(i, 1);
    }
    send_frame(make_arp(tx_frame()));
    usleep(20000);
    cr_expect_eq(used_idx(&rx), 0);
    expect_works();
}

/* Frames and headers without sense: dropped, and nothing happens to the card. */
Test(virtio_net_hostile, headers)
{
    static const struct {
        uint8_t flags, gso;
        uint16_t hdr_len, gso_size, start, offset;
    } h[] = {
        {1, 0, 0, 0, 65535, 65535}, {1, 0, 0, 0, 46, 0},  {1, 0, 0, 0, 45, 0},
        {1, 0, 0, 0, 0, 65535},     {255, 255, 65535, 0, 0, 0}, {1, 1, 54, 0, 34, 16},
        {1, 4, 0, 65535, 34, 8},    {0, 3, 1, 1, 1, 1},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(h); i++) {
        for (uint32_t len = 1; len < 47; len += 15) {
            make_udp(tx_frame(), "????", 4, false);
            memcpy(ram(TX_DATA), &h[i], sizeof h[i]);
            send_frame(len);
        }
    }
    round_trip(&tx, &(struct gdesc){TX_DATA, NET_HDR, 0, 0}, 1);
    round_trip(&tx, &(struct gdesc){TX_DATA, NET_HDR + 65601, 0, 0}, 1);
    round_trip(&tx, &(struct gdesc){TX_DATA, NET_HDR + 65600, 0, 0}, 1);
    round_trip(&tx, &(struct gdesc){TX_DATA, 20 << 20, 0, 0}, 1);
    cr_expect_not(rd(R_STATUS) & ST_NEEDS_RESET);
    expect_arp_answer();
}

/* ---- at random ---- */
static uint64_t seed;

static uint32_t rnd(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) % below);
}

static struct gdesc random_desc(void)
{
    static const uint32_t len[] = {0, 1, 2, 12, 54, 100, 1500, 4096, 70000, UINT32_MAX};
    static const uint16_t flags[] = {0, D_NEXT, D_WRITE, D_WRITE, D_WRITE | D_NEXT, D_INDIRECT, 7};
    gpa_t at = rnd(12) == 0 ? RAM_END - rnd(1024) : TX_DATA + rnd(1 << 20);

    return (struct gdesc){at, len[rnd(10)], flags[rnd(7)], (uint16_t)rnd(16)};
}

/* A frame of the right kind with something wrong in it now and then. */
static void random_frame(void)
{
    uint8_t *frame = tx_frame();
    size_t len = rnd(4) == 0 ? make_arp(frame) : make_udp(frame, "random data", rnd(12), rnd(2));
    static const uint16_t at[2] = {34, 6};

    frame[-(ptrdiff_t)NET_HDR] = (uint8_t)rnd(2);
    memcpy(frame - NET_HDR + 6, at, sizeof at);
    for (unsigned n = rnd(6) == 0 ? rnd(4) : 0; n > 0; n--) {
        frame[(ptrdiff_t)rnd((uint32_t)(len + NET_HDR)) - (ptrdiff_t)NET_HDR] = (uint8_t)rnd(256);
    }
    struct gdesc d[] = {{TX_DATA, NET_HDR, 0, 0}, {TX_DATA + NET_HDR, (uint32_t)len, 0, 0}};
    publish(&tx, put_chain(&tx, d, 2));
}

static void random_step(void)
{
    struct gqueue *q = rnd(2) == 0 ? &rx : rnd(2) == 0 ? &tx : &ctrl;
    struct gdesc d[2] = {random_desc(), random_desc()};

    switch (rnd(40)) {
    case 0: wr(R_STATUS, 0); break;
    case 1: wr(4 * rnd(64), rnd(UINT32_MAX)); break;
    case 2: wr(R_QSEL, rnd(4)); wr(R_QREADY, rnd(2)); break;
    case 3: publish(q, put_chain(q, d, 1 + rnd(2))); break;
    case 4: *(uint16_t *)ram(q->avail + 2 * rnd(20)) = (uint16_t)rnd(65536); break;
    case 5: wr(R_ACK, 3); break;
    case 6: usleep(200); break;
    case 7: test_write(vm.bus, NULL, SLOT + R_CONFIG + rnd(12), 1, rnd(256)); break;
    case 8: case 9: case 10:
        memcpy(ram(CTRL_DATA), (uint8_t[]){(uint8_t)rnd(7), (uint8_t)rnd(7), (uint8_t)rnd(3), 0, 0},
               5);
        publish(&ctrl, put_chain(&ctrl,
                                 (struct gdesc[]){{CTRL_DATA, rnd(20), 0, 0},
                                                  {CTRL_DATA + 64, 1, D_WRITE, 0}}, 2));
        break;
    case 11: case 12: case 13: case 14: case 15:
        publish(&rx, put_chain(&rx, &(struct gdesc){RX_DATA, 1 + rnd(2000), D_WRITE, 0}, 1));
        break;
    default: random_frame(); break;
    }
    wr(R_NOTIFY, rnd(5));
    if (rnd(8) == 0 || (rd(R_STATUS) & (ST_NEEDS_RESET | ST_OK)) != ST_OK) {
        net_restart(rnd(2) == 0 ? FEATURES : device_features() & ((uint64_t)rnd(UINT32_MAX)));
    }
}

Test(virtio_net_hostile, at_random)
{
    const char *s = getenv("VIRTIO_SEED"), *r = getenv("VIRTIO_ROUNDS");
    unsigned long rounds = r != NULL ? strtoul(r, NULL, 0) : 20000;

    seed = s != NULL ? strtoull(s, NULL, 0) : 1;
    for (unsigned long i = 0; i < rounds; i++) {
        random_step();
    }
    expect_works();
}
