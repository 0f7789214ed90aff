#!/usr/bin/perl
# Every record of real WAL, and what the important ones say, as pg_waldump of
# the same version reads them: LSN, lengths, xid, link, block references, page
# images; times of commits, dropped relations, checkpoints, restore points.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;

my @majors = grep { -x Kura::bindir($_) . '/pg_waldump' } Kura::servers();
plan skip_all => 'no pg_waldump here' if !@majors;

# "0/0000AB" as pg_waldump writes it, "0/AB" as everybody else.
sub lsn
{
	my ($text) = @_;

	return sprintf '%X/%X', map { hex } split m{/}, $text;
}

# One line of pg_waldump as walcat would write it, without info; and its text.
sub converted
{
	my ($line) = @_;
	my ($rmgr, $bytes, $total, $xid, $lsn, $prev, $text) =
	    $line =~ m{^rmgr:\ (\S+)\s+len\ \(rec/tot\):\s*(\d+)/\s*(\d+),
		\ tx:\s*(\d+),\ lsn:\ (\S+),\ prev\ (\S+),\ desc:\ (.*)$}x
	    or die "pg_waldump: $line";
	my $out = sprintf '%s %s len %d/%d tx %u prev %s', lsn($lsn), $rmgr,
	    $bytes, $total, $xid, lsn($prev);

	while ($text =~ m{(?:,|\ )\ ?blkref\ \#(\d+):\ rel\ (\S+)
		(?:\ fork\ (\w+))?\ blk\ (\d+)
		(\ FPW(?:\ for\ WAL\ verification)?)?}gx) {
		my ($id, $rel, $fork, $block, $image) = ($1, $2, $3, $4, $5);
		$out .= ", #$id $rel " . ($fork // 'main') . " $block";
		$out .= $image =~ s/WAL verification/check/r if defined $image;
	}
	return ($out, lsn($lsn), $text);
}

# The events that pg_waldump's text tells of, as far as it does.
sub event
{
	my ($lsn, $text) = @_;

	if ($text =~ /^(COMMIT|ABORT)(_PREPARED)? /) {
		my $kind = lc $1;
		my ($rels) = $text =~ /; rels: ([^;]*)/;
		my $count = defined $rels ? () = $rels =~ /base|pg_tblspc/g : 0;
		$kind = 'drop' if $kind eq 'commit' && $count > 0;
		my ($second, $us) =
		    $text =~ /(\d\d:\d\d:\d\d)\.(\d{6}) UTC/ or die $text;
		return "$lsn $kind $second.$us dropped $count";
	}
	return "$lsn restore_point $1" if $text =~ /^RESTORE_POINT (.*)$/;
	return "$lsn " . ($2 eq 'SHUTDOWN' ? 'shutdown' : 'checkpoint')
	    . ' redo ' . lsn($3) . " timeline $4/$5"
	    if $text =~ m{^(CHECKPOINT_(SHUTDOWN|ONLINE))\ redo\ (\S+);
		\ tli\ (\d+);\ prev\ tli\ (\d+)}x;
	return "$lsn switch" if $text =~ /^SWITCH/;
	return "$lsn end_of_recovery $1/$2"
	    if $text =~ /^END_OF_RECOVERY tli (\d+); prev tli (\d+)/;
	return "$lsn parameter_change" if $text =~ /^PARAMETER_CHANGE/;
	return "$lsn truncate $1/$2/$3 to $4"
	    if $text =~ m{^TRUNCATE (?:base/(\d+)/(\d+)()|\S+) to (\d+)}
	    && defined $1;
	return;
}

# A line of walcat -e in the same words.
sub our_event
{
	my ($line) = @_;
	my ($lsn, $kind, $us, $redo, $timelines, $dropped, $rel, $blocks,
		$name) = $line =~ m{^(\S+)\ (\S+)\ xid\ \d+\ time_us\ (\d+)
		\ redo\ (\S+)\ timeline\ (\S+)\ wal_level\ \d+\ dropped\ (\d+)
		\ relation\ \d+/(\S+)\ blocks\ (\d+)\ name\ "(.*)"\ path}x
	    or die "walcat: $line";

	if ($kind =~ /^(?:commit|abort|drop)$/) {
		my @t = gmtime(int($us / 1000000));
		return sprintf '%s %s %02d:%02d:%02d.%06d dropped %d', $lsn,
		    $kind, @t[2, 1, 0], $us % 1000000, $dropped;
	}
	return "$lsn restore_point $name" if $kind eq 'restore_point';
	return "$lsn $kind redo $redo timeline $timelines"
	    if $kind =~ /^(?:checkpoint|shutdown)$/;
	return "$lsn end_of_recovery $timelines" if $kind eq 'end_of_recovery';
	return "$lsn truncate $rel/ to $blocks" if $kind eq 'truncate';
	return "$lsn $kind" if $kind =~ /^(?:switch|parameter_change)$/;
	return;
}

# The first line that differs, for people.
sub same_lines
{
	my ($got, $want, $name) = @_;
	my $i = 0;

	$i++ while $i < @$got && $i < @$want && $got->[$i] eq $want->[$i];
	ok(@$got > 0 && $i == @$got && $i == @$want,
		"$name: " . scalar(@$got))
	    or diag("line $i of ", scalar(@$got), ' and ', scalar(@$want),
		"\n got: ", $got->[$i] // '', "\nwant: ", $want->[$i] // '');
	return;
}

# Segments of a timeline, in order; of the newest, if it is not said.
sub segments
{
	my ($cluster, $timeline) = @_;
	my @all = sort grep { m{/[0-9A-F]{24}$} }
	    glob($cluster->pgdata . '/pg_wal/*');

	$timeline //= hex substr($all[-1], -24, 8);
	return grep { hex(substr($_, -24, 8)) == $timeline } @all;
}

# WAL of the newest timeline.  The server has stopped; what may follow its last
# record are pages of a file that is used again.
sub compare
{
	my ($cluster, $name) = @_;
	my @files = segments($cluster);
	my (@records, @events, @ours);

	my ($status, $out, $err) = Kura::run({ env => { TZ => 'UTC' } },
		Kura::bindir($cluster->major) . '/pg_waldump',
		'-t', hex(substr($files[0], -24, 8)),
		'-p', $cluster->pgdata . '/pg_wal',
		'-s', first_record($files[0]));
	for my $line (split /\n/, $out) {
		my ($record, $lsn, $text) = converted($line);
		my $event = event($lsn, $text);
		push @records, $record;
		push @events, $event if defined $event;
	}
	for my $piece ([], [ '-p', 8191 ]) {
		@ours = ours("$name: read", @$piece, @files);
		s/ info [0-9A-F]{2}// for @ours;
		same_lines(\@ours, \@records, "$name: records");
	}
	@ours = grep { defined } map { our_event($_) }
	    ours("$name: read", '-e', @files);
	same_lines(\@ours, \@events, "$name: events");
	return;
}

# Lines of walcat without its summary.
sub ours
{
	my ($name, @args) = @_;
	my ($status, $out, $err) =
	    Kura::run(Kura::program('walcat'), '-v', @args);
	my @lines = split /\n/, $out;

	is($status, 0, $name) or diag($err);
	pop @lines;
	return @lines;
}

# Where the first record of a file begins that no earlier one reaches into.
sub first_record
{
	my ($file) = @_;
	my ($status, $out) = Kura::run(Kura::program('walcat'), $file);

	return (split / /, $out)[0];
}

my $ddl = <<'END';
SELECT pg_create_restore_point('first point');
CREATE TABLE t (a int PRIMARY KEY, b text, p point);
INSERT INTO t SELECT i, repeat('x', i % 500), point(i, i)
  FROM generate_series(1, 3000) i;
CREATE INDEX ON t USING gist (p);
CREATE INDEX ON t USING spgist (p);
CREATE INDEX ON t USING hash (a);
CREATE INDEX ON t USING brin (a);
CREATE INDEX ON t USING gin (to_tsvector('simple', b));
CREATE UNLOGGED TABLE u (a int);
CREATE SEQUENCE s;
SELECT nextval('s');
BEGIN; INSERT INTO t VALUES (100001); PREPARE TRANSACTION 'the gid';
COMMIT PREPARED 'the gid';
BEGIN; DROP TABLE u; SAVEPOINT x; INSERT INTO t VALUES (100002);
PREPARE TRANSACTION 'gid two';
COMMIT PREPARED 'gid two';
BEGIN; INSERT INTO t VALUES (100003); PREPARE TRANSACTION 'gid three';
ROLLBACK PREPARED 'gid three';
BEGIN; CREATE TABLE v (a int, b text); INSERT INTO t VALUES (100004); ROLLBACK;
BEGIN; SAVEPOINT a; INSERT INTO t VALUES (100005); ROLLBACK TO a;
INSERT INTO t VALUES (100006); COMMIT;
DELETE FROM t WHERE a > 1000;
VACUUM t;
SELECT pg_switch_wal();
SET wal_compression = pglz; CHECKPOINT; UPDATE t SET b = b || 'y';
SET wal_compression = lz4; CHECKPOINT; UPDATE t SET b = b || 'y';
SET wal_compression = off;
SET wal_consistency_checking = 'all';
UPDATE t SET b = b || 'z' WHERE a % 100 = 0;
SET wal_consistency_checking = '';
CREATE TABLE d1 (a int);
CREATE TABLE d2 (a text);
BEGIN; DROP TABLE d1, d2; COMMIT;
CREATE DATABASE copied STRATEGY file_copy;
CREATE DATABASE logged STRATEGY wal_log;
DROP DATABASE copied;
SELECT pg_logical_emit_message(true, 'long', repeat('z', 5000000));
SELECT pg_create_restore_point('second point');
SELECT pg_switch_wal();
END

for my $major (@majors) {
	for my $segment_mb (1, 16) {
		my $c = Kura::Cluster->new(
			major => $major,
			init => { wal_segsize => $segment_mb },
			conf => {
				wal_level => 'logical',
				wal_keep_size => '4GB',
				max_wal_size => '4GB',
				max_prepared_transactions => 10,
				wal_log_hints => 'on',
			});
		$c->start;
		$c->pgbench('-i', '-s', 1, '-q');
		$c->pgbench('-c', 4, '-t', 500, '-n');
		$c->psql($ddl);
		$c->stop;
		compare($c, "$major, segments of $segment_mb MB");

		$c->append_conf('max_connections = 60');
		$c->start;
		my $standby = $c->standby(name => 'standby', slot => 0,
			conf => { wal_keep_size => '4GB',
				max_connections => 60,
				max_prepared_transactions => 10 });
		$standby->start;
		$c->psql('CREATE TABLE w AS SELECT generate_series(1, 9999) a');
		$c->wait_replay($standby);
		$c->stop;
		$standby->promote;
		$standby->psql('INSERT INTO w SELECT generate_series(1, 9999)');
		$standby->stop;
		compare($standby, "$major, $segment_mb MB, promoted");

		# The new timeline begins within a segment; the old one's
		# segments lead to it.
		my @files = segments($standby);
		my $first = substr($files[0], -16);
		unshift @files, grep { substr($_, -16) lt $first }
		    segments($standby, 1);
		my @ends = grep { / end_of_recovery / }
		    ours("$major: over timelines", '-e', @files);
		is(@ends, 1, 'one end of recovery');
		like($ends[0], qr{timeline 2/1 }, 'from 1 to 2');
	}
}
done_testing();
