#!/usr/bin/perl
# One site to two, two clusters in both directions between two sites, a site
# that does not accept, a new timeline at the source.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Sites;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my %server = map {
	$_ => Kura::Cluster->new(major => $major, name => $_,
		conf => { max_slot_wal_keep_size => '1GB' })->start
} qw(one two);
my $sites = Kura::Sites->new(names => [qw(tokyo osaka naha)]);
my ($tokyo, $osaka, $naha) = map { $sites->site($_) } qw(tokyo osaka naha);
$tokyo->cluster('one', conninfo => $server{one}->conninfo,
	fast_checkpoint => 'yes', replicate_to => 'osaka, naha',
	accept_from => 'osaka', wal_ack => 'remote');
$tokyo->cluster('two', accept_from => 'osaka');
$osaka->cluster('two', conninfo => $server{two}->conninfo,
	fast_checkpoint => 'yes', replicate_to => 'tokyo, naha');
$osaka->cluster('one', accept_from => 'tokyo', replicate_to => 'tokyo');
$naha->cluster('one', accept_from => 'tokyo');
$sites->start;
$sites->wait_link('tokyo', $_) for qw(osaka naha);
$sites->wait_link('osaka', 'naha');
$tokyo->pgkura_ok('a backup of one', 'backup', 'one');
$osaka->pgkura_ok('a backup of two', 'backup', 'two');

sub flushed
{
	return $server{ $_[0] }->psql('SELECT pg_current_wal_flush_lsn()');
}

sub has_backup
{
	my ($site, $cluster) = @_;

	return Kura::wait_until(sub {
		my ($status, $out) = $site->pgkura('list', $cluster, '--json');
		return $status == 0
		    && @{ JSON::PP::decode_json($out)->{backups} } > 0;
	}, 120);
}

$server{$_}->psql('CREATE TABLE t AS SELECT 1 AS a') for qw(one two);
ok($sites->wait_committed('one', 'tokyo', 'osaka', flushed('one')),
	'one goes to osaka');
ok($sites->wait_committed('one', 'tokyo', 'naha', flushed('one')),
	'and to naha');
ok($sites->wait_committed('two', 'osaka', 'tokyo', flushed('two')),
	'two comes from osaka to tokyo at the same time');
ok(has_backup($osaka, 'one'), 'osaka can restore one');
ok(has_backup($naha, 'one'), 'naha too');
ok(has_backup($tokyo, 'two'), 'and tokyo two');

# ---- one of two sites is enough for wal_ack: neither can prove zero loss ----

my $proof = sub {
	my ($accept) = grep { $_->{cluster} eq 'one' }
	    @{ ($sites->link('osaka', 'tokyo') // {})->{accepts} // [] };
	return $accept // {};
};
Kura::wait_until(sub { return $proof->()->{stamp_us}; }, 30);
my $stamp = $proof->()->{stamp_us};
ok(Kura::wait_until(sub {
		return ($proof->()->{stamp_us} // 0) > $stamp + 3_000_000; }, 60),
	'osaka is told of time and position');
is($proof->()->{zero_loss_proved_for_us}, undef,
	'but not that it lacks nothing: naha may have been the one');

# ---- a site that does not accept ----

my ($refused) = grep { $_->{cluster} eq 'two' }
    @{ $sites->link('osaka', 'naha')->{ships} };
is($refused->{state}, 'refused', 'naha does not accept two');
like($refused->{why}, qr/does not accept cluster "two" from "osaka"/,
	'and says so');
ok(!-d $naha->repo . '/two', 'nothing of it is there');

# ---- roles may change: one has both options at both sites ----

my $back = sub {
	my ($ship) = grep { $_->{cluster} eq 'one' }
	    @{ ($sites->link('osaka', 'tokyo') // {})->{ships} // [] };
	return $ship;
};
ok(Kura::wait_until(sub { my $s = $back->() or return 0;
		return $s->{state} eq 'waiting'; }, 60),
	'osaka, which has no server of one, has nothing to send to tokyo')
    or diag(JSON::PP::encode_json($sites->link('osaka', 'tokyo')));
is($back->()->{why}, undef, 'and that is no fault');

# ---- a new timeline at the source ----

$server{one}->stop;
Kura::write_file($server{one}->pgdata . '/standby.signal', '');
$server{one}->start;
$server{one}->psql('SELECT pg_promote()');
$server{one}->wait_for('SELECT NOT pg_is_in_recovery()');
$server{one}->psql('CREATE TABLE after_promotion AS SELECT 7 AS a');
ok(Kura::wait_until(sub {
	my $l = $sites->link('tokyo', 'osaka');
	my ($ship) = grep { $_->{cluster} eq 'one' } @{ $l->{ships} };
	return ($ship->{timeline} // 0) == 2
	    && Kura::Site::lsn_number($ship->{committed})
	    >= Kura::Site::lsn_number(flushed('one'));
}, 90), 'the new timeline follows')
    or diag($sites->daemon('tokyo')->err, $sites->daemon('osaka')->err);
my $copy = $osaka->dir . '/copy';
$osaka->pgkura_ok('osaka restores it', 'restore', 'one', "--to=$copy");
my $restored = $osaka->restored(of => $server{one}, to => $copy)->start;
$restored->wait_for('SELECT NOT pg_is_in_recovery()');
is($restored->psql('SELECT a FROM after_promotion'), '7',
	'with what was written on the new timeline');
$restored->stop;
$osaka->pgkura_ok('and verifies', 'verify', 'one');
done_testing();
