#!/usr/bin/perl
# The traps of physical backups: what changes without a sign, shrinks and grows,
# comes again under an old name. After each of them a second backup restores to
# the very bytes of the source.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;

plan skip_all => 'no PostgreSQL here' unless Kura::servers();

my $major = (grep { $_ == 15 } Kura::servers()) ? 15 : (Kura::servers())[-1];

sub new_site
{
	my (%init) = @_;
	my $primary = Kura::Cluster->new(major => $major, name => 'primary',
		init => {%init},
		conf => { wal_level => 'replica', autovacuum => 'off',
			wal_log_hints => 'off' })->start;
	my $site = Kura::Site->new;

	$site->cluster('main', conninfo => $primary->conninfo, slot => 'none');
	$site->pgkura_ok('init', 'init');
	return ($primary, $site);
}

# Relation files below a data directory: path => bytes.
sub relations
{
	my ($pgdata) = @_;
	my %sizes;

	for my $path (glob("$pgdata/base/*/* $pgdata/global/*")) {
		my ($name) = $path =~ m{^\Q$pgdata\E/(.*)$};
		next unless $name =~ m{/\d+(_vm|_fsm|_init)?(\.\d+)?$};
		$sizes{$name} = -s $path;
	}
	return \%sizes;
}

# A quiet source and the restored files must be equal to the byte.
sub check_equal
{
	my ($primary, $site, $what) = @_;
	my $to = Kura::tempdir() . '/data';

	$primary->psql('CHECKPOINT');
	$site->pgkura_ok("$what: backs up", 'backup', 'main');
	$site->pgkura_ok("$what: restores", 'restore', 'main', "--to=$to",
		'--immediate');
	my ($here, $there) = (relations($primary->pgdata), relations($to));
	is(join(' ', sort keys %$there), join(' ', sort keys %$here),
		"$what: the same relation files");
	my @differ = grep {
		(Kura::run('cmp', '-s', $primary->pgdata . "/$_", "$to/$_"))[0] != 0
	} sort keys %$here;
	is("@differ", '', "$what: with the same bytes");
	my $verify = "/usr/lib/postgresql/$major/bin/pg_verifybackup";
	Kura::run_ok("$what: pg_verifybackup finds nothing",
		Kura::as_user($verify, '-n', $to)) if -x $verify;
	my $checksums = "/usr/lib/postgresql/$major/bin/pg_checksums";
	if (-x $checksums && $primary->psql('SHOW data_checksums') eq 'on') {
		my $c = Kura::Cluster->adopt(pgdata => $to, major => $major,
			name => 'copy');
		$c->append_conf("restore_command = 'false'\n");
		$c->start;
		$c->stop;
		Kura::run_ok("$what: pg_checksums finds nothing",
			Kura::as_user($checksums, '--check', '-D', $to));
	}
	return $to;
}

for my $checksums (0, 1) {
	subtest "VACUUM alone, checksums $checksums" => sub {
		my ($primary, $site) = new_site(checksums => $checksums);

		$primary->psql(<<'END');
CREATE TABLE t AS SELECT g AS n FROM generate_series(1, 20000) g;
CREATE INDEX ON t (n);
DELETE FROM t WHERE n % 10 = 0
END
		check_equal($primary, $site, 'before');
		$primary->psql('VACUUM t');
		check_equal($primary, $site, 'after');
		is($site->json('list', 'main')->{backups}[1]{new_bytes} < 4_000_000,
			1, 'few bytes were new');
	};
}

subtest 'truncate, then extend' => sub {
	my ($primary, $site) = new_site(checksums => 1);

	$primary->psql('CREATE TABLE t (n int, s text)');
	$primary->psql(
		"INSERT INTO t SELECT g, repeat('a', 500) FROM generate_series(1, 20000) g"
	);
	check_equal($primary, $site, 'long');
	$primary->psql('DELETE FROM t WHERE n > 100');
	$primary->psql('VACUUM t');
	check_equal($primary, $site, 'cut');
	$primary->psql(
		"INSERT INTO t SELECT g, repeat('b', 500) FROM generate_series(1, 9000) g"
	);
	check_equal($primary, $site, 'grown');
	$primary->psql('TRUNCATE t');
	check_equal($primary, $site, 'empty');
};

subtest 'pg_checksums between backups' => sub {
	my $tool = "/usr/lib/postgresql/$major/bin/pg_checksums";
	plan skip_all => 'no pg_checksums here' unless -x $tool;
	my ($primary, $site) = new_site(checksums => 0);

	$primary->psql('CREATE TABLE t AS SELECT generate_series(1, 30000) AS n');
	check_equal($primary, $site, 'without');
	$primary->stop;
	Kura::run_ok('checksums are switched on',
		Kura::as_user($tool, '--enable', '-D', $primary->pgdata));
	$primary->start;
	check_equal($primary, $site, 'with');
};

subtest 'a database comes again under its old OID' => sub {
	plan skip_all => 'CREATE DATABASE ... OID is of 15' if $major < 15;
	my ($primary, $site) = new_site(checksums => 1);

	$primary->psql('CREATE DATABASE d OID 40000');
	$primary->psql('CREATE TABLE t AS SELECT generate_series(1, 1000) AS n', 'd');
	check_equal($primary, $site, 'first');
	$primary->psql('DROP DATABASE d');
	$primary->psql('CREATE DATABASE d OID 40000 STRATEGY file_copy');
	$primary->psql('CREATE TABLE u AS SELECT generate_series(1, 7) AS n', 'd');
	my $to = check_equal($primary, $site, 'again');
};

subtest 'a relation over 1 GiB' => sub {
	my ($primary, $site) = new_site(checksums => 1);
	my $segment = 1 << 30;

	$primary->psql('CREATE TABLE big AS SELECT generate_series(1, 1000) AS n');
	my $file = $primary->pgdata . '/'
	    . $primary->psql("SELECT pg_relation_filepath('big')");
	$primary->stop;
	# New pages are zeros: a file may be grown to its border by hand.
	Kura::run(Kura::as_user('truncate', '-s', $segment, $file));
	Kura::run(Kura::as_user('truncate', '-s', 16 * 8192, "$file.1"));
	$primary->start;
	# Rows go to the end of the relation.
	$primary->psql('INSERT INTO big SELECT generate_series(1001, 20000)');
	is($primary->psql('SELECT count(*) FROM big'), '20000', 'the source is sound');
	my $to = check_equal($primary, $site, 'over 1 GiB');
	my ($path) = $file =~ m{(base/.*)$};
	is(-s "$to/$path.1" > 16 * 8192, 1, 'the second segment grew');
	is((stat("$to/$path"))[12] * 512 < $segment / 2, 1,
		'zeros take no space where they are restored');
	check_equal($primary, $site, 'again');
	is($site->json('list', 'main')->{backups}[1]{new_bytes} < 1_000_000, 1,
		'zeros are no change');
};

subtest 'nothing changed' => sub {
	my ($primary, $site) = new_site(checksums => 1);

	$primary->psql('CREATE TABLE t AS SELECT generate_series(1, 100000) AS n');
	$site->pgkura_ok('a first backup', 'backup', 'main');
	$site->pgkura_ok('a second one', 'backup', 'main');
	my @backups = @{ $site->json('list', 'main')->{backups} };
	cmp_ok($backups[1]{stored_bytes}, '<', 100_000, 'stores next to nothing');
	cmp_ok($backups[0]{stored_bytes}, '>', 1_000_000, 'unlike the first');
};

subtest 'damaged and torn pages' => sub {
	my ($primary, $site) = new_site(checksums => 1);

	$primary->psql('CREATE TABLE t AS SELECT generate_series(1, 50000) AS n');
	$primary->psql('CHECKPOINT');
	my $path = $primary->psql("SELECT pg_relation_filepath('t')");
	$primary->stop;
	open my $f, '+<', $primary->pgdata . "/$path" or die;
	for my $block (3, 100) {
		seek $f, $block * 8192 + 5000, 0;
		print {$f} "\xde\xad\xbe\xef";
	}
	close $f;
	$primary->start;
	my ($status, $out, $err) = $site->pgkura('backup', 'main', '--json');
	is($status, 3, 'exit status 3: damage found');
	my ($backup) = @{ $site->json('list', 'main')->{backups} };
	is($backup->{damaged_pages}, 2, 'the backup is kept and says how many');
	like($err, qr{\Q$path\E.*block=3\b}s, 'file and block are named');
	like($err, qr{\Q$path\E.*block=100\b}s, '... of each');
};

subtest 'P7: crash recovery is left alone' => sub {
	my ($primary, $site) = new_site(checksums => 1);

	$primary->psql('CREATE TABLE t AS SELECT generate_series(1, 1000) AS n');
	$site->pgkura_ok('a backup', 'backup', 'main');
	$primary->psql('INSERT INTO t SELECT generate_series(1001, 2000)');
	$primary->kill9;
	$site->pgkura_fails('a dead server: try later', 75, qr/./, 'backup', 'main');
	$primary->start;
	is($primary->psql('SELECT count(*) FROM t'), '2000',
		'committed rows are there after the restart');
	$site->pgkura_ok('and a backup is taken', 'backup', 'main');
};

done_testing();
