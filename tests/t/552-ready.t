#!/usr/bin/perl
# Could the cluster be brought up here, now?  Each thing that is in the way is
# said, with what helps.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Kura;
use Kura::Cluster;
use Kura::Daemon;
use Test::More;

plan skip_all => 'no PostgreSQL here' unless Kura::servers();

my $dir = Kura::tempdir();
my ($major) = grep { $_ == 15 } Kura::servers();
my $primary = Kura::Cluster->new(major => $major // (Kura::servers())[-1])->start;
my $site = Kura::Site->new;
my %main = (conninfo => $primary->conninfo, slot => 'none',
	bindir => $primary->bindir, drill_dir => "$dir/drills",
	standby_dir => "$dir/standby", rpo_target => '1h');
$site->cluster('main', %main);
$site->pgkura_ok('init', 'init');

# Name of each line to [verdict, found, remedy], and the exit status.
sub ready
{
	my ($status, $out, $err) = $site->pgkura('ready', 'main', '--json');
	my $json = eval { JSON::PP::decode_json($out) };

	diag("status $status: $err") if !$json;
	return ($status, map { $_->{what} => [ @{$_}{qw(verdict found remedy)} ] }
		@{ $json->{clusters}[0]{items} });
}

sub verdict_is
{
	my ($name, $what, $verdict, $found, %with) = @_;
	$site->cluster('main', %main, %with);
	my ($status, %item) = ready();
	my $item = $item{$what} // [ 'not there', '' ];

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($item->[0], $verdict, $name) or diag(explain(\%item));
	like($item->[1], $found, "$name: found");
	ok($item->[2], "$name: what helps") if $verdict =~ /warning|fault/;
	is($status != 0, $verdict eq 'fault', "$name: status")
	    if $verdict eq 'fault';
	return;
}

my ($status, %item) = ready();
is($status, 1, 'nothing is there yet');
is($item{repository}[0], 'fault', 'so it is not ready');

my $receiver = $site->receive('main');
$primary->psql('CREATE TABLE t AS SELECT 1 AS n');
$site->pgkura_ok('backup', 'backup', 'main');
$site->wait_wal('main', $primary->lsn);

($status, %item) = ready();
is($status, 0, 'there is a backup') or diag(explain(\%item));
is($item{$_}[0], 'ok', $_) for 'position', 'age of WAL', 'signing key',
    'server programs', 'memory', 'processes', 'space';
is($item{drill}[0], 'warning', 'but nothing is proved');
is($item{$_}[0], 'note', "$_ are not known") for 'collations', 'extensions';

$site->pgkura_ok('drill', 'drill', 'main');
($status, %item) = ready();
is($item{$_}[0], 'ok', "$_ after a drill")
    for 'drill', 'RTO', 'collations', 'extensions', 'clocks';
my $text = $site->pgkura_ok('for people', 'ready', 'main');
like($text, qr/^ok +extensions +\d+, all installed/m, 'a line each');

verdict_is('no server programs', 'server programs', 'fault', qr/no program/,
	bindir => "$dir/nowhere");
verdict_is('no hook', 'promote_hook', 'fault', qr/no "/,
	promote_hook => "$dir/hook");
Kura::write_file("$dir/hook", "#!/bin/sh\n");
verdict_is('a hook that is no program', 'promote_hook', 'fault',
	qr/not executable/, promote_hook => "$dir/hook");
chmod 0777, "$dir/hook";
verdict_is('a hook of everybody', 'promote_hook', 'warning', qr/others/,
	promote_hook => "$dir/hook");
chmod 0755, "$dir/hook";
verdict_is('a hook', 'promote_hook', 'ok', qr/hook/,
	promote_hook => "$dir/hook");
delete $main{standby_dir};
verdict_is('a place that is not named', 'space', 'note', qr/nothing says/);
verdict_is('an RTO that does not hold', 'RTO', 'warning', qr/rto_target is 1s/,
	rto_target => '1s');

my ($mark) = glob($site->repo . '/main/*/marks/*/1');
my $good = Kura::slurp($mark);
Kura::write_file($mark, $good =~ s/passed/PASSED/r);
verdict_is('a report that was changed', 'reports', 'fault', qr/1 report/);
Kura::write_file($mark, $good);

# The server goes on, this site does not hear it.
$receiver->kill('TERM');
$receiver->wait(30);
ok(Kura::wait_until(sub {
	my ($s, %i) = ready();
	return $i{'age of WAL'}[0] eq 'fault';
}, 60), 'WAL that gets old') if $site->cluster('main', %main,
	rpo_target => '1s') || 1;
verdict_is('its age', 'age of WAL', 'fault', qr/would be lost/,
	rpo_target => '1s');

done_testing();
