#!/usr/bin/perl
# What is told of what happens: OP4 (each event once, to log, history and hook; SNMP
# would hand on the same), OP8 (one line an event, with its key), PG3 (each check of
# the server that fails is told as what it is).

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $r = Kura::Roles->new(major => $major, tokyo => { local_recovery => 'yes' });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);
my $dir = Kura::tempdir();
my $hooked = "$dir/hooked";

Kura::write_file("$dir/hook",
	"#!/bin/sh\necho \"\$PGKURA_SITE \$PGKURA_LEVEL \$PGKURA_EVENT\" >>$hooked\n");
chmod(0755, "$dir/hook");
Kura::write_file($hooked, '');
chmod(0666, $hooked);
for my $site ($tokyo, $osaka) {
	$site->site(event_hook => "$dir/hook");
	# A busy machine is no silent site.
	$site->peer($_, %{ $site->{peers}{$_} }, beat_interval => '500ms',
		beat_misses => 10) for keys %{ $site->{peers} };
	$site->pgkura_ok('the hook is set', 'reload');
}
$r->wait_role($_->[0], $_->[1]) for [tokyo => 'primary'], [osaka => 'standby'];
$r->wait_promotable('osaka');

# How often a site has told of something, since its daemon began.
sub told
{
	my ($name, $event) = @_;

	return scalar(() = $r->events($name) =~ /^\S+ \S+ \w+ \Q$event\E: /mg);
}

sub in_history
{
	my ($site, $event) = @_;

	my @all = map { JSON::PP::decode_json($_) }
	    split /\n/, ($site->pgkura('events', '--json', '--count=500'))[1];

	return scalar grep { $_->{event} eq $event } @all;
}

sub in_hook
{
	my ($name, $event) = @_;

	return scalar(() = Kura::slurp($hooked) =~ /^$name \w+ \Q$event\E$/mg);
}

# One more than before in the log, the history and, from warning on, the hook.
sub once
{
	my ($scenario, $name, $event, $had, $quiet) = @_;
	my $site = $r->site($name);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	Kura::wait_until(sub {
		return told($name, $event) > $had && in_history($site, $event) > $had
		    && ($quiet || in_hook($name, $event) > 0);
	}, 90);
	is(told($name, $event), $had + 1, "$scenario: $event is one line of the log")
	    or diag($r->events($name));
	is(in_history($site, $event), $had + 1, "$scenario: $event is in the history");
	return is(in_hook($name, $event), $quiet ? 0 : 1,
		$quiet ? "$scenario: $event is no matter for the hook"
		    : "$scenario: $event comes to the hook once");
}

sub wait_watch
{
	my ($verdict, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(Kura::wait_until(sub {
		($r->now('tokyo', 'server') // '') eq $verdict }, 90), $what)
	    || diag($r->events('tokyo'));
}

# ---- the daemon ----

once('OP4', 'tokyo', 'daemon_started', 0, 1);

# ---- the server: process, then SQL ----

wait_watch('alive', 'PG3: the server is watched');
$r->primary->kill9;
once('OP4', 'tokyo', 'local_recovery', 0);
$r->wait_server('tokyo');
wait_watch('alive', 'OP4: and alive again');
like($r->events('tokyo'), qr/server_state: [^\n]*(?:gone|not running|dead|no process|crashed|down)/,
	'PG3: a process that is gone is told as that')
    or diag(grep { /server_state/ } map { "$_\n" } split /\n/, $r->events('tokyo'));

my $hba = $r->primary->pgdata . '/pg_hba.conf';
my $old = Kura::slurp($hba);
Kura::write_file($hba, "local replication all trust\nlocal all all reject\n");
$r->primary->reload;
$r->primary->psql_try('SELECT 1');
my ($rule) = map { $_->{pid} } grep { $_->{duty} eq 'rule' }
    @{ $r->status('tokyo')->{duties} };
kill('KILL', $rule); # the session that it has would go on
wait_watch('impaired', 'PG3: a refused login is told as one');
like($r->events('tokyo'), qr/server_state: [^\n]*  cluster=main reason=[^\n]*pg_hba/,
	'PG3: with the reason')
    or diag(grep { /server_state/ } map { "$_\n" } split /\n/, $r->events('tokyo'));
Kura::write_file($hba, $old);
$r->primary->reload;
wait_watch('alive', 'PG3: and over with the next look');

# ---- the other site ----

my %had = map { $_ => told('osaka', $_) }
    qw(path_down peer_silent peer_back path_up);
$r->isolate('tokyo');
$r->wait_state('osaka', 'peer silent');
once('OP4', 'osaka', 'path_down', $had{path_down});
once('OP4', 'osaka', 'peer_silent', $had{peer_silent});
$r->join_again('tokyo');
$r->wait_state('osaka', 'normal');
once('OP4', 'osaka', 'peer_back', $had{peer_back});
ok(told('osaka', 'path_up') > $had{path_up}, 'OP4: path_up');

# ---- a switchover ----

$r->wait_promotable('osaka');
$tokyo->pgkura_ok('OP4: a switchover', 'switchover', 'main', '--to=osaka', '--yes')
    or diag($r->events('tokyo'), $r->events('osaka'));
$r->wait_server('osaka');
once('OP4', 'tokyo', 'switchover_begins', 0);
once('OP4', 'osaka', 'promotion_done', 0);

# ---- the end ----

$r->sites->stop('tokyo');
is(told('tokyo', $_), 1, "OP4: $_") for qw(daemon_stopping daemon_stopped);
$r->sites->stop('osaka');

# ---- every line ----

my %keys = map { $_ => 1 }
    map { /^\| (`[^|]*`) \|/ ? $1 =~ /`([a-z_]+)`/g : () }
    split /\n/, Kura::slurp(Kura::src() . '/doc/events.md');
my @lines = map { split /\n/, $r->events($_) } qw(tokyo osaka);
my @odd = grep { !/^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} (?:info|warning|error) [a-z_]+: ./ }
    @lines;
is(scalar @odd, 0, 'OP8: each line has time, level and key') or diag(@odd);
my %unknown = map { /^\S+ \S+ \w+ ([a-z_]+): / && !$keys{ $1 =~ s/_cleared$//r } ? ($1 => 1) : () }
    @lines;
is(join(' ', sort keys %unknown), '', 'OP8: and every key is documented');
cmp_ok(scalar @lines, '>', 30, 'OP8: of ' . scalar @lines . ' lines');
done_testing();
