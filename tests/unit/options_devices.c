/* SPDX-License-Identifier: MIT */
/* Drives, flash, networks, shares and transports on the command line. */
#include "options_rig.h"

#include <arpa/inet.h>

Test(options, networks)
{
    struct options o;

    cr_assert_eq(parse("-kernel k -nic none -global virtio-mmio.force-legacy=on "
                       "-netdev user,id=a,hostfwd=tcp:127.0.0.1:2222-:22,"
                       "hostfwd=udp::53-10.0.2.9:54,restrict=on,hostname=h "
                       "-device virtio-net-device,netdev=a "
                       "-nic tap,fds=5:6:7,mac=52:54:00:00:00:01,model=virtio "
                       "-netdev tap,id=b,ifname=t0,queues=4,script=no,downscript=no,vhost=off",
                       &o),
                 0);
    cr_expect(o.vm.virtio_legacy);
    cr_assert_eq(o.vm.nnets, 3);
    const struct net_config *a = &o.vm.net[0], *t = &o.vm.net[1], *b = &o.vm.net[2];
    cr_expect_eq(a->kind, NET_USER);
    cr_expect_str_eq(a->id, "a");
    cr_expect_str_eq(a->hostname, "h");
    cr_expect(a->restricted);
    cr_assert_eq(a->nforwards, 2);
    cr_expect_eq(a->forward[0].host.s_addr, htonl(0x7f000001));
    cr_expect_eq(a->forward[0].host_port, 2222);
    cr_expect_eq(a->forward[0].guest_port, 22);
    cr_expect_not(a->forward[0].udp);
    cr_expect(a->forward[1].udp);
    cr_expect_eq(a->forward[1].host.s_addr, 0);
    cr_expect_eq(a->forward[1].guest.s_addr, htonl(0x0a000209));
    cr_expect_eq(t->kind, NET_TAP);
    cr_assert_eq(t->nfds, 3);
    cr_expect_eq(t->fd[2], 7);
    cr_expect_eq(b->queues, 4);
    cr_expect_str_eq(b->ifname, "t0");
    cr_assert_eq(o.vm.ndevices, 2);
    cr_expect_str_eq(o.vm.device[1].driver, "virtio-net");
    cr_expect_str_eq(o.vm.device[1].options, "netdev=nic1,mac=52:54:00:00:00:01");
    options_free(&o);
}

Test(options, firmware_and_flash)
{
    struct options o;

    cr_assert_eq(parse("-bios fw.bin -drive if=pflash,format=raw,file=vars.fd", &o), 0);
    cr_expect_str_eq(o.vm.flash[0].file, "fw.bin");
    cr_expect(o.vm.flash[0].readonly && o.vm.flash[0].shorter);
    cr_expect_str_eq(o.vm.flash[1].file, "vars.fd");
    cr_expect_not(o.vm.flash[1].readonly);
    cr_expect_not(o.vm.flash[1].shorter);
    cr_expect_eq(o.vm.ndrives, 0);
    options_free(&o);
    cr_assert_eq(parse("-kernel k -drive if=pflash,file=b,unit=1,readonly=on "
                       "-drive if=pflash,file=a,snapshot=on",
                       &o),
                 0);
    cr_expect_str_eq(o.vm.flash[0].file, "a");
    cr_expect(o.vm.flash[0].snapshot);
    cr_expect_str_eq(o.vm.flash[1].file, "b");
    cr_expect(o.vm.flash[1].readonly);
    options_free(&o);
}

Test(options, transports)
{
    struct options o;

    cr_assert_eq(parse("-M virt,virtio=pci -kernel k -nic user,model=virtio-net-pci", &o), 0);
    cr_expect(o.vm.virtio_pci);
    cr_expect_str_eq(o.vm.device[0].driver, "virtio-net-pci");
    options_free(&o);
    cr_assert_eq(parse("-M virt,virtio=mmio -kernel k -nic user", &o), 0);
    cr_expect_not(o.vm.virtio_pci);
    options_free(&o);
}

Test(options, drive_with_its_own_device)
{
    struct options o;

    cr_assert_eq(parse("-kernel k -drive file=d.img,if=virtio,snapshot=on", &o), 0);
    cr_expect(o.vm.drive[0].snapshot);
    cr_assert_eq(o.vm.ndevices, 1);
    cr_expect_str_eq(o.vm.device[0].driver, "virtio-blk");
    cr_expect_str_eq(o.vm.device[0].options, "drive=drive0");
    cr_expect_str_eq(o.vm.drive[0].id, "drive0");
    cr_expect_not(o.vm.drive[0].readonly);
    options_free(&o);
}

/* Without if= a drive gets a device, unless one has it. */
Test(options, drives_without_an_interface)
{
    struct options o;

    cr_assert_eq(parse("-kernel k -drive file=a -drive file=b,id=x -device "
                       "virtio-blk-pci,serial=1,drive=x -drive file=c,if=none,id=y -hda d,e",
                       &o),
                 0);
    cr_assert_eq(o.vm.ndevices, 3);
    cr_expect_str_eq(o.vm.device[0].driver, "virtio-blk-pci");
    cr_expect_str_eq(o.vm.device[1].options, "drive=drive0");
    cr_expect_str_eq(o.vm.device[2].options, "drive=drive3");
    cr_expect_str_eq(o.vm.drive[3].file, "d,e");
    cr_expect_not(o.vm.drive[0].snapshot);
    options_free(&o);
}

Test(options, snapshot_of_all_drives)
{
    struct options o;

    cr_assert_eq(parse("-kernel k -drive file=a -snapshot -cdrom b -pflash f", &o), 0);
    cr_expect(o.vm.drive[0].snapshot);
    cr_expect(o.vm.drive[1].snapshot && o.vm.drive[1].readonly);
    cr_expect(o.vm.flash[0].snapshot);
    cr_expect_eq(o.vm.ndevices, 2);
    options_free(&o);
}

Test(options, networks_in_two_parts)
{
    struct options o;

    cr_assert_eq(parse("-kernel k -net user,hostfwd=tcp::2222-:22 -net "
                       "nic,model=virtio,macaddr=52:54:00:00:00:07",
                       &o),
                 0);
    cr_assert_eq(o.vm.nnets, 1);
    cr_expect_eq(o.vm.net[0].forward[0].host_port, 2222);
    cr_assert_eq(o.vm.ndevices, 1);
    cr_expect_str_eq(o.vm.device[0].options, "netdev=nic0,mac=52:54:00:00:00:07");
    options_free(&o);
}

Test(options, private_networks)
{
    struct options o;

    cr_assert_eq(parse("-kernel k -nic user -nic user,net=192.168.7.0/255.255.255.128,dns="
                       "192.168.7.9,ipv6=off,tftp=/t,bootfile=b",
                       &o),
                 0);
    const struct net_config *a = &o.vm.net[0], *b = &o.vm.net[1];
    cr_expect_eq(a->network, 0x0a000200);
    cr_expect_eq(a->netmask, 0xffffff00);
    cr_expect_eq(a->gateway, 0x0a000202);
    cr_expect_eq(a->nameserver, 0x0a000203);
    cr_expect_eq(a->dhcp_start, 0x0a00020f);
    cr_expect_not(a->no_ipv6);
    cr_expect_eq(b->network, 0xc0a80700);
    cr_expect_eq(b->netmask, 0xffffff80);
    cr_expect_eq(b->gateway, 0xc0a80702);
    cr_expect_eq(b->nameserver, 0xc0a80709);
    cr_expect_eq(b->dhcp_start, 0xc0a8070f);
    cr_expect(b->no_ipv6);
    cr_expect_str_eq(b->tftp, "/t");
    cr_expect_str_eq(b->bootfile, "b");
    options_free(&o);
}

Test(options, shares_and_semihosting)
{
    struct options o;

    cr_assert_eq(parse("-kernel k -virtfs local,path=/a,,b,mount_tag=t,security_model=mapped,"
                       "readonly -semihosting-config enable=on,arg=one,arg=two",
                       &o),
                 0);
    cr_assert_eq(o.vm.nshares, 1);
    cr_expect_str_eq(o.vm.share[0].config.path, "/a,b");
    cr_expect_eq(o.vm.share[0].config.security, P9_MAPPED);
    cr_expect(o.vm.share[0].config.readonly);
    cr_expect_str_eq(o.vm.device[0].driver, "virtio-9p");
    cr_expect(o.vm.semihosting.on);
    cr_expect_str_eq(o.vm.semihosting.args, "one two");
    options_free(&o);
    cr_assert_eq(parse("-kernel k -drive file=a.qcow2 -drive file=b.img,format=qcow2 "
                       "-drive file=c.qcow2,format=raw -drive file=nbd://h/d.qcow2",
                       &o),
                 0);
    cr_expect(o.vm.drive[0].qcow2 && o.vm.drive[1].qcow2);
    cr_expect_not(o.vm.drive[2].qcow2 || o.vm.drive[3].qcow2);
    options_free(&o);
}
