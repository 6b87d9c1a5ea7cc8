/* SPDX-License-Identifier: MIT */
/*
 * The command line: what each option accepts and stores, and what it refuses; messages name the
 * culprit and what is accepted. Devices and monitors: options_devices.c, options_monitors.c.
 */
#include "options_rig.h"

#include <errno.h>

#include "io/chardev.h"
#include "tcg/tcg.h"

Test(options, defaults)
{
    struct options o;

    cr_assert_eq(parse("-kernel k", &o), 0);
    cr_expect_str_eq(o.vm.machine, "virt");
    cr_expect_str_eq(o.vm.cpu, "cortex-a15");
    cr_expect_eq(o.vm.smp, 1);
    cr_expect_eq(o.vm.ram_size, 256 * MIB);
    cr_expect_str_eq(o.vm.serial, "mon:stdio");
    cr_expect_str_eq(o.vm.kernel, "k");
    cr_expect_null(o.vm.append);
    cr_expect_not(o.vm.no_reboot);
    cr_expect_eq(o.vm.tier2_threshold, VM_TIER2_SAMPLED);
    cr_expect_eq(o.action, OPTIONS_RUN);
    options_free(&o);
    cr_assert_eq(parse("-kernel k -tier2-threshold 0 -tier2-threshold sampled", &o), 0);
    cr_expect_eq(o.vm.tier2_threshold, VM_TIER2_SAMPLED);
    options_free(&o);
}

Test(options, everything_at_once)
{
    struct options o;

    cr_assert_eq(
        parse("-M virt,gic-version=2,highmem=off -cpu cortex-a7 -smp cpus=4 -m 2G -kernel k "
              "-initrd i "
              "-append 'a b=c' -dtb t -serial file:/tmp/x -nographic -display none -no-reboot "
              "-d in_asm,int -D log -mmu soft -stats s.json -pin 0,1 -exclusive strict "
              "-vma-budget 1000 -accel tcg,thread=multi,tb-size=64 -nic none -monitor none "
              "-tier2-threshold 77 "
              "-drive file=/a,,b.img,format=raw,if=none,id=d0,readonly=on "
              "-device virtio-blk-device,drive=d0,serial=x -device virtio-rng-device",
              &o),
        0);
    cr_expect_str_eq(o.vm.cpu, "cortex-a7");
    cr_expect_eq(o.vm.smp, 4);
    cr_expect_eq(o.vm.ram_size, 2048 * MIB);
    cr_expect_str_eq(o.vm.append, "a b=c");
    cr_expect_str_eq(o.vm.initrd, "i");
    cr_expect_str_eq(o.vm.dtb, "t");
    cr_expect_str_eq(o.vm.serial, "file:/tmp/x");
    cr_expect(o.vm.no_reboot);
    cr_expect_eq(o.log_mask, (LOG_IN_ASM | LOG_INT));
    cr_expect_str_eq(o.log_path, "log");
    cr_expect_eq(o.vm.mmu.mode, MMU_SOFT);
    cr_expect_eq(o.vm.mmu.vma_budget, 1000);
    cr_expect_eq(o.vm.tier2_threshold, 77);
    cr_expect_str_eq(o.vm.stats_path, "s.json");
    cr_expect_str_eq(o.vm.pin, "0,1");
    cr_expect(o.vm.exclusive_strict);
    cr_expect_eq(o.vm.tb_size, 64 * MIB);
    cr_assert_eq(o.vm.ndrives, 1);
    cr_expect_str_eq(o.vm.drive[0].file, "/a,b.img");
    cr_expect_str_eq(o.vm.drive[0].id, "d0");
    cr_expect(o.vm.drive[0].readonly);
    cr_assert_eq(o.vm.ndevices, 2);
    cr_expect_str_eq(o.vm.device[0].driver, "virtio-blk-device");
    cr_expect_str_eq(o.vm.device[0].options, "drive=d0,serial=x");
    cr_expect_str_eq(o.vm.device[1].driver, "virtio-rng-device");
    cr_expect_null(o.vm.device[1].options);
    options_free(&o);
}

Test(options, memory_modes)
{
    static const struct {
        const char *text;
        bool soft, tiered;
        unsigned windows, prefill;
    } good[] = {
        {"-mmu soft", true, false, 0, 0},
        {"-mmu auto", false, true, 0, 0},
        {"-mmu spt", false, false, 0, 0},
        {"-mmu spt=private", false, false, 0, 0},
        {"-mmu spt=shared", false, false, 1, 0},
        {"-mmu spt=shared,prefill=300", false, false, 1, 300},
        {"-mmu spt=group,windows=8", false, false, 8, 0},
        {"-mmu spt=group,prefill=4096,windows=200", false, false, 200, 4096},
    };
    static const char *const bad[] = {
        "-mmu spt=",
        "-mmu spt=group",
        "-mmu spt=group,windows=0",
        "-mmu spt=group,windows=201",
        "-mmu spt=group,windows=8x",
        "-mmu spt=shared,windows=8",
        "-mmu spt=shared,prefill=",
        "-mmu spt=shared,prefill=4097",
        "-mmu spt=shared,",
        "-mmu spt=private,prefill=3",
        "-mmu spt=other",
        "-mmu auto=1",
        "-mmu spts",
    };
    struct options o;

    cr_assert_eq(parse("-kernel k", &o), 0);
    cr_expect(o.vm.mmu.mode == MMU_SPT && o.vm.mmu.tiered, "auto is the default");
    options_free(&o);
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        char line[128];

        snprintf(line, sizeof(line), "-kernel k %s", good[i].text);
        cr_assert_eq(parse(line, &o), 0, "%s", line);
        cr_expect_eq(o.vm.mmu.mode == MMU_SOFT, good[i].soft, "%s", line);
        cr_expect_eq(o.vm.mmu.tiered, good[i].tiered, "%s", line);
        cr_expect_eq(o.vm.mmu.windows, good[i].windows, "%s", line);
        cr_expect_eq(o.vm.mmu.prefill, good[i].prefill, "%s", line);
        options_free(&o);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char line[128];

        snprintf(line, sizeof(line), "-kernel k %s", bad[i]);
        cr_expect_eq(parse(line, &o), -EINVAL, "%s", line);
        options_free(&o);
    }
}

Test(options, topology)
{
    struct options o;

    cr_assert_eq(parse("-kernel k -smp sockets=2,cores=3", &o), 0);
    cr_expect_eq(o.vm.smp, 6);
    options_free(&o);
}

Test(options, help_version_and_two_dashes)
{
    struct options o;

    cr_assert_eq(parse("--help", &o), 0);
    cr_expect_eq(o.action, OPTIONS_HELP);
    cr_assert_eq(parse("-version", &o), 0);
    cr_expect_eq(o.action, OPTIONS_VERSION);
    cr_assert_eq(parse("--kernel k --smp 2", &o), 0);
    cr_expect_eq(o.vm.smp, 2);
    options_free(&o);
}

Test(options, dumpdtb_needs_no_kernel)
{
    struct options o;

    cr_assert_eq(parse("-M virt,dumpdtb=x.dtb", &o), 0);
    cr_expect_str_eq(o.vm.dumpdtb, "x.dtb");
    options_free(&o);
    cr_assert_eq(parse("-dumpdtb a -dumpdtb b", &o), 0);
    cr_expect_str_eq(o.vm.dumpdtb, "b");
    options_free(&o);
}

Test(options, sizes)
{
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } c[] = {
        {"512", 512 * MIB},
        {"1G", 1024 * MIB},
        {"1g", 1024 * MIB},
        {"64M", 64 * MIB},
        {"2048K", 2 * MIB},
        {"32G", 32768 * MIB},
        {"32768", 32768 * MIB},
        {"size=1G", 1024 * MIB},
        {"1GiB", 1024 * MIB},
        {"512MB", 512 * MIB},
        {"1048576B", MIB},
        {"0", 0},
        {"33G", 0},
        {"1T", 0},
        {"-1", 0},
        {"", 0},
        {"G", 0},
        {"1X", 0},
        {"1GG", 0},
        {"1.5G", 0},
        {"1023K", 0},
        {"2049B", 0},
        {"99999999999999999999", 0},
        {"18446744073709551615G", 0},
        {"0x10", 0},
        {"1 G", 0},
        {"1M,slots=2", 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
        char *argv[] = {(char *)"umbra", (char *)"-kernel", (char *)"k", (char *)"-m",
                        (char *)c[i].text};
        struct options o;
        int err = options_parse(5, argv, &o);
        cr_expect_eq(err == 0, c[i].bytes != 0, "-m '%s'", c[i].text);
        if (err == 0) {
            cr_expect_eq(o.vm.ram_size, c[i].bytes, "-m %s", c[i].text);
        }
    }
}

Test(options, accepted)
{
    static const char *const line[] = {
        "-smp 1",
        "-smp 8",
        "-smp cpus=8",
        "-cpu cortex-a15",
        "-cpu max",
        "-machine virt",
        "-M ranchu",
        "-M ranchu,xres=16,yres=4096,format=x8r8g8b8,adb=127.0.0.1:5555,wav=/x,prop=a=b=c",
        "-display sdl",
        "-M type=virt",
        "-serial stdio",
        "-serial mon:stdio",
        "-serial null",
        "-serial none",
        "-serial pty",
        "-serial unix:/tmp/s,server=on,wait=off",
        "-serial unix:/tmp/s,server,nowait",
        "-mmu spt",
        "-pin none",
        "-pin spread",
        "-pin compact",
        "-pin 0-3,5",
        "-exclusive fast",
        "-nodefaults",
        "-net none",
        "-vga none",
        "-name x",
        "-d guest_errors",
        "-drive file=x,read-only=off",
        "-drive file=x,cache=none,aio=io_uring,discard=unmap,media=disk,index=0,werror=report",
        "-machine virt,accel=kvm:tcg,usb=off,dump-guest-core=off,secure=off",
        "-smp 4,sockets=1,cores=4,threads=1,maxcpus=4",
        "-rtc base=utc,clock=host,driftfix=slew",
        "-boot c",
        "-boot strict=on,menu=off",
        "-object rng-random,filename=/dev/urandom,id=r -device virtio-rng-device,rng=r",
        "-object iothread,id=io",
        "-serial stdio -serial null -serial none",
        "-M virt-7.2",
        "-serial tcp::4444,server,nowait",
        "-chardev socket,host=127.0.0.1,port=1,server=on,wait=off,id=s -serial chardev:s",
        "-chardev socket,path=/tmp/s,server,nowait,id=s -serial chardev:s",
        "-gdb tcp::1234,server,nowait",
        "-gdb unix:/tmp/g,server=on,wait=off",
        "-vnc :1",
        "-vnc none",
        "-no-acpi",
    };
    struct options o;

    for (size_t i = 0; i < ARRAY_SIZE(line); i++) {
        char text[256];
        snprintf(text, sizeof text, "-kernel k %s", line[i]);
        cr_expect_eq(parse(text, &o), 0, "%s", line[i]);
        options_free(&o);
    }
}

/* What is refused, and words the message must have: the culprit and what is accepted. */
static const struct {
    const char *line, *word[3];
} refused[] = {
    {"", {"-kernel"}},
    {"-bogus", {"-bogus", "-kernel", "-mmu"}},
    {"-kernel k extra", {"extra", "-kernel"}},
    {"-kernel", {"-kernel", "missing"}},
    {"-kernel k -smp 0", {"-smp 0", "1 to 8"}},
    {"-kernel k -smp 9", {"GICv2", "8"}},
    {"-kernel k -smp 999", {"GICv2", "8"}},
    {"-kernel k -smp 2x", {"2x", "1 to 8"}},
    {"-kernel k -smp -1", {"-1"}},
    {"-kernel k -smp 99999999999999999999", {"99999999999999999999"}},
    {"-kernel k -smp 3,sockets=2", {"sockets"}},
    {"-kernel k -cpu cortex-a57", {"cortex-a57", "cortex-a15"}},
    {"-kernel k -M vexpress", {"vexpress", "virt"}},
    {"-kernel k -M virt,gic-version=3", {"3", "2"}},
    {"-kernel k -M virt,secure=on", {"secure"}},
    {"-kernel k -m 64G", {"64G", "32G"}},
    {"-kernel k -m 100K", {"100K", "1M"}},
    {"-kernel k -mmu magic", {"magic", "soft", "spt"}},
    {"-kernel k -serial telnet:x", {"telnet:x", "stdio", "unix:"}},
    {"-kernel k -serial file:", {"file:"}},
    {"-kernel k -serial null -serial stdio", {"one serial port"}},
    {"-kernel k -M virt-x", {"virt-x", "virt"}},
    {"-kernel k -serial tcp:x", {"tcp:x", "tcp:HOST:PORT"}},
    {"-kernel k -smp 4,sockets=3", {"sockets=3", "product"}},
    {"-kernel k -smp 2,maxcpus=4", {"maxcpus=4", "1 to 8"}},
    {"-kernel k -smp cores=16", {"cores=16", "GICv2"}},
    {"-kernel k -smp 2,cores=0", {"cores=0"}},
    {"-kernel k -M virt,accel=kvm", {"accel=kvm", "tcg"}},
    {"-kernel k -rtc base=localtime", {"localtime", "utc"}},
    {"-kernel k -rtc shiny=1", {"shiny", "base=utc"}},
    {"-kernel k -boot d", {"order=d", "c"}},
    {"-kernel k -object memory-backend-ram,id=m", {"memory-backend-ram", "rng-random"}},
    {"-kernel k -object rng-random,filename=/dev/zero,id=r", {"/dev/zero", "/dev/urandom"}},
    {"-kernel k -object rng-builtin,shiny=1", {"shiny", "id="}},
    {"-kernel k -vnc 5901", {"5901", "ADDR"}},
    {"-kernel k -net nic", {"nic", "-net user"}},
    {"-kernel k -net user", {"user", "-net nic"}},
    {"-kernel k -net nic -net nic", {"one of this kind", "-nic"}},
    {"-kernel k -net nic,shiny=1 -net user", {"shiny", "macaddr="}},
    {"-kernel k -net nic,model=rtl8139 -net user", {"rtl8139", "virtio"}},
    {"-kernel k -net bridge", {"bridge", "user"}},
    {"-kernel k -nic user,net=10.0.0.1/24", {"10.0.0.1/24", "10.0.3.0/24"}},
    {"-kernel k -nic user,net=10.0.0.0/255.0.255.0", {"255.0.255.0", "10.0.3.0/24"}},
    {"-kernel k -nic user,net=10.0.0.0/29", {"/29", "16 addresses"}},
    {"-kernel k -nic user,dns=8.8.8.8", {"8.8.8.8", "net="}},
    {"-kernel k -nic user,host=gateway", {"gateway", "10.0.2.2"}},
    {"-kernel k -nic user,ipv4=off", {"ipv4=off", "on"}},
    {"-kernel k -display gtk", {"gtk", "none"}},
    {"-kernel k -nic carrier-pigeon", {"carrier-pigeon", "user, tap, none"}},
    {"-kernel k -nic user,shiny=1", {"shiny", "hostfwd="}},
    {"-kernel k -nic user,model=e1000", {"e1000", "virtio-net-device"}},
    {"-kernel k -nic user,hostfwd=tcp:80-:80", {"tcp:80-:80", "PORT"}},
    {"-kernel k -nic user,hostfwd=sctp::80-:80", {"sctp", "udp"}},
    {"-kernel k -nic user,hostfwd=tcp::0-:80", {"tcp::0-:80", "PORT"}},
    {"-kernel k -nic user,hostfwd=tcp::65536-:80", {"65536", "PORT"}},
    {"-kernel k -nic user,hostfwd=tcp:localhost:80-:80", {"localhost", "ADDRESS"}},
    {"-kernel k -nic user,restrict=maybe", {"maybe", "on, off"}},
    {"-kernel k -nic tap", {"tap", "ifname="}},
    {"-kernel k -nic tap,ifname=t,fd=3", {"ifname=", "fd="}},
    {"-kernel k -nic tap,ifname=a-name-that-is-too-long", {"too-long", "15"}},
    {"-kernel k -nic tap,fd=three", {"three", "descriptors"}},
    {"-kernel k -nic tap,fds=3:4,queues=3", {"queues=3", "2"}},
    {"-kernel k -nic tap,ifname=t,queues=9", {"queues=9", "8"}},
    {"-kernel k -nic tap,ifname=t,script=/etc/up", {"/etc/up", "no"}},
    {"-kernel k -netdev user", {"netdev", "id="}},
    {"-kernel k -netdev user,id=a -netdev user,id=a", {"a", "twice"}},
    {"-kernel k -netdev user,id=a,mac=52:54:00:12:34:56", {"mac", "id="}},
    {"-kernel k -global virtio-blk.x=1", {"virtio-blk.x", "force-legacy"}},
    {"-kernel k -global virtio-mmio.force-legacy=maybe", {"maybe", "true|false"}},
    {"-kernel k -d nonsense,int", {"nonsense", "in_asm"}},
    {"-kernel k -d int,", {"in_asm"}},
    {"-kernel k -pin everywhere", {"everywhere", "spread"}},
    {"-kernel k -pin 0;1", {"0;1"}},
    {"-kernel k -exclusive loose", {"loose", "strict"}},
    {"-kernel k -vma-budget 0", {"vma-budget"}},
    {"-kernel k -tier2-threshold often", {"often", "0 (off)"}},
    {"-kernel k -tier2-threshold 1000000001", {"1000000001", "1000000000"}},
    {"-kernel k -accel kvm", {"kvm", "tcg"}},
    {"-kernel k -M virt,xres=100", {"xres", "virt", "ranchu"}},
    {"-kernel k -M goldfish", {"goldfish", "virt", "ranchu"}},
    {"-kernel k -M ranchu,xres=15", {"xres=15", "4096"}},
    {"-kernel k -M ranchu,format=r8g8b8", {"r8g8b8", "r5g6b5"}},
    {"-kernel k -M ranchu,adb=localhost:5555", {"localhost", "ADDR"}},
    {"-kernel k -M ranchu,prop=a", {"prop=a", "NAME=VALUE"}},
    {"-kernel k -M ranchu,wav=", {"wav=", "file"}},
    {"-kernel k -M ranchu,watchdog=on", {"watchdog", "none"}},
    {"-kernel k -accel tcg,tb-size=0", {"tb-size"}},
    {"-kernel k -accel tcg,tb-size=127K", {"tb-size", "128K"}},
    {"-kernel k -accel tcg,tb-size=2049", {"tb-size", "2048"}},
    {"-kernel k -accel tcg,thread=single", {"single", "multi"}},
    {"-kernel k -drive file=x,format=vmdk", {"vmdk", "qcow2", "raw"}},
    {"-kernel k -drive file=x,if=sd", {"sd", "virtio"}},
    {"-kernel k -drive file=x,if=pflash,unit=2", {"x", "unit=0, unit=1"}},
    {"-kernel k -drive file=x,if=pflash,unit=one", {"unit", "one"}},
    {"-bios y -drive file=x,if=pflash,unit=0", {"x", "bank 0", "y"}},
    {"-bios y -bios z", {"z", "bank 0", "y"}},
    {"-kernel k -drive file=x,if=pflash,format=qcow2", {"qcow2", "raw"}},
    {"-drive file=x,if=pflash,unit=1", {"nothing to run"}},
    {"-bios y -initrd i", {"-initrd", "firmware"}},
    {"-M virt,virtio=isa", {"isa", "mmio, pci"}},
    {"-kernel k -drive file=x,shiny=1", {"shiny", "readonly"}},
    {"-kernel k -drive file=x,cache=directsync", {"directsync", "writeback"}},
    {"-kernel k -drive file=x,media=tape", {"tape", "cdrom"}},
    {"-kernel k -drive file=x,readonly=maybe", {"maybe", "on"}},
    {"-kernel k -drive file=x,snapshot=maybe", {"maybe", "on"}},
    {"-kernel k -drive id=d", {"file="}},
    {"-kernel k -drive file=x,id=d -drive file=y,id=d", {"d", "twice"}},
    {"-kernel k -device ,drive=d", {"-device"}},
    {"-kernel k -virtfs local,path=/x,mount_tag=t", {"security_model", "mapped-xattr"}},
    {"-kernel k -virtfs local,path=/x,mount_tag=t,security_model=loose", {"loose", "none"}},
    {"-kernel k -virtfs local,path=/x,security_model=none", {"mount_tag"}},
    {"-kernel k -fsdev local,path=/x,security_model=none", {"id="}},
    {"-kernel k -fsdev local,id=a,path=/x,security_model=none,mount_tag=t", {"mount_tag", "id="}},
    {"-kernel k -fsdev proxy,id=a", {"proxy", "local"}},
    {"-kernel k -serial chardev:nobody", {"nobody", "-chardev"}},
    {"-kernel k -semihosting-config enable=maybe", {"maybe", "on|off"}},
    {"-kernel k -semihosting-config target=gdb", {"gdb", "native"}},
    {"-kernel k -semihosting-config chardev=nobody", {"nobody", "-chardev"}},
};

Test(options, refusals_name_the_culprit)
{
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        const char *text = message_of(refused[i].line);
        cr_expect_str_neq(text, "accepted", "%s", refused[i].line);
        cr_expect_eq(strncmp(text, "umbra: ", 7), 0, "%s: %s", refused[i].line, text);
        cr_expect_eq(strchr(text, '\n'), text + strlen(text) - 1, "one line: %s", text);
        for (unsigned w = 0; w < 3 && refused[i].word[w] != NULL; w++) {
            cr_expect_not_null(strstr(text, refused[i].word[w]), "%s: no '%s' in: %s",
                               refused[i].line, refused[i].word[w], text);
        }
    }
}

Test(options, ranchu)
{
    struct options o;

    cr_assert_eq(parse("-kernel k -M ranchu,xres=320,prop=a=b,prop=c.d=,wav=x,wav=y", &o), 0);
    cr_expect(o.vm.ranchu.on);
    cr_expect(o.vm.virtio_legacy, "as that board");
    cr_expect_eq(o.vm.ranchu.screen.width, 320);
    cr_expect_eq(o.vm.ranchu.screen.height, 800);
    cr_expect_eq(o.vm.ranchu.nprops, 2);
    cr_expect_str_eq(o.vm.ranchu.prop[0], "a=b");
    cr_expect_str_eq(o.vm.ranchu.prop[1], "c.d=");
    cr_expect_str_eq(o.vm.ranchu.wav, "y");
    options_free(&o);
    cr_assert_eq(parse("-kernel k -M ranchu -global virtio-mmio.force-legacy=false", &o), 0);
    cr_expect_not(o.vm.virtio_legacy);
    options_free(&o);
    cr_assert_eq(parse("-kernel k", &o), 0);
    cr_expect_not(o.vm.ranchu.on);
    cr_expect_not(o.vm.display.window);
    options_free(&o);
}

Test(options, too_many)
{
    char line[1024] = "-kernel k";

    for (unsigned i = 0; i < 33; i++) {
        strcat(line, " -device x");
    }
    cr_expect_not_null(strstr(message_of(line), "32"));
}

Test(options, help_lists_every_main_option)
{
    char buf[8192] = "";
    FILE *f = fmemopen(buf, sizeof buf, "w");

    options_print_help(f);
    fclose(f);
    static const char *const word[] = {
        "-M ",   "-cpu ",   "-smp ",    "-m ",      "-kernel ",   "-initrd ",  "-append ",
        "-dtb ", "-drive ", "-device ", "-serial ", "-nographic", "-display ", "-no-reboot",
        "-d ",   "-D ",     "-mmu ",    "-stats ",  "-pin ",      "-help"};
    for (size_t i = 0; i < ARRAY_SIZE(word); i++) {
        cr_expect_not_null(strstr(buf, word[i]), "%s", word[i]);
    }
}

/* What scripts look for before they start a machine. */
Test(options, lists)
{
    static const struct {
        const char *line, *word;
    } list[] = {
        {"-machine ?", "virt                 ARM Virtual Machine\n"},
        {"-M help", "ranchu"},
        {"-cpu help", "  cortex-a7\n"},
        {"-machine virt,accel=tcg -device ?", "name \"virtconsole\", bus virtio-serial-bus\n"},
        {"-device help", "name \"virtio-blk-pci\", bus PCI\n"},
        {"-chardev ?", "  testdev\n"},
        {"-accel help", "tcg\n"},
        {"-netdev help", "user\n"},
        {"-object help", "  rng-random\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
        char text[4096] = "", path[] = "/tmp/umbra-test-options.XXXXXX";
        struct options o;
        int fd = mkstemp(path), saved = dup(1);
        cr_assert_geq(fd, 0);
        fflush(stdout);
        dup2(fd, 1);
        cr_expect_eq(parse(list[i].line, &o), 0, "%s", list[i].line);
        fflush(stdout);
        dup2(saved, 1);
        close(saved);
        cr_expect_gt(pread(fd, text, sizeof text - 1, 0), 0);
        close(fd);
        unlink(path);
        cr_expect_eq(o.action, OPTIONS_LISTED);
        cr_expect_not_null(strstr(text, list[i].word), "%s: %s", list[i].line, text);
        options_free(&o);
    }
}
