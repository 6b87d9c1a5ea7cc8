/* SPDX-License-Identifier: MIT */
/* Monitors and chardevs on the command line: what stands where, and who has the terminal. */
#include "options_rig.h"

#include "io/chardev.h"

/* ---- monitors ---- */
Test(options, monitors)
{
    struct options o;

    cr_assert_eq(parse("-kernel k -monitor unix:/m,server=on,wait=off -qmp tcp:127.0.0.1:1 "
                       "-qmp-pretty pty -metrics [::1]:9100 -name guest=me,debug-threads=on",
                       &o),
                 0);
    cr_expect_eq(o.monitor.n, 3);
    cr_expect_eq(o.monitor.at[0].mode, MONITOR_HUMAN);
    cr_expect_eq(o.monitor.at[1].mode, MONITOR_CONTROL);
    cr_expect(!o.monitor.at[1].pretty && o.monitor.at[2].pretty);
    cr_expect_str_eq(o.monitor.metrics, "[::1]:9100");
    cr_expect_str_eq(o.vm.name, "me");
    cr_expect_str_eq(o.vm.serial, "stdio", "the monitor has a place of its own");
    options_free(&o);
}

Test(options, places_by_chardev)
{
    struct options o;

    cr_assert_eq(parse("-kernel k -chardev socket,id=a,path=/p,server=on,wait=off "
                       "-chardev socket,id=b,host=::1,port=7,server=on -chardev pty,id=c "
                       "-mon chardev=a,mode=control -mon b,mode=readline -mon chardev=c,pretty=on",
                       &o),
                 0);
    cr_expect_str_eq(o.monitor.at[0].spec, "unix:/p,server=on,wait=off");
    cr_expect_eq(o.monitor.at[0].mode, MONITOR_CONTROL);
    cr_expect_str_eq(o.monitor.at[1].spec, "tcp:::1:7,server=on");
    cr_expect_eq(o.monitor.at[1].mode, MONITOR_HUMAN);
    cr_expect_str_eq(o.monitor.at[2].spec, "pty");
    options_free(&o);
}

Test(options, who_has_the_terminal)
{
    static const char *const serial[][2] = {
        {"-kernel k", "mon:stdio"},
        {"-kernel k -nographic", "mon:stdio"},
        {"-kernel k -monitor none", "stdio"},
        {"-kernel k -monitor stdio", "null"},
        {"-kernel k -qmp stdio", "null"},
        {"-kernel k -qmp unix:/q", "mon:stdio"},
        {"-kernel k -serial mon:pty -monitor stdio", "mon:pty"},
    };
    struct options o;

    for (size_t i = 0; i < sizeof serial / sizeof serial[0]; i++) {
        cr_assert_eq(parse(serial[i][0], &o), 0, "%s", serial[i][0]);
        cr_expect_str_eq(o.vm.serial, serial[i][1], "%s", serial[i][0]);
        options_free(&o);
    }
    cr_expect(strstr(message_of("-kernel k -serial mon:stdio -qmp stdio"), "twice"));
    cr_expect(strstr(message_of("-kernel k -monitor stdio -qmp stdio"), "twice"));
}

Test(options, what_follows)
{
    struct options o;

    cr_assert_eq(parse("-kernel k -M virt,watchdog=on -action reboot=shutdown,watchdog=pause "
                       "-action shutdown=pause,panic=none",
                       &o),
                 0);
    cr_expect(o.vm.no_reboot && o.vm.no_shutdown && o.vm.watchdog);
    cr_expect_eq(o.vm.watchdog_action, VM_WATCHDOG_PAUSE);
    options_free(&o);
    cr_assert_eq(
        parse("-kernel k -no-reboot -no-shutdown -action reboot=reset,shutdown=poweroff", &o), 0);
    cr_expect(!o.vm.no_reboot && !o.vm.no_shutdown, "the last word counts");
    options_free(&o);
    cr_expect(strstr(message_of("-kernel k -action watchdog=bark"), "reset|shutdown"));
    cr_expect(strstr(message_of("-kernel k -M virt,watchdog=maybe"), "on, off"));
}

Test(options, chardevs_by_id)
{
    struct options o;

    cr_assert_eq(parse("-kernel k -serial chardev:c -chardev file,id=c,path=/tmp/x", &o), 0);
    cr_expect_str_eq(o.vm.serial, "file:/tmp/x");
    cr_expect_eq(o.vm.nchardevs, 1);
    cr_expect_str_eq(o.vm.chardev[0].id, "c");
    options_free(&o);
    cr_assert_eq(parse("-kernel k -chardev stdio,id=c,mux=on,signal=off -mon chardev=c "
                       "-serial chardev:c",
                       &o),
                 0);
    cr_expect_str_eq(o.vm.serial, "mon:stdio");
    cr_expect_eq(o.monitor.n, 0, "it is behind the console");
    options_free(&o);
    cr_assert_eq(parse("-kernel k -chardev stdio,id=c,mux=on -mon chardev=c -serial null", &o), 0);
    cr_expect_eq(o.monitor.n, 1);
    options_free(&o);
}
