#!/usr/bin/perl
# Drills by schedule: run by the daemon, shown in its status, alarmed when they
# fail, swept up after kill -9.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Kura;
use Kura::Cluster;
use Kura::Daemon;
use Test::More;

plan skip_all => 'no PostgreSQL here' unless Kura::servers();
plan skip_all => 'ThreadSanitizer has a thread of its own, which forbids namespaces'
    if (Kura::sanitizer() // '') eq 'thread';

my ($major) = grep { $_ == 15 } Kura::servers();
my $dir = Kura::tempdir();
my $drills = "$dir/drills";
my $server = Kura::Cluster->new(major => $major // (Kura::servers())[-1])->start;
Kura::run(Kura::as_user('mkdir', "$dir/checks"));
Kura::write_file("$dir/checks/one.sql", 'SELECT true');
Kura::write_file("$dir/checks/README", 'no SQL');

my %main = (conninfo => $server->conninfo, backup_schedule => '0 3 * * *',
	fast_checkpoint => 'yes', slot_unbounded => 'yes',
	bindir => $server->bindir, drill_schedule => 'every 1d',
	drill_dir => $drills, drill_checks => "$dir/checks");
my $d = Kura::Daemon->new(clusters => { main => {%main} },
	site => { min_free_bytes => '0' }, in => [Kura::as_user()]);
$d->init_repository;
Kura::run('chown', '-R', Kura::user(), $d->dir) if $< == 0;
$d->start;

sub alarms
{
	return grep { $_->{name} =~ /^drill/ } @{ $d->status->{alarms} };
}

sub drill_job { return $d->cluster('main')->{jobs}{drill}; }

sub copies
{
	return grep { (readlink("/proc/$_/cwd") // '') =~ m{^\Q$drills\E/} }
	    map { m{/proc/(\d+)$} } glob('/proc/[0-9]*');
}

# A drill is ordered that hangs with its copy running; its process.
sub hang
{
	Kura::write_file("$dir/checks/two.sql",
		"-- pgkura: timeout=1h\nSELECT pg_sleep(3600)");
	ok($d->ask('run', job => 'drill', cluster => 'main')->{ok},
		'a drill is ordered');
	ok(Kura::wait_until(sub {
		return grep {
			(eval { Kura::slurp("/proc/$_/cmdline") } // '') =~ /SELECT/
		} copies();
	}, 120), 'and hangs in a check') or diag($d->log);
	unlink("$dir/checks/two.sql");
	return drill_job()->{pid};
}

# ---- by schedule ----

my $event = $d->wait_event('drill_done', 180);
ok($event, 'the first drill comes behind the first backup') or diag($d->log);
is($event->{values}{isolated}, 'yes', 'isolated');
ok(Kura::wait_until(sub {
	my $drill = $d->cluster('main')->{drill} // {};
	return $drill->{passed_us} && $drill->{rto_us} > 0;
}, 60), 'the status shows it');
# Its process ends behind its last word.
ok(Kura::wait_until(sub { drill_job()->{next_us} > time() * 1000000 }),
	'the next is not due yet');
is(scalar(() = $d->events('drill_done')), 1, '... nor has it begun');
my ($status, $out) = Kura::run({ env => { PGKURA_CONF => $d->conf } },
	Kura::program('pgkura'), 'status');
like($out, qr/^  drill     passed .* ago, RTO .*, next /m, 'for people too')
    or diag($out);
ok(Kura::wait_until(sub { !alarms() }), 'no alarm');
($status, $out) = Kura::run({ env => { PGKURA_CONF => $d->conf } },
	Kura::as_user(Kura::program('pgkura'), 'drill', 'list', '--config',
		$d->conf, '--json'));
my ($report) = @{ JSON::PP::decode_json($out)->{reports} };
is($report->{result}, 'passed', 'there is a report');

# ---- a check that fails ----

Kura::write_file("$dir/checks/two.sql", 'SELECT false');
ok($d->ask('run', job => 'drill', cluster => 'main')->{ok}, 'a drill');
$event = $d->wait_event('drill_failed', 120);
ok($event, 'that fails is an event');
like($event->{message}, qr/two\.sql/, 'it says what failed');
ok(Kura::wait_until(sub {
	return grep { $_->{name} eq 'drill_failed' } alarms();
}, 30), 'and an alarm');
$d->next_is('pgkura drill list main', 'with a command');
ok(drill_job()->{next_us} > time() * 1000000, 'it is not tried at once');
unlink("$dir/checks/two.sql");
ok($d->ask('run', job => 'drill', cluster => 'main')->{ok}, 'the next');
ok($d->wait_event('drill_failed_cleared', 120), 'passes, and clears it');

# ---- kill -9 ----

my $pid = hang();
kill('KILL', $pid);
ok($d->wait_event('drill_swept', 120), 'what a killed drill left is removed')
    or diag($d->log);
is(scalar(copies()), 0, 'no process is left');
is(join(' ', glob("$drills/*")), '', 'no file is left');

hang();
$d->kill9;
ok(Kura::wait_until(sub { return !copies() }, 60),
	'a copy dies with the daemon');
isnt(join(' ', glob("$drills/*")), '', 'its files are there');
$d->start;
ok(Kura::wait_until(sub { return !glob("$drills/*") }, 120),
	'and go when the daemon is back');
is($d->stop, 0, 'it stops');

done_testing();
