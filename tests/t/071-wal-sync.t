#!/usr/bin/perl
# BR1, B9: the receiver as synchronous standby.  It is killed again and again
# while sessions commit; once its state folder is lost too; in the end so is the
# server.  Every commit that a client was told of is in the repository.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Time::HiRes qw(sleep);
use Kura;
use Kura::Site;

my $major = (Kura::servers())[-1];
plan skip_all => 'no PostgreSQL here' if !defined $major;

my $kills = $ENV{PGKURA_KILLS} // 12;
my $sessions = 4;

# A session that commits until the file goes, and says each transaction that it
# was told of.
sub session
{
	my ($primary, $go, $n) = @_;
	my $psql = Kura::client('psql');
	my $conninfo = $primary->conninfo;
	my $script = <<"END";
(i=0; while test -e '$go'; do i=\$((i + 1))
echo "INSERT INTO t VALUES ($n, \$i, repeat('x', \$((i * 37 % 3000)))) RETURNING txid_current();"
done) | $psql -XAtq -v ON_ERROR_STOP=1 -d '$conninfo'
END
	return Kura::spawn('sh', '-c', $script);
}

sub said
{
	my ($session) = @_;

	return grep { /^\d+$/ } split /\n/, $session->out;
}

# Transactions whose commits are in the repository.
sub stored
{
	my ($site, $from, $to) = @_;
	my ($status, $out, $err) = Kura::run(Kura::as_user(
		Kura::program('walkit'), $site->conf, 'scan', 'main', 1, $from, $to));
	my %stored;

	is($status, 0, 'the WAL in the repository can be read') or diag($err);
	for my $line (split /\n/, $out) {
		$stored{$1} = 1 if $line =~ /^\S+ (?:commit|drop) (\d+)/;
	}
	return \%stored;
}

sub check_all_there
{
	my ($site, $spans, @said) = @_;
	my $stored = stored($site, $spans->[0]{start_lsn}, $spans->[0]{end_lsn});
	my @lost = grep { !$stored->{$_} } @said;

	is(scalar(@lost), 0, 'every commit that was acknowledged is there')
	    or diag("lost: @lost[0 .. ($#lost > 9 ? 9 : $#lost)] of "
		    . scalar(@said));
	return;
}

my $primary = Kura::Cluster->new(major => $major, init => { wal_segsize => 1 },
	conf => { wal_level => 'replica', max_slot_wal_keep_size => '1GB',
		fsync => 'on' })->start;
my $site = Kura::Site->new;
$site->cluster('main', conninfo => $primary->conninfo);
$site->pgkura_ok('a repository', 'init');
$primary->psql('CREATE TABLE t (session int, n int, filler text)');

my $receiver = $site->receive('main');
$primary->wait_for('SELECT count(*) = 1 FROM pg_replication_slots WHERE active');
$primary->psql(q{ALTER SYSTEM SET synchronous_standby_names = 'pgkura'});
$primary->reload;
$primary->wait_for(q{SELECT sync_state = 'sync' FROM pg_stat_replication});

my $go = Kura::tempdir() . '/go';
Kura::write_file($go, '');
my @sessions = map { session($primary, $go, $_) } 1 .. $sessions;
my $bulk = Kura::spawn(Kura::client('psql'), '-XAtq', '-d', $primary->conninfo,
	'-c', q{SET synchronous_commit = local; CREATE TABLE big AS
		SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, 200000) i});

my @told; # by receivers
srand($ENV{PGKURA_SEED} // time);
diag('seed ' . srand()) if $ENV{PGKURA_SEED};
for my $kill (1 .. $kills) {
	sleep(0.05 + rand(0.5));
	$receiver->kill('KILL');
	$receiver->wait(10);
	push @told, $receiver->err;
	if ($kill == int($kills / 2)) {
		Kura::run('rm', '-rf', $site->state);
		Kura::run(Kura::as_user('mkdir', $site->state));
	}
	$receiver = $site->receive('main');
}
my $before = 0;
$before += said($_) for @sessions;
ok(Kura::wait_until(sub {
	my $now = 0;
	$now += said($_) for @sessions;
	return $now > $before + 20;
}), "commits go on after $kills kills");

# The end of the server, and of the receiver at the same moment.
$primary->kill9;
$receiver->kill('KILL');
$receiver->wait(10);
unlink($go);
$_->wait(20) for @sessions, $bulk;
my @said = map { said($_) } @sessions;
cmp_ok(scalar(@said), '>', 20, scalar(@said) . ' commits were acknowledged');

my $spans = $site->json('wal', 'list', 'main')->{spans};
is(scalar(@$spans), 1, 'what is there has no hole')
    or diag(join("\n", map { "$_->{start_lsn} $_->{end_lsn}" } @$spans),
	"\n", @told);
check_all_there($site, $spans, @said);
done_testing();
