#!/usr/bin/perl
# A live drill is a job of pgkurad: a member of failover_group has it run and sees how
# it goes on and ends, others may not; it outlives its command, and is stopped by it;
# what is left when pgkurad is killed in the middle of a switchover.  R7.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use IO::Socket::UNIX ();
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;
plan skip_all => 'other users need root' if $< != 0;

my %group = (observe => 'games', drill => 'mail', failover => 'uucp');
my @missing = grep { !defined getgrnam($_) } values %group;
plan skip_all => "no group @missing here" if @missing;

my (undef, undef, $nobody) = getpwnam('nobody');
my %groups = map { ("${_}_group" => $group{$_}) } keys %group;
# A switchover is given up when the other site is silent; a slow machine is not.
my $r = Kura::Roles->new(major => $major,
	peer => { beat_interval => '500ms', beat_misses => 10 });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);
my $record = $tokyo->state . '/main/live.json';

$tokyo->site(%groups);
$tokyo->pgkura_ok('the groups are set', 'reload');
chmod(0700, $tokyo->state) or BAIL_OUT("could not close state_dir: $!");

# A member of this group and of nothing else.
sub member
{
	my ($group, @words) = @_;

	return ('setpriv', "--reuid=$nobody", '--regid=' . getgrnam('nogroup'),
		'--groups=' . getgrnam($group), @words);
}

sub words
{
	my ($group, @words) = @_;

	return member($group, 'env', 'PGKURA_CONF=' . $tokyo->conf,
		Kura::program('pgkura'), @words);
}

# What the socket answers him.
my $asker = <<'END';
use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => shift) or die "closed: $!\n";
$s->autoflush; print {$s} shift, "\n"; print scalar <$s>;
END

sub ask
{
	my ($group, $name, %more) = @_;
	my $out = (Kura::run(member($group, $^X, '-e', $asker,
		$tokyo->dir . '/run/control.sock', JSON::PP::encode_json(
			{ version => 1, request => $name, cluster => 'main', %more }))))[1];

	return JSON::PP::decode_json($out);
}

sub live { return ask($_[0], 'run', job => 'drill_live', %{ $_[1] // {} }); }

sub reports
{
	return grep { $_->{kind} eq 'live' }
	    @{ $tokyo->json('drill', 'list', 'main')->{reports} };
}

# How the last one that is kept ended.
sub last_report
{
	my ($before) = @_;
	my @all;

	$r->wait_for('a report', sub { @all = reports(); return @all > $before; }, 180);
	return $tokyo->json('drill', 'show', $all[-1]{id}, 'main')->{drill};
}

sub wait_ready
{
	$r->wait_for('a switchover that could begin', sub {
		return !grep { ($_->pgkura(qw(drill main --live --dry-run)))[0] != 0 }
		    $tokyo, $osaka;
	}, 120);
	return;
}

# His drill, which is in this step.
sub in_step
{
	my ($step, @words) = @_;
	my $p = Kura::spawn(words('uucp', qw(drill main --live --yes), @words));

	$r->wait_for("step $step", sub {
		my $steps = (eval { JSON::PP::decode_json(Kura::slurp($record)) }
			// {})->{steps} // [];
		die $p->out . $p->err . $r->events('tokyo') . $r->events('osaka')
		    if !$p->alive;
		return @$steps && $steps->[-1]{step} eq $step;
	}, 120);
	return $p;
}

sub job { return (grep { $_->{duty} eq 'drill_live' } @{ $r->status('tokyo')->{duties} })[0]; }

# ---- who may, and what is refused ----

wait_ready();
for my $group (qw(games mail)) {
	my $no = live($group)->{error};

	like("$no->{kind} $no->{message}", qr/refused.*"run drill_live".*role "failover"/,
		"$group may not order one");
	like($no->{hint}, qr/group that failover_group names/, 'the option is named');
	is(ask($group, 'cancel', job => 'drill_live')->{error}{kind}, 'refused',
		'nor stop one');
}
my ($status, $out, $err) =
    Kura::run(words('mail', qw(drill main --live --yes)));
is($status, 1, 'a member of drill_group is told so');
like($err, qr/"run drill_live": it needs the role "failover"/, 'by the command');
for my $case (['a hold that is none', { hold_us => 'long' }],
	['one before the beginning', { hold_us => -1 }],
	['one without end', { hold_us => 86400000001 }],
	['a site that is none', { from => 7 }])
{
	is(live('uucp', $case->[1])->{error}{kind}, 'usage', $case->[0]);
}
like(live('uucp', { from => 'osaka' })->{error}{message},
	qr/roles have changed: "tokyo"/, 'one for other roles than these');
is(ask('uucp', 'cancel', job => 'drill_live')->{error}{kind}, 'not_found',
	'there is none to stop');
is(ask('games', 'drill_live')->{running}, JSON::PP::false(), 'none has run');
$tokyo->pgkura_ok('maintenance', 'maintenance', 'main', 'on');
($status, $out, $err) = Kura::run(words('uucp', qw(drill main --live --yes)));
like($err, qr/could not begin: maintenance is on/, 'none in maintenance')
    or diag($out);
like(live('uucp')->{error}{message}, qr/maintenance is on/, 'also at the socket');
$tokyo->pgkura_ok('its end', 'maintenance', 'main', 'off');
is(scalar(reports()), 0, 'all that was no drill');
is(scalar(grep { $_->{name} =~ /drill/ } @{ $r->status('tokyo')->{alarms} }), 0,
	'and is no alarm');

# ---- there and back, by a member of failover_group ----

wait_ready();
$r->insert($r->primary) for 1 .. 3;
my $p = in_step('switch', '--hold=1s');
my $twice = live('uucp')->{error};
like("$twice->{kind} $twice->{message}",
	qr/^(?:conflict.*runs already|refused.*under way)/, 'not two at once');
is($p->wait(180), 0, 'it has passed') or diag($p->err, $r->events('tokyo'));
like($p->err, qr/from tokyo to osaka.*osaka stays the primary.*from osaka to tokyo/s,
	'he sees how it goes on');
like($p->out, qr/^result +passed.*^to osaka.*nothing is lost\n.*^prove-back +passed/ms,
	'and the report');
my $d = last_report(0);
like($d->{ordered_by}, qr/^nobody \(user $nobody\)/, 'which says whose it was');
is("$d->{result} $d->{primary_at}", 'passed tokyo', 'and is kept');
$r->told('tokyo', qr/job_asked: .*job=drill_live by="?nobody \(user $nobody\)/,
	'he is on record');
$r->told('tokyo', qr/order: switchover .*by="?nobody \(user $nobody\)/,
	'with what was ordered for him');
is($r->rows($r->primary), '3 of 3', 'nothing is lost');

# ---- he does not want it any more ----

wait_ready();
$p = in_step('hold', '--hold=600s');
is(ask('mail', 'cancel', job => 'drill_live')->{error}{kind}, 'refused',
	'others do not stop it');
ok(ask('games', 'drill_live')->{running}, 'it runs');
$p->kill('INT');
is($p->wait(60), 1, 'Ctrl-C stops it');
like($p->err, qr/being stopped.*was stopped, by order.*primary is at osaka.*switchover main --to=tokyo/s,
	'and he is told where the primary is') or diag($p->err);
like($p->out, qr/^result +stopped.*^primary +osaka; next: pgkura switchover/ms,
	'with the report');
ok(Kura::wait_until(sub { !job() }), 'it has ended'); # right behind its last word
$r->told('tokyo', qr/job_canceled: .*job=drill_live by="?nobody/, 'that is on record');
sub alarm_is { return grep { $_->{name} eq 'drill_live_failed' } @{ $r->status('tokyo')->{alarms} }; }
ok(Kura::wait_until(\&alarm_is), 'and an alarm: the role is not where it was');

# ---- pgkurad is killed in the middle of a switchover ----

wait_ready();
$p = in_step('switch', '--hold=600s');
$r->sites->kill9('tokyo');
$r->one_writer('killed');
$r->sites->start_daemon('tokyo');
is($p->wait(180), 1, 'it does not go on by itself');
like($p->err, qr/role goes from osaka to tokyo: the drill was killed before its end/,
	'as the next pgkurad says') or diag($p->err);
$d = last_report(2);
is("$d->{kind} $d->{result}", 'live stopped', 'and keeps');
wait_ready();
$r->one_writer('afterwards');
my ($at) = grep { $r->writes($_) } qw(tokyo osaka);
ok($at, 'the roles have come to rest') or diag($r->events('tokyo'));

# ---- another, whose command is lost ----

$p = in_step('follow', '--hold=0');
$p->kill('KILL');
$p->wait(30);
ok(job(), 'it goes on without its command');
$d = last_report(3);
is("$d->{result} $d->{primary_at}", "passed $at", 'there, and back');
$r->wait_for('the end of the alarm', sub { return !alarm_is(); });
is($r->rows($r->server($at)), '3 of 3', 'nothing is lost');
$r->sites->stop($_) for qw(tokyo osaka);
done_testing();
