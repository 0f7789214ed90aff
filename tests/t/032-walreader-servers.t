#!/usr/bin/perl
# WAL of each version against what the server itself says: number and times of
# commits, xids, files dropped and cut, restore points, checkpoints as in
# pg_control, tablespaces and databases, records over many segments, a broken
# record that a restart replaces, a new timeline.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;

my @majors = Kura::servers();
plan skip_all => 'no PostgreSQL here' if !@majors;

sub segments
{
	my ($c) = @_;

	return sort grep { m{/[0-9A-F]{24}$} }
	    glob($c->pgdata . '/pg_wal/*');
}

# The newest timeline's file of each place, in order.
sub newest_segments
{
	my ($c) = @_;
	my %by_place = map { substr($_, -16) => $_ } segments($c);

	return map { $by_place{$_} } sort keys %by_place;
}

# What walcat -e says, one hash an event; WAL must be right to its end, or with
# -v as far as it is.
sub events
{
	my ($c, $name, @options) = @_;
	my ($status, $out, $err) = Kura::run(Kura::program('walcat'), '-e',
		@options, newest_segments($c));
	my @lines = split /\n/, $out;
	my @events;

	is($status, 0, "$name: WAL is read") or diag($err);
	like($out, qr/ version @{[$c->major]},/, 'its version');
	like(pop @lines, @options ? qr/^valid / : qr/, at end$/, 'to the end');
	for (@lines) {
		my %e;
		@e{qw(lsn kind)} = split / /;
		@e{qw(xid time_us)} = /xid (\d+) time_us (\d+)/;
		($e{redo}) = / redo (\S+)/;
		($e{timelines}) = / timeline (\S+)/;
		($e{dropped}) = / dropped (\d+)/;
		($e{relation}) = / relation (\S+)/;
		($e{blocks}) = / blocks (\d+)/;
		($e{name}, $e{path}) = / name "(.*)" path "(.*)"$/;
		($e{wal_level}) = / wal_level (\d+)/;
		push @events, \%e;
	}
	return @events;
}

sub place
{
	my ($lsn) = @_;
	my ($high, $low) = map { hex } split m{/}, $lsn;

	return $high << 32 | $low;
}

sub of_kind
{
	my ($kind, @events) = @_;

	return grep { $_->{kind} =~ /^(?:$kind)$/ } @events;
}

sub control_lsns
{
	my ($c) = @_;
	my @at = unpack 'x32 Q< Q<',
	    Kura::slurp($c->pgdata . '/global/pg_control');

	return map { sprintf '%X/%X', $_ >> 32, $_ & 0xffffffff } @at;
}

# Run $sql in a transaction that $end ends; gives its xid.
sub transaction
{
	my ($c, $sql, $end) = @_;
	my ($xid) = grep { /^\d+$/ } split /\n/,
	    $c->psql("BEGIN; $sql; SELECT txid_current(); $end;");

	return $xid;
}

my %fact;

sub make_load
{
	my ($c) = @_;

	$fact{before} = $c->psql('SELECT pg_current_wal_insert_lsn()');
	$c->pgbench('-c', 4, '-t', 250, '-n', '-N');
	$fact{after} = $c->psql('SELECT pg_current_wal_insert_lsn()');
	$fact{points} = [ 'first', 'x' x 63 ];
	$c->psql("SELECT pg_create_restore_point('$_')") for @{ $fact{points} };

	$c->psql('CREATE TABLE t (a int); CREATE TABLE d1 (a int);
		CREATE TABLE d2 (a int)');
	$c->psql('INSERT INTO t SELECT generate_series(1, 10000)');
	$fact{plain} = transaction($c, 'INSERT INTO t VALUES (1)', 'COMMIT');
	$fact{aborted} =
	    transaction($c, 'INSERT INTO t VALUES (1)', 'ROLLBACK');
	$fact{prepared} = transaction($c, 'INSERT INTO t VALUES (1)',
		q{PREPARE TRANSACTION 'a gid'; COMMIT PREPARED 'a gid'});
	$fact{refused} = transaction($c, 'INSERT INTO t VALUES (1)',
		q{PREPARE TRANSACTION 'no'; ROLLBACK PREPARED 'no'});
	$fact{drop_node} = $c->psql(q{SELECT pg_relation_filenode('d1')});
	$fact{drop} = transaction($c, 'CREATE TABLE d3 (a int);
		DROP TABLE d1; SAVEPOINT s; DROP TABLE d2',
		q{PREPARE TRANSACTION 'd'; COMMIT PREPARED 'd'});
	$fact{cut_node} = $c->psql(q{SELECT pg_relation_filenode('t')});
	$c->psql(q{DELETE FROM t WHERE ctid >= '(5,0)'; VACUUM t});
	$fact{cut_blocks} =
	    $c->psql(q{SELECT pg_relation_size('t', 'main') / 8192});
	$c->psql(q{SELECT pg_logical_emit_message(true, 'x',
		repeat('long', 1000000))});
	return;
}

sub make_files
{
	my ($c) = @_;
	my $dir = $c->dir . '/space';

	Kura::run(Kura::as_user('mkdir', $dir));
	$fact{path} = $dir;
	$c->psql("CREATE TABLESPACE space LOCATION '$dir'");
	$fact{space} =
	    $c->psql(q{SELECT oid FROM pg_tablespace WHERE spcname = 'space'});
	$c->psql('DROP TABLESPACE space');
	$c->psql('CREATE DATABASE gone');
	$fact{database} =
	    $c->psql(q{SELECT oid FROM pg_database WHERE datname = 'gone'});
	$c->psql('DROP DATABASE gone; SELECT pg_switch_wal(); CHECKPOINT');
	return;
}

# xid => microseconds since 1970, of all that the server still knows.
sub commit_times
{
	my ($c) = @_;

	return map { split /\|/ } split /\n/, $c->psql(
		q{SELECT x, extract(epoch FROM date_trunc('second', t))::bigint
			* 1000000 + to_char(t, 'US')::bigint
		FROM (SELECT x, pg_xact_commit_timestamp(x::text::xid) t
			FROM generate_series(1000, txid_current() - 1) x) y
		WHERE t IS NOT NULL});
}

sub check_transactions
{
	my ($times, @events) = @_;
	my @commits = of_kind('commit|drop', @events);
	my %by_xid = map { $_->{xid} => $_ } @commits;
	my @between = grep { place($_->{lsn}) >= place($fact{before}) &&
		    place($_->{lsn}) < place($fact{after}) } @commits;
	# The server knows a time of a subtransaction, too.
	my @wrong = grep { $_ != $fact{drop} + 1 && (!$by_xid{$_} ||
			    $by_xid{$_}{time_us} != $times->{$_}) }
	    keys %$times;

	is(@between, 1000, 'as many commits as transactions');
	cmp_ok(keys %$times, '>', 1000, 'times of ' . keys(%$times));
	is("@wrong[0 .. ($#wrong < 5 ? $#wrong : 5)]", '',
		'each with its time');
	is($by_xid{ $fact{plain} }{kind}, 'commit', 'COMMIT');
	is($by_xid{ $fact{prepared} }{kind}, 'commit', 'COMMIT PREPARED');
	for my $what (qw(aborted refused)) {
		my @ends = grep { $_->{xid} eq $fact{$what} }
		    of_kind('abort', @events);
		is(@ends, 1, "ROLLBACK: $what");
		ok(!$by_xid{ $fact{$what} }, 'and no commit');
	}
	is_deeply([ map { $_->{name} } of_kind('prepare', @events) ],
		[ 'a gid', 'no', 'd' ], 'PREPARE TRANSACTION');
	return;
}

sub check_files
{
	my (@events) = @_;
	my ($drop) =
	    grep { $_->{xid} == $fact{drop} } of_kind('drop', @events);
	my ($cut) = grep { $_->{relation} =~ m{/$fact{cut_node}$} }
	    of_kind('truncate', @events);
	my ($made) = of_kind('create_tablespace', @events);
	my ($space) = of_kind('drop_tablespace', @events);
	my ($database) = of_kind('drop_database', @events);

	is($drop->{dropped}, 2, 'two relations dropped');
	like($drop->{relation}, qr{^1663/\d+/}, 'with their names');
	is($cut->{blocks}, $fact{cut_blocks}, 'VACUUM cut a table');
	is($made->{path}, $fact{path}, 'CREATE TABLESPACE');
	is($made->{relation}, "$fact{space}/0/0", 'and its number');
	is($space->{relation}, "$fact{space}/0/0", 'DROP TABLESPACE');
	is($database->{relation}, "0/$fact{database}/0", 'DROP DATABASE');
	return;
}

sub check_marks
{
	my ($c, @events) = @_;
	my @points = map { $_->{name} } of_kind('restore_point', @events);

	is("@points", "@{ $fact{points} }", 'restore points');
	cmp_ok(of_kind('switch', @events), '>=', 1, 'segment switch');
	check_control($c, @events);
	return;
}

sub check_control
{
	my ($c, @events) = @_;
	my ($checkpoint, $redo) = control_lsns($c);
	my ($last) = (of_kind('checkpoint|shutdown', @events))[-1];

	is($last->{lsn}, $checkpoint, 'last checkpoint as in pg_control');
	is($last->{redo}, $redo, 'and where replay begins');
	is($last->{kind}, 'shutdown', 'a clean stop');
	return;
}


# A crash that leaves the first part of a record, and what a restart does.
sub check_broken_record
{
	my ($c) = @_;

	$c->start;
	$c->psql(q{SELECT pg_logical_emit_message(true, 'x',
		repeat('y', 2500000))});
	my $cut = $c->psql(q{SELECT pg_walfile_name(pg_current_wal_lsn())});
	$c->stop('immediate');
	for my $file (segments($c)) {
		next if substr($file, -24) lt $cut;
		unlink $file or die "could not remove \"$file\": $!";
	}
	my ($status, $out) =
	    Kura::run(Kura::program('walcat'), '-q', segments($c));
	like($out, qr/, in record$/, 'WAL ends inside a record');
	$c->start;
	$c->psql('CREATE TABLE afterwards (a int)');
	$c->stop;
	my @events = events($c, 'with a broken record');
	check_control($c, @events);
	($status, $out) = Kura::run(Kura::program('walcat'), segments($c));
	is(() = $out =~ / XLOG info D0 /g, 1, 'it was replaced');
	return;
}

sub check_new_timeline
{
	my ($c) = @_;

	Kura::write_file($c->pgdata . '/standby.signal', '');
	$c->start;
	$c->promote;
	$c->psql('CREATE TABLE promoted (a int)');
	$c->stop;
	# Behind the end are old pages: a file that is used again.
	my @events = events($c, 'over timelines', '-v');
	my ($end) = of_kind('end_of_recovery', @events);
	is($end->{timelines}, '2/1', 'a new timeline begins');
	check_control($c, @events);
	return;
}

for my $major (@majors) {
	subtest "PostgreSQL $major" => sub {
		my $c = Kura::Cluster->new(
			major => $major,
			init => { wal_segsize => 1 },
			conf => {
				wal_level => 'logical',
				wal_keep_size => '4GB',
				max_wal_size => '4GB',
				max_prepared_transactions => 5,
				track_commit_timestamp => 'on',
				autovacuum => 'off',
			})->start;
		$c->pgbench('-i', '-s', 1, '-q');
		# Old xids have no time: leave them behind.
		$c->pgbench('-c', 1, '-t', 500, '-n', '-N');
		make_load($c);
		make_files($c);
		my %times = commit_times($c);
		$c->stop;
		my @events = events($c, 'all of it');
		check_transactions(\%times, @events);
		check_files(@events);
		check_marks($c, @events);
		check_broken_record($c);
		check_new_timeline($c);
	};
}
done_testing();
