#!/usr/bin/perl
# A duty that hangs delays the end of the daemon, but not for ever.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Kura;
use Kura::Daemon;
use Test::More;
use Time::HiRes qw(time);

my $d = Kura::Daemon->new;
$d->init_repository;
$d->start;
$d->wait_event('receive_failed'); # it runs
my $pid = $d->duty('receive', 'main')->{pid};
kill('STOP', $pid);
Kura::wait_until(sub { Kura::slurp("/proc/$pid/status") =~ /^State:\tT/m });
my $begin = time();
is($d->stop, 0, 'it stops though a duty hangs');
cmp_ok(time() - $begin, '>', 15, 'which had its time');
cmp_ok(time() - $begin, '<', 30, 'but no more');
like($d->log, qr/duty_killed: .*duty=receive cluster=main/, 'this is told');
is_deeply([$d->processes], [], 'and nothing is left');

done_testing();
