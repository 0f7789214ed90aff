#!/usr/bin/perl
# Base backups of each version under load, with a tablespace: what comes is what
# the server's manifest says, and becomes a server with the same rows.  Damaged
# pages are told, and a backup that ends early says why.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Time::HiRes qw(sleep);
use Kura;

plan skip_all => 'no PostgreSQL here' if !Kura::servers();

my $program = Kura::program('pgbackup');

sub owned_dir
{
	my ($path) = @_;

	Kura::run(Kura::as_user('mkdir', $path));
	return $path;
}

# Run as the servers' user, so that a server can be started on what comes.
sub unpack_backup
{
	my ($c, $folder) = @_;
	my ($status, $out, $err) = Kura::run(Kura::as_user($program, 'unpack',
		$c->conninfo, $folder));

	is($status, 0, 'a backup under load') or diag("$out$err");
	return ($out, Kura::facts($out));
}

sub bytes_of
{
	my ($lsn) = @_;
	my ($high, $low) = split m{/}, $lsn;

	return hex($high) * 2**32 + hex($low);
}

# ---- what comes ----

sub check_facts
{
	my ($c, $out, $facts, $space) = @_;
	my $oid = $c->psql(q{SELECT oid FROM pg_tablespace WHERE spcname = 'space'});
	my @archives = $out =~ /^archive (\d+)/mg;

	is_deeply([sort { $a <=> $b } @archives], [0, $oid], 'the archives');
	is($archives[-1], 0, 'that of the data directory last');
	like($out, qr/^tablespace $oid \Q$space\E$/m, 'the tablespace');
	cmp_ok(bytes_of($facts->{stop_lsn}), '>', bytes_of($facts->{start_lsn}),
		'it stops behind its start');
	is($facts->{checksum_failures}, 0, 'no damage');
	cmp_ok($facts->{total_bytes}, '>', 0.9 * $facts->{bytes}, 'the estimate');
	cmp_ok($facts->{archive_bytes}, '>', $facts->{bytes}, 'tars are longer');
	is($facts->{archive_bytes} % 512, 0, 'and whole');
	return $oid;
}

# Each file of the manifest with its size, and nothing else but the WAL's
# folders.
sub check_manifest
{
	my ($folder) = @_;
	my $text = Kura::slurp("$folder.manifest");
	my %listed = $text =~ /"Path": "([^"]+)", "Size": (\d+)/g;
	my %there;

	my (undef, $found) = Kura::run('find', $folder, '-type', 'f', '-printf',
		'%P %s\n');
	for my $line (split /\n/, $found) {
		my ($path, $size) = $line =~ /^(.*) (\d+)$/;
		$there{$path} = $size;
	}
	is_deeply(\%there, \%listed, 'files and sizes are those of the manifest');
	cmp_ok(scalar keys %there, '>', 900, 'of which there are many');
	like($text, qr/"Checksum-Algorithm": "CRC32C"/, 'with sums');
	return;
}

# PostgreSQL's own tool checks the sums; 15 reads manifests up to 16.
sub check_sums
{
	my ($folder, $major) = @_;
	my $tool = Kura::client('pg_verifybackup');

	SKIP: {
		skip 'no pg_verifybackup for it', 1 if !$tool || $major > 16;
		Kura::run_ok('pg_verifybackup agrees', $tool, '-n', '-m',
			"$folder.manifest", $folder);
	}
	return;
}

# ---- and becomes a server ----

sub check_restored
{
	my ($c, $folder, $oid, $archive) = @_;
	my $space = Kura::tempdir() . "/space";
	my $rows = 'SELECT sum(abalance), count(*) FROM pgbench_accounts;
		SELECT count(*), sum(delta) FROM pgbench_history;
		SELECT count(*) FROM u; SELECT sum(a) FROM t';
	my $want = $c->psql($rows);

	like(Kura::slurp("$folder/backup_label"), qr/^LABEL: it's a \\test$/m,
		'the label is as it was given');
	Kura::run(Kura::as_user('mv', "$folder/pg_tblspc/$oid", $space));
	Kura::write_file("$folder/tablespace_map", "$oid $space\n");
	Kura::write_file("$folder/recovery.signal", '');
	my $r = Kura::Cluster->adopt(pgdata => $folder, major => $c->major,
		conf => { restore_command => "cp $archive/%f %p",
			archive_mode => 'off' });
	$r->start;
	$r->wait_for('SELECT NOT pg_is_in_recovery()');
	# The unlogged table is empty, as after a crash.
	is($r->psql($rows), $want =~ s/\n7\n/\n0\n/r, 'with the same rows');
	is($r->psql(q{SELECT pg_relation_filepath('t')}) =~ m{^pg_tblspc/$oid/}, 1,
		'the tablespace is its own');
	$r->stop('immediate');
	return;
}

sub backup_and_restore
{
	my ($c, $archive) = @_;
	my $space = owned_dir($c->dir . '/space');
	my $folder = Kura::tempdir() . '/backup';

	$c->psql("CREATE TABLESPACE space LOCATION '$space'");
	$c->psql('CREATE TABLE t TABLESPACE space AS
		SELECT a FROM generate_series(1, 50000) AS a;
		CREATE UNLOGGED TABLE u AS SELECT generate_series(1, 7);');
	$c->pgbench('-i', '-q', '-s', '2');
	my $load = $c->pgbench_spawn('-n', '-c', '2', '-T', '60');
	sleep(0.3);
	my ($out, $facts) = unpack_backup($c, $folder);
	$load->kill('INT');
	$load->wait;
	$c->switch_wal;
	my $oid = check_facts($c, $out, $facts, $space);
	check_manifest($folder);
	check_sums($folder, $c->major);
	my $last = $c->switch_wal;
	ok(Kura::wait_until(sub { -e "$archive/$last" }), 'the WAL is archived');
	check_restored($c, $folder, $oid, $archive);
	return;
}

# ---- what can go wrong ----

sub damage
{
	my ($c) = @_;
	my $file = $c->pgdata . '/' . $c->psql(q{SELECT pg_relation_filepath('t')});

	$c->stop;
	open(my $f, '+<', $file) or die "could not open \"$file\": $!\n";
	seek($f, 8192 * 3 + 5000, 0);
	print {$f} "damaged";
	close($f) or die "could not write \"$file\": $!\n";
	$c->start;
	my ($status, $out) = Kura::run($program, 'parse', $c->conninfo);
	is($status, 0, 'a damaged page is no failure');
	is(Kura::facts($out)->{checksum_failures}, 1, 'but told');
	like($out, qr/^notice WARNING .*checksum.*block 3/m, 'with its place');
	return;
}

# A slow backup; it has begun to send when this returns.
sub slow
{
	my ($c) = @_;
	my $p = Kura::spawn($program, 'parse', $c->conninfo, 1000);

	ok(Kura::wait_until(sub { $p->out =~ /^archive/m }), 'a slow backup begins');
	return $p;
}

sub ends
{
	my ($p, $kind, $text, $name) = @_;

	is($p->wait(20), 1, "$name ends it"); # by itself it takes a minute
	my $facts = Kura::facts($p->out);
	is($facts->{error}, $kind, $facts->{text} // 'no text');
	like($facts->{text}, $text, 'with the reason') or diag($facts->{text});
	return $facts;
}

sub early_ends
{
	my ($c) = @_;

	my ($status, $out) = Kura::run($program, 'parse', $c->conninfo, 31);
	is(Kura::facts($out)->{error}, 'usage', 'a rate the server refuses');
	my $p = slow($c);
	$p->kill('TERM');
	ends($p, 'canceled', qr/signal/, 'a signal');
	$c->wait_for('SELECT count(*) = 0 FROM pg_stat_replication');
	$p = slow($c);
	$c->psql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_replication});
	my $facts = ends($p, 'transient', qr/57P01/, 'an administrator');
	like($facts->{hint}, qr/log/, 'and where to look');
	$p = slow($c);
	$c->kill9;
	ends($p, 'transient', qr/closed the connection|reset by peer/i, 'a crash');
	$c->start;
	return;
}

sub from_standby
{
	my ($c) = @_;
	my $s = $c->standby->start;

	$c->wait_replay($s);
	my ($status, $out) = Kura::run($program, 'parse', $s->conninfo);
	is($status, 0, 'a backup of a standby') or diag($out);
	my $p = slow($s);
	$s->promote;
	is($p->wait(60), 1, 'a promotion spoils it');
	my $facts = Kura::facts($p->out);
	is($facts->{error}, 'transient', $facts->{text});
	like($facts->{hint}, qr/again/, 'and the next is better');
	$s->stop('immediate');
	return;
}

for my $major (Kura::servers()) {
	subtest "PostgreSQL $major" => sub {
		my $archive = owned_dir(Kura::tempdir() . '/archive');
		my $c = Kura::Cluster->new(major => $major,
			init => { checksums => 1, wal_segsize => 1 },
			conf => { archive_mode => 'on',
				archive_command => "cp %p $archive/%f",
				wal_keep_size => '64MB' })->start;
		backup_and_restore($c, $archive);
		early_ends($c);
		from_standby($c);
		damage($c);
		$c->stop('immediate');
	};
}

done_testing();
