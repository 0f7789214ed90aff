#!/usr/bin/perl
# A day in the life of a daemon and a server: WAL is received, a backup is
# taken and the old ones expire, a gap in WAL is seen and healed.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Kura;
use Kura::Cluster;
use Kura::Daemon;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'no PostgreSQL here' unless Kura::servers();

my $server = Kura::Cluster->new(init => { wal_segsize => 1 },
	conf => { wal_keep_size => 0, max_wal_size => '2MB', min_wal_size => '2MB' });
$server->start;

my %main = (conninfo => $server->conninfo, backup_schedule => '0 3 * * *',
	fast_checkpoint => 'yes', slot_unbounded => 'yes',
	wal_gap_alarm => '15s');
my $d = Kura::Daemon->new(clusters => { main => {%main} },
	site => { min_free_bytes => '0' });
$d->init_repository;
$d->start;

# ---- the first backup ----

ok($d->wait_event('backup_done', 60), 'the first backup is taken at once');
ok(Kura::wait_until(sub { $d->cluster('main')->{backups} }, 30),
	'the watcher sees it');
ok(Kura::wait_until(sub {
	return $d->cluster('main')->{jobs}{expire}{success_us};
}, 30), 'and expire runs behind it');
ok(Kura::wait_until(sub {
	my $receiver = $d->cluster('main')->{receiver} // {};
	return ($receiver->{state} // '') eq 'streaming';
}, 30), 'WAL is received');
my $main = $d->cluster('main');
cmp_ok($main->{jobs}{backup}{next_us}, '>', time() * 1000000,
	'the next backup is not due yet');
ok(Kura::wait_until(sub { $d->status->{health}{level} eq 'ok' }, 30),
	'all is well') or diag(explain($d->status->{alarms}));
is($d->status->{health}{sentence}, 'all is well', 'in one sentence');

# ---- the server goes away ----

$d->configure(clusters => { main => { %main, wal_gap_alarm => '1h' } });
$d->hup;
$server->stop;
my $alarm;
ok(Kura::wait_until(sub {
	($alarm) = grep { $_->{name} eq 'receiver_failing' }
	    @{ $d->status->{alarms} };
	return $alarm;
}, 30), 'an error of the receiver is shown at once');
like($alarm->{message}, qr/^WAL is not received at present: \S/, 'with its cause');
# The receiver begins anew with its new settings, and says nothing for a moment.
my ($status, $out, $err);
ok(Kura::wait_until(sub {
	($status, $out, $err) = Kura::run({ env => { PGKURA_CONF => $d->conf } },
		Kura::program('pgkura'), 'status');
	return $status == 1 && $out =~
	    /\Acluster main: WAL is not received at present: .*\nnext: pgkura check main\n/;
}, 30), 'status does not succeed: its first lines say why, and what to do')
    or diag($out, $err);
is(scalar($d->events('receiver_lagging')), 0, 'there is no alarm yet');
$d->configure(clusters => { main => {%main} });
$d->hup;
ok($d->wait_event('receiver_lagging', 60), 'a server that is gone is noticed');
is(scalar(grep { $_->{name} eq 'receiver_failing' } @{ $d->status->{alarms} }), 0,
	'then the alarm says it');
is($d->status->{health}{level}, 'attention', 'it wants attention');
$d->next_is('pgkura check main', 'with a command to type');
$server->start;
ok($d->wait_event('receiver_lagging_cleared', 40), 'its return, too');

# ---- a gap ----

my ($first) = $d->cluster('main')->{newest_backup};
is($d->stop, 0, 'the daemon is away');
$server->psql(q{SELECT pg_drop_replication_slot('pgkura')});
$server->psql('CREATE TABLE t AS SELECT 1 AS a');
for (1 .. 8) {
	$server->psql('INSERT INTO t SELECT generate_series(1, 1000)');
	$server->switch_wal;
	$server->psql('CHECKPOINT');
}
$d->start;
my $gap = $d->wait_event('wal_gap', 60);
ok($gap, 'a gap in WAL is noticed') or diag($d->log);
ok(Kura::wait_until(sub {
	my ($job) = grep { $_->{values}{why} eq 'wal_gap' }
	    $d->events('job_started');
	return $job;
}, 30), 'a backup is started for it');
ok(Kura::wait_until(sub {
	my $newest = $d->cluster('main')->{newest_backup} // '';
	return $newest ne '' && $newest ne $first;
}, 60), 'which succeeds');
# It is seen as soon as it is whole, while its process tidies up.
Kura::wait_until(sub { !$d->cluster('main')->{jobs}{backup}{running} });
ok($d->wait_event('wal_gap_cleared', 60), 'so the gap is no more');
ok(Kura::wait_until(sub { $d->status->{health}{level} eq 'ok' }, 60),
	'and all is well') or diag(explain($d->status->{alarms}));

# ---- a backup by hand counts, and excludes another ----

($status, $out, $err) =
    Kura::run(Kura::program('pgkura'), 'backup', '--config', $d->conf, 'main');
is($status, 0, 'a backup by hand') or diag($err);
ok(Kura::wait_until(sub { $d->cluster('main')->{backups} >= 3 }, 40),
	'is seen');

# ---- kill -9 in the middle of a backup ----

$d->configure(clusters => { main => { %main, max_rate => '1MB' } });
ok($d->ask('reload')->{ok}, 'a slow backup');
ok($d->ask('run', job => 'backup', cluster => 'main')->{ok}, 'begins');
my $progress = Kura::wait_until(sub {
	return $d->cluster('main')->{jobs}{backup}{progress};
}, 30);
is($progress->{what}, 'backup', 'shows its progress');
my $reply = $d->ask('run', job => 'backup', cluster => 'main');
is($reply->{error}{kind}, 'conflict', 'no second one beside it');
$d->kill9;
ok(Kura::wait_until(sub { !$d->processes }, 5), 'all is killed');
my $before = $main->{newest_backup};
$d->configure(clusters => { main => {%main} });
$d->start;
ok(Kura::wait_until(sub {
	return ($d->cluster('main')->{receiver}{state} // '') eq 'streaming';
}, 30), 'WAL is received again');
ok(Kura::wait_until(sub { $d->status->{health}{level} eq 'ok' }, 30),
	'and all is well') or diag(explain($d->status->{alarms}));
is($d->stop, 0, 'it stops');
is_deeply([$d->processes], [], 'and nothing is left');

done_testing();
