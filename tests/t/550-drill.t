#!/usr/bin/perl
# R7, B11: a rehearsal of the loss of a server: restored, started where it
# cannot reach out, promoted, checked, removed; and what is said of it.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use IO::Socket::INET ();
use Kura;

plan skip_all => 'no PostgreSQL here' unless Kura::servers();

my $dir = Kura::tempdir();
my $drills = "$dir/drills";

sub site_of
{
	my ($primary, %more) = @_;
	my $site = Kura::Site->new;

	$site->cluster('main', conninfo => $primary->conninfo, slot => 'none',
		bindir => $primary->bindir, drill_dir => $drills, %more);
	return $site;
}

sub sql_file
{
	my ($name, $text) = @_;

	Kura::write_file("$dir/$name.sql", $text);
	return "$dir/$name.sql";
}

# Name of each step to its result; a step that came twice counts by its worst.
sub results
{
	my ($report) = @_;
	my %result;

	for my $step (@{ $report->{steps} }) {
		my $old = $result{ $step->{step} } // 'passed';
		$result{ $step->{step} } =
		    $old eq 'failed' ? $old : $step->{result};
	}
	return %result;
}

# Status of "pgkura drill main ..." and its report.
sub drill
{
	my ($site, @words) = @_;
	my ($status, $out, $err) =
	    $site->pgkura('drill', 'main', @words, '--json');
	my $json = eval { JSON::PP::decode_json($out) } // {};

	diag("status $status: $err") if !$json->{drill};
	return ($status, $json->{drill} // {}, $err);
}

sub nothing_left
{
	my ($site, $name) = @_;
	my @left = glob("$drills/*");

	is("@left", '', "$name: no file is left");
	ok(!-e $site->state . '/main/drill.json', "$name: no record is left");
	return;
}

sub check_version
{
	my ($major) = @_;
	my $primary = Kura::Cluster->new(major => $major, name => 'primary',
		init => { checksums => 1 })->start;
	my $site = site_of($primary);
	$site->pgkura_ok('init', 'init');
	my $receiver = $site->receive('main');
	$primary->psql('CREATE TABLE t AS SELECT generate_series(1, 1000) n');
	$site->pgkura_ok('backup', 'backup', 'main');
	$primary->psql('INSERT INTO t SELECT generate_series(1001, 1500)');
	$site->wait_wal('main', $primary->lsn);

	my $count = sql_file("count$major", "SELECT count(*) = 1500 FROM t;\n");
	my ($status, $r) = drill($site, "--check=$count");
	my %result = results($r);

	is($status, 0, 'it passes') || diag(explain($r));
	is($r->{result}, 'passed', 'and says so');
	ok($r->{isolated}, 'the copy was isolated');
	is($result{$_}, 'passed', "step $_")
	    for qw(plan restore isolate recover target write contents
	    collations sql stop cleanup);
	if (-x $primary->bindir . '/pg_amcheck' && $major >= 14) {
		is($result{amcheck}, 'passed', 'pg_amcheck');
	} else {
		is($result{amcheck}, 'skipped', 'no pg_amcheck: said');
		ok((grep { /pg_amcheck/ } @{ $r->{not_tested} }),
			'and among what was not tested');
	}
	is($result{checksums},
		-x $primary->bindir . '/pg_checksums' ? 'passed' : 'skipped',
		'pg_checksums');
	ok(defined $r->{rpo}{achieved_us} && $r->{rpo}{met}, 'RPO is met');
	ok($r->{rto}{achieved_us} > 0 && $r->{rto}{met}, 'RTO is met');
	my %how = map { $_->{how} => 1 } @{ $r->{rto}{parts} };
	is(join(' ', sort keys %how), 'assumed configured measured',
		'parts say how they are known');
	ok($r->{replication}{went_on}, 'replication went on');
	cmp_ok(scalar(@{ $r->{replication}{samples} }), '>=', 5, 'samples');
	nothing_left($site, 'passed');
	is($primary->psql("SELECT to_regclass('pgkura_drill_probe') IS NULL"),
		't', 'the primary has not seen it');
	$receiver->kill('TERM');
	$receiver->wait(30);
	return;
}

for my $major (Kura::servers()) {
	next if !grep { $_ == $major } 15, (Kura::servers())[-1];
	subtest "PostgreSQL $major" => sub { check_version($major) };
}

done_testing();
