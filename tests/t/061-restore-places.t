#!/usr/bin/perl
# Where a backup may be restored, and what is there afterwards: refusals before
# a byte is written, tablespaces, modes, owner.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;

plan skip_all => 'no PostgreSQL here' unless Kura::servers();

my $primary = Kura::Cluster->new(name => 'primary', tcp => 0,
	conf => { autovacuum => 'off' })->start;
my $site = Kura::Site->new;
my $dir = Kura::tempdir();

sub as_user { return Kura::run(Kura::as_user(@_)); }

# The tree below a folder: names, modes, sizes.
sub tree
{
	my ($folder) = @_;
	my (undef, $out) = Kura::run('find', $folder, '-printf',
		'%P %m %U %s %l\n');

	return join "\n", sort split /\n/, $out;
}

sub refused
{
	my ($name, $status, $message, @words) = @_;
	my $before = tree($dir);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$site->pgkura_fails($name, $status, $message, 'restore', 'main', @words);
	is(tree($dir), $before, '... and nothing was touched');
	return;
}

as_user('mkdir', "$dir/ts");
$primary->psql("CREATE TABLESPACE far LOCATION '$dir/ts'");
$primary->psql('CREATE TABLE f TABLESPACE far AS SELECT generate_series(1, 5000) n');
$primary->psql('CREATE TABLE t AS SELECT generate_series(1, 1000) n');
my $oid = $primary->psql("SELECT oid FROM pg_tablespace WHERE spcname = 'far'");

$site->cluster('main', conninfo => $primary->conninfo, slot => 'none');
$site->pgkura_ok('init', 'init');
refused('no backup yet', 1, qr/has no|no backup|nothing|not/, "--to=$dir/a");
$site->pgkura_ok('backup', 'backup', 'main');

subtest 'P6: refusals' => sub {
	as_user('mkdir', "$dir/full", "$dir/foreign");
	Kura::write_file("$dir/full/x", "mine\n");
	refused('into what is not empty', 1, qr/is not empty.*--delta/s,
		"--to=$dir/full", "--tablespace-map=$oid=$dir/t1");
	refused('by --delta into what is no data directory', 1,
		qr/not a data directory/, "--to=$dir/full", '--delta',
		"--tablespace-map=$oid=$dir/t1");
	refused('below a folder that is not there', 1, qr/could not find folder/,
		"--to=$dir/none/none");
	refused('into a file', 2, qr/is not a directory/, "--to=$dir/full/x");
	refused('into the directory of a running server', 1,
		qr/a server is running/, '--to=' . $primary->pgdata);
	refused('nor by --delta', 1, qr/a server is running/,
		'--to=' . $primary->pgdata, '--delta');
	refused('a setting that is none', 2, qr/no setting of a server/,
		"--to=$dir/a", '--set=port');
	refused('an unknown user', 2, qr/no user "nobodyknows"/, "--to=$dir/a",
		'--owner=nobodyknows', "--tablespace-map=$oid=$dir/t1");

	my $other = Kura::Cluster->new(name => 'other');
	my $pgdata = $other->pgdata;
	my $before = tree($pgdata);
	refused('into the directory of another cluster', 4,
		qr/belongs to another cluster/, "--to=$pgdata", '--delta',
		"--tablespace-map=$oid=$dir/t1");
	is(tree($pgdata), $before, 'which is as it was');
};

subtest 'tablespaces' => sub {
	refused('where the old one lies', 1,
		qr/of tablespace $oid is not empty.*--tablespace-map=$oid=/s,
		"--to=$dir/a");
	refused('a map of what is not there', 2, qr/means no tablespace/,
		"--to=$dir/a", '--tablespace-map=99=/x');
	refused('a map to no absolute path', 2, qr/is not absolute/,
		"--to=$dir/a", "--tablespace-map=$oid=x");
	refused('into the data directory', 2, qr/inside the data directory/,
		"--to=$dir/a", "--tablespace-map=$oid=$dir/a/ts");

	$site->pgkura_ok('by OID', 'restore', 'main', "--to=$dir/a",
		"--tablespace-map=$oid=$dir/ts_a");
	is(readlink("$dir/a/pg_tblspc/$oid"), "$dir/ts_a", 'the link is made');
	ok(!-e "$dir/a/tablespace_map", 'no map is left that would undo it');
	$site->pgkura_ok('by path', 'restore', 'main', "--to=$dir/b",
		"--tablespace-map=$dir/ts=$dir/deep/ts_b");
	for my $copy ('a', 'b') {
		my $c = $site->restored(of => $primary, to => "$dir/$copy");
		$c->start;
		$c->wait_for('SELECT NOT pg_is_in_recovery()');
		is($c->psql('SELECT count(*), sum(n) FROM f'), '5000|12502500',
			"all rows of the tablespace in $copy");
		is($c->psql("SELECT pg_tablespace_location($oid)"),
			readlink("$dir/$copy/pg_tblspc/$oid"), 'in its place');
		$c->stop;
	}
	is($primary->psql('SELECT count(*) FROM f'), '5000',
		'the primary has its own');
	$site->pgkura_ok('again over it by --delta', 'restore', 'main',
		"--to=$dir/a", '--delta', "--tablespace-map=$oid=$dir/ts_a");
};

subtest 'RK4, MC3: modes and owner' => sub {
	my @st = stat("$dir/b");
	is(sprintf('%o', $st[2] & 07777), '700', 'the directory is 0700');
	my (undef, $wrong) = Kura::run('find', "$dir/b", "$dir/deep/ts_b", '!',
		'-type', 'l', '-perm', '/077');
	is($wrong, '', 'nothing is open to others');
	my (undef, $foreign) =
	    Kura::run('find', "$dir/b", '!', '-user', Kura::user());
	is($foreign, '', 'all is the servers\' user\'s');

	plan skip_all => 'owners need root' if $< != 0;
	Kura::run('mkdir', "$dir/byroot");
	Kura::run('chown', 'nobody', "$dir/byroot");
	chmod(0755, "$dir/byroot");
	my ($status, undef, $err) =
	    Kura::run({ env => { PGKURA_CONF => $site->conf } },
		Kura::program('pgkura'), 'restore', 'main', "--to=$dir/byroot",
		"--tablespace-map=$oid=$dir/ts_byroot");
	is($status, 0, "restore by root: $err");
	like($err, qr/restore_unreadable|cannot read/,
		'with a word on what its owner cannot read');
	(undef, $foreign) = Kura::run('find', "$dir/byroot", "$dir/ts_byroot/",
		'!', '-user', 'nobody');
	is($foreign, '', 'all belongs to the owner of the directory');
	is(sprintf('%o', (stat("$dir/byroot"))[2] & 07777), '700',
		'which was open and no longer is');
	($status, undef, $err) =
	    Kura::run({ env => { PGKURA_CONF => $site->conf } },
		Kura::program('pgkura'), 'restore', 'main', "--to=$dir/named",
		'--owner=' . Kura::user(),
		"--tablespace-map=$oid=$dir/ts_named");
	is($status, 0, "restore by root for a user: $err");
	(undef, $foreign) =
	    Kura::run('find', "$dir/named", '!', '-user', Kura::user());
	is($foreign, '', 'all belongs to the user named');
};

subtest 'group access' => sub {
	my $group = Kura::Cluster->new(name => 'group',
		init => { args => ['--allow-group-access'] })->start;
	$site->cluster('group', conninfo => $group->conninfo, slot => 'none');
	$site->pgkura_ok('backup', 'backup', 'group');
	$site->pgkura_ok('restore', 'restore', 'group', "--to=$dir/group");
	is(sprintf('%o', (stat("$dir/group"))[2] & 07777), '750',
		'the directory is 0750, as it was');
	is(sprintf('%o', (stat("$dir/group/base/1"))[2] & 07777), '750',
		'so are those below');
	is(sprintf('%o', (stat("$dir/group/PG_VERSION"))[2] & 07777), '640',
		'and its files 0640');
	$group->stop;
};

subtest 'plan' => sub {
	my $before = tree($dir);
	my $plan = $site->json('restore', 'main', "--to=$dir/planned", '--plan',
		"--tablespace-map=$oid=$dir/ts_planned");
	ok($plan->{plan}, 'says so');
	like($plan->{backup}, qr/^\d{8}T/, 'the backup');
	cmp_ok($plan->{bytes}, '>', 20e6, 'bytes');
	cmp_ok($plan->{read_bytes}, '>', 1e6, 'stored bytes');
	cmp_ok($plan->{estimate_us}, '>', 0, 'an estimate');
	is(tree($dir), $before, 'nothing is made');
	ok($site->json('restore', 'main', '--plan'), 'without a place, too');
	refused('a plan of what cannot be', 1, qr/is not empty/, '--plan',
		"--to=$dir/full", "--tablespace-map=$oid=$dir/t1");
};

done_testing();
