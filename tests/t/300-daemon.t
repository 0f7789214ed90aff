#!/usr/bin/perl
# The daemon and its duties, with a cluster that nobody serves: what starts,
# what ends, what comes back, and what must not stay.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use IO::Socket::UNIX;
use Kura;
use Kura::Daemon;
use Socket qw(SOCK_DGRAM);
use Test::More;
use Time::HiRes qw(sleep);

my $d;

# Do all duties that there should be run, in a while?
sub all_run
{
	return Kura::wait_until(
		sub { $d->running eq 'archive receive store watch' }, 10);
}

# ---- start ----

$d = Kura::Daemon->new(clusters => { main => { backup_schedule => 'every 1h' } });
$d->init_repository;
$d->start;
ok(all_run(),
	'all duties run');
ok(-S $d->runtime_dir . '/control.sock', 'the control socket is there');

my ($status, undef, $err) =
    Kura::run(Kura::program('pgkurad'), '--config', $d->conf);
is($status, 4, 'a second daemon does not start');
like($err, qr/another pgkurad runs with folder/, 'and says why');
ok(all_run(),
	'the first is not disturbed');

# ---- a schedule that was missed ----

my $failed = $d->wait_event('backup_failed');
like($failed->{message}, qr/Connection refused/,
	'the backup that there never was is tried at once');
ok(Kura::wait_until(sub {
	return ($d->cluster('main')->{jobs}{backup}{why} // '') eq 'retry';
}, 10), 'and will be again');
is(scalar($d->events('backup_failed')), 1, 'not at once');

# ---- children that die ----

# Kill the receiver; the states that it was seen in until another ran, and how long
# there was none, in us: both of the supervisor's own clock.
sub killed_receiver
{
	my $before = $d->duty('receive', 'main');
	my (%seen, $again);

	kill('KILL', $before->{pid});
	Kura::wait_until(sub {
		$again = $d->duty('receive', 'main');
		$seen{ $again->{state} } = 1;
		return $again->{state} eq 'running'
		    && $again->{pid} != $before->{pid};
	}) or die "the receiver does not come back\n";
	my @ended = grep { $_->{values}{duty} eq 'receive'
		    && $_->{values}{with} eq 'signal 9' } $d->events('duty_ended');
	return (join(' ', sort keys %seen), $again->{since_us} - $ended[-1]{time_us});
}

my ($seen) = killed_receiver();
is($seen, 'running', 'a killed duty is back at once');
(undef, my $waited_us) = killed_receiver();
cmp_ok($waited_us, '>', 900_000, 'one that dies again has to wait a second');
is($d->duty('receive', 'main')->{deaths}, 2, 'for its two deaths');
my $watch = $d->duty('watch')->{pid};
my $store = $d->duty('store')->{pid};
kill('KILL', $watch, $store);
ok(Kura::wait_until(sub {
	return $d->duty('watch')->{state} eq 'running' &&
	    $d->duty('watch')->{pid} != $watch &&
	    $d->duty('store')->{state} eq 'running' &&
	    $d->duty('store')->{pid} != $store;
}), 'the watcher and the keeper of the history come back, too');

# ---- settings ----

my %pids = map { ($_->{duty} . ($_->{cluster} // '')) => $_->{pid} }
    @{ $d->status->{duties} };
Kura::append_file($d->conf, "bakcup_window = 1\n");
$d->hup;
my $refused = $d->wait_event('settings_refused');
like($refused->{message},
	qr/pgkura\.conf:\d+: there is no option "bakcup_window" in \[cluster/,
	'a bad file is refused with file and line');
is($refused->{values}{hint}, 'Perhaps you meant backup_window.', 'and a hint');
my %now = map { ($_->{duty} . ($_->{cluster} // '')) => $_->{pid} }
    @{ $d->status->{duties} };
is_deeply(\%now, \%pids, 'nothing is restarted');
like($d->status->{settings}{error}, qr/bakcup_window/, 'status says it');
my $reply = $d->ask('reload');
ok(!$reply->{ok} && $reply->{error}{kind} eq 'usage' &&
	$reply->{error}{message} =~ /bakcup_window/, 'so does a request');
kill('KILL', $pids{receivemain});
ok(Kura::wait_until(sub {
	my $duty = $d->duty('receive', 'main');
	return $duty->{state} eq 'running' && $duty->{pid} != $pids{receivemain};
}), 'a duty that dies meanwhile comes back with the old settings');
sleep(0.5);
is($d->duty('receive', 'main')->{state}, 'running', 'and lives');

$d->configure(clusters => { main => { backup_schedule => 'every 1h' },
		other => { receive => 'no' } });
my $receiver = $d->duty('receive', 'main')->{pid};
$reply = $d->ask('reload');
ok($reply->{ok}, 'a good file is taken') or diag(explain($reply));
ok(!exists $d->status->{settings}{error}, 'and the refused one forgotten');
ok($d->cluster('other'), 'a new cluster is there');
ok(!$d->duty('receive', 'other'), 'which nothing is received for');
is($d->duty('receive', 'main')->{pid}, $receiver,
	'what did not change is left alone');
ok(Kura::wait_until(sub { $d->duty('watch')->{pid} != $pids{watch} }, 5),
	'who watches all clusters begins anew');

for my $changed ({ slot => 'other' },
	{ conninfo => 'host=127.0.0.1 port=1 password=one' },
	{ conninfo => 'host=127.0.0.1 port=1 password=two' }) {
	my ($what) = values %$changed;
	$d->configure(clusters => { main => $changed });
	$d->hup;
	ok(Kura::wait_until(sub {
		my $duty = $d->duty('receive', 'main');
		return $duty->{state} eq 'running' && $duty->{pid} != $receiver;
	}, 10), "changed settings restart a duty: $what");
	$receiver = $d->duty('receive', 'main')->{pid};
}
ok(Kura::wait_until(sub { !$d->cluster('other') }, 5), 'a cluster can go');
$d->configure(site => { state_dir => $d->dir . '/elsewhere' },
	clusters => { main => {} });
$reply = $d->ask('reload');
ok(!$reply->{ok} && $reply->{error}{kind} eq 'refused',
	'the state cannot move while it runs');
$d->configure(clusters => { main => {} });
ok($d->ask('reload')->{ok}, 'back to what it was');

# ---- requests ----

$reply = $d->ask('run', job => 'verify', cluster => 'main');
ok($reply->{ok} && $reply->{pid} > 1, 'a job is run when asked for');
ok($d->wait_event('verify_done'), 'and ends');
$reply = $d->ask('run', job => 'verify', cluster => 'nobody');
is($reply->{error}{kind}, 'usage', 'not for a cluster that is not there');
$reply = $d->ask('run', job => 'dance', cluster => 'main');
is($reply->{error}{message}, 'there is no job "dance"', 'nor any job');
$reply = $d->ask('sing');
is($reply->{error}{message}, 'there is no request "sing"', 'nor any request');
my $last = $d->ask('events', count => 1)->{last};
is(scalar(@{ $d->ask('events', after => $last + 1000)->{events} }), 0,
	'no event behind the last');

# ---- stop ----

is($d->stop, 0, 'it stops in order');
is_deeply([$d->processes], [], 'none of its processes is left');
ok(!-e $d->runtime_dir . '/control.sock', 'nor its socket');
ok(!eval { $d->status }, 'nobody answers');

# ---- kill -9 of the supervisor ----

$d->start;
ok(all_run(),
	'it runs again');
ok($d->wait_event('verify_done'), 'and remembers what was before');
$d->kill9;
ok(Kura::wait_until(sub { !$d->processes }, 5),
	'its children end when it is killed');
ok(-S $d->runtime_dir . '/control.sock', 'its socket stays behind');
$d->start;
ok(all_run(),
	'and is in nobody\'s way');

# ---- a history that is damaged, or gone ----

$d->stop;
Kura::write_file($d->state_dir . '/state.db', 'x' x 5000);
$d->start;
ok($d->wait_event('history_remade'), 'a damaged history is begun anew');
ok(-e $d->state_dir . '/state.db.damaged', 'and the old one kept aside');
$d->stop;
unlink glob($d->state_dir . '/state.db*');
$d->start;
is($d->status->{ok}, JSON::PP::true, 'without a history it starts, too');
my $old = $d->duty('store')->{pid};
Kura::write_file($d->state_dir . '/state.db', 'x' x 5000);
kill('KILL', $old);
ok(Kura::wait_until(sub {
	my $new = $d->duty('store');
	return $new->{state} eq 'running' && $new->{pid} != $old;
}, 10), 'damage while it runs stops nothing');
is($d->stop, 0, 'it stops');

# ---- starts that fail ----

Kura::write_file($d->conf, "[pgkura]\nrepository = here\n");
($status, undef, $err) =
    Kura::run(Kura::program('pgkurad'), '--config', $d->conf);
is($status, 2, 'bad settings: it does not start');
like($err, qr/pgkura\.conf:2: "here" is not valid for repository/, 'and why');
($status, undef, $err) = Kura::run(
	Kura::program('pgkurad'), '--config', $d->dir . '/nothing.conf');
is($status, 2, 'no settings, either');
like($err, qr/nothing\.conf.*\n.*pgkura config --sample/, 'and what to do');
($status) = Kura::run(Kura::program('pgkurad'), '--dutty');
is($status, 2, 'nor with an unknown option');

# ---- systemd ----

my $path = $d->dir . '/notify';
my $notify = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path)
    or die "no socket: $!";
my $told = '';
sub told
{
	my ($pattern, $seconds) = @_;

	return Kura::wait_until(sub {
		my $bits = '';
		vec($bits, fileno($notify), 1) = 1;
		while (select(my $ready = $bits, undef, undef, 0) > 0) {
			recv($notify, my $text, 4096, 0);
			$told .= "$text\n";
		}
		return $told =~ $pattern;
	}, $seconds // 10);
}
$d->configure(clusters => { main => {} });
$d->start(NOTIFY_SOCKET => $path, WATCHDOG_USEC => 1000000);
ok(told(qr/^READY=1$/m), 'systemd is told that it is ready');
ok(told(qr/^STATUS=/m), 'and how it is');
ok(told(qr/(WATCHDOG=1\n.*){3}/s), 'and that it lives');
$told = '';
$d->hup;
ok(told(qr/RELOADING=1\nMONOTONIC_USEC=\d+\n.*READY=1/s), 'and that it reloads');
$d->stop;
ok(told(qr/^STOPPING=1$/m), 'and that it stops');

# ---- the event hook ----

my $hook = $d->dir . '/hook';
Kura::write_file($hook, "#!/bin/sh\ncat >>'$hook.out'\n");
chmod(0755, $hook);
$d->configure(site => { event_hook => $hook },
	clusters => { main => { backup_schedule => 'every 1h' } });
$d->start;
ok(Kura::wait_until(sub { -e "$hook.out" &&
	Kura::slurp("$hook.out") =~ /"event":"backup_failed"/ }, 20),
	'the hook is told of events');
is($d->stop, 0, 'it stops');
is_deeply([$d->processes], [], 'none of its processes is left');

done_testing();
