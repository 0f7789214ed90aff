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
plan skip_all => 'ThreadSanitizer has a thread of its own, which forbids namespaces'
    if (Kura::sanitizer() // '') eq 'thread';

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
	    collations extensions sql stop cleanup);
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


# ---- one server for what follows ----

my ($major) = grep { $_ == 15 } Kura::servers();
$major //= (Kura::servers())[-1];
Kura::run(Kura::as_user('mkdir', "$dir/space"));
my $primary = Kura::Cluster->new(major => $major, name => 'primary',
	tcp => 1)->start;
my $site = site_of($primary);
$site->pgkura_ok('init', 'init');
my $receiver = $site->receive('main');
$primary->psql('CREATE TABLE t AS SELECT generate_series(1, 1000) n');
$primary->psql("CREATE TABLESPACE space LOCATION '$dir/space'");
$primary->psql('CREATE TABLE in_space TABLESPACE space AS SELECT 1 AS n');
$site->pgkura_ok('backup', 'backup', 'main');

# Pids of processes whose working directory lies in a drill's folder.
sub copies
{
	return grep { (readlink("/proc/$_/cwd") // '') =~ m{^\Q$drills\E/} }
	    map { m{/proc/(\d+)$} } glob('/proc/[0-9]*');
}

# A drill that hangs in a check, with its copy running.
sub hanging_drill
{
	my ($with, @words) = @_;
	my $sleep = sql_file('sleep', "-- pgkura: timeout=1h\nSELECT pg_sleep(3600);\n");
	my $p = Kura::spawn($with->words('drill', 'main', "--check=$sleep", @words));

	Kura::wait_until(sub {
			return !$p->alive || grep {
				(eval { Kura::slurp("/proc/$_/cmdline") } // '') =~ /SELECT/
			} copies();
		}) or diag('no copy hangs');
	ok($p->alive, 'a drill hangs in a check') || diag($p->out . $p->err);
	return $p;
}

# Everything by which a process reaches others; says "NAME yes" or "NAME no".
my $reach = "$dir/reach.pl";
my $tcp = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => 0,
	Listen => 5) or die;
my $unix_path = "$dir/listener";
my $unix = IO::Socket::UNIX->new(Local => $unix_path, Listen => 5) or die;
chmod 0777, $unix_path;
my ($address) = grep { !/:/ } split ' ', (Kura::run('hostname', '-I'))[1];
my %tries = (
	loopback => "IO::Socket::INET->new(PeerAddr => '127.0.0.1:"
	    . $tcp->sockport . "', Timeout => 5)",
	socket => "IO::Socket::UNIX->new(Peer => '$unix_path')",
	server_socket => "IO::Socket::UNIX->new(Peer => '" . $primary->dir
	    . '/.s.PGSQL.' . $primary->port . "')",
	server_port => "IO::Socket::INET->new(PeerAddr => '127.0.0.1:"
	    . $primary->port . "', Timeout => 5)",
	process => 'kill(0, ' . (Kura::slurp($primary->pgdata . '/postmaster.pid')
		=~ /^(\d+)/)[0] . ')',
	file => "open(my \$f, '>', '$dir/space/escaped')",
	data => "open(my \$f, '>', '" . $primary->pgdata . "/escaped')",
);
$tries{address} = "IO::Socket::INET->new(PeerAddr => '$address:"
    . $tcp->sockport . "', Timeout => 5)" if $address;
Kura::write_file($reach, "use IO::Socket::INET; use IO::Socket::UNIX;\n"
	    . join('', map { "print '$_ ', ($tries{$_} ? 'yes' : 'no'), \"\\n\";\n" }
		sort keys %tries));
my $reach_sql = sql_file('reach', <<"END");
CREATE TEMP TABLE reached (line text);
COPY reached FROM PROGRAM 'perl $reach';
SELECT line LIKE '% no', line FROM reached;
SELECT count(*) = @{[ scalar keys %tries ]} FROM reached;
END

sub accepted
{
	my ($count) = (0);

	for my $socket ($tcp, $unix) {
		$socket->blocking(0);
		while (my $c = $socket->accept) { $count++; }
	}
	return $count;
}

subtest 'it cannot reach out' => sub {
	my ($status, $out, $err) = Kura::run(Kura::as_user('perl', $reach));
	unlike($out, qr/ no$/m, 'outside everything can be reached')
	    || diag($err);
	ok(accepted() >= 2, 'and listeners see it');
	unlink("$dir/space/escaped", $primary->pgdata . '/escaped');

	my @checks = ("--check=$reach_sql");
	if (-e "/usr/share/postgresql/$major/extension/dblink.control") {
		my $conninfo = $primary->conninfo(dbname => 'postgres');
		my $port = $primary->port;
		push @checks, '--check=' . sql_file('dblink', <<"END");
CREATE EXTENSION dblink;
CREATE FUNCTION reached(c text) RETURNS bool LANGUAGE plpgsql AS \$\$
BEGIN
	PERFORM public.dblink_connect(c);
	RETURN true;
EXCEPTION WHEN OTHERS THEN RETURN false;
END \$\$;
SELECT NOT reached('$conninfo');
SELECT NOT reached('host=127.0.0.1 port=$port user=postgres dbname=postgres');
-- The copy itself can be reached.
SELECT reached('host=127.0.0.1 port=5432 user=postgres dbname=postgres');
END
	}
	my ($drilled, $r) = drill($site, @checks);
	is($drilled, 0, 'in a drill nothing') || diag(explain($r->{steps}));
	my ($seen) = grep { $_->{step} eq 'sql' } @{ $r->{steps} };
	is(scalar(() = $seen->{output} =~ / no$/mg), scalar keys %tries,
		'everything was tried') || diag(explain($seen));
	is(accepted(), 0, 'no listener has seen anything');
	ok(!-e "$dir/space/escaped", 'no file outside');
	ok(-e "$dir/space", 'the tablespace of the primary is there');
	is($primary->psql('SELECT n FROM in_space'), '1', 'and whole');
	nothing_left($site, 'isolated');
};

subtest 'where no isolation is possible' => sub {
	my $open = Kura::Site->new(in => [Kura::program('nobox')]);
	%$open = (%$site, in => $open->{in});
	$open->pgkura_fails('it refuses', 1, qr/cannot be isolated.*allow-not/s,
		'drill', 'main');
	nothing_left($site, 'refused');
	my ($status, $r) = drill($open, '--allow-not-isolated',
		"--check=$reach_sql");
	is($status, 3, 'the check sees that it is open');
	ok(!$r->{isolated}, 'the report says so');
	like($r->{not_tested}[0], qr/NOT ISOLATED/, 'where nobody misses it');
	ok(accepted() > 0, 'it could reach out');
	unlink("$dir/space/escaped", $primary->pgdata . '/escaped');
	my %result = results($r);
	is($result{recover}, 'passed', 'it ran all the same');
	nothing_left($site, 'open');

	my $p = hanging_drill($open, '--allow-not-isolated');
	$p->kill('KILL');
	$p->wait(30);
	ok(scalar(copies()), 'without a box a copy outlives its drill');
	($status, $r) = drill($site);
	is($status, 0, 'the next drill passes');
	is(scalar(copies()), 0, 'and has ended it');
	nothing_left($site, 'open and killed');
};

subtest 'checks of the operator' => sub {
	my $bad = sql_file('bad', "SELECT 1;\nSELECT n < 1000, n FROM t;\n");
	my $wrong = sql_file('wrong', 'SELECT * FROM no_such_table');
	my $slow = sql_file('slow',
		"-- pgkura: timeout=1s\n-- pgkura: database=template1\n"
		    . 'SELECT pg_sleep(3600)');
	my $good = sql_file('good', "-- pgkura: database=template1\n"
		    . "SELECT current_database() = 'template1'");
	my ($status, $r) = drill($site, map { "--check=$_" } $bad, $wrong,
		$slow, $good);
	my @sql = grep { $_->{step} eq 'sql' } @{ $r->{steps} };

	is($status, 3, 'it fails');
	is($r->{result}, 'failed', 'and says so');
	is(join(' ', map { $_->{result} } @sql),
		'failed failed failed passed', 'each has its own result');
	like($sql[0]{detail}, qr/1 of 1001 rows/, 'the row');
	like($sql[1]{detail}, qr/no_such_table/, 'the error');
	like($sql[2]{detail}, qr/within 1 ?s/, 'the time-out');
	like($r->{verdict}, qr/bad\.sql/, 'the verdict is the first of them');
	is(scalar(@{ $r->{checks} }), 4, 'their digests are in the report');
	nothing_left($site, 'failed');
};

subtest 'bounds' => sub {
	my $grow = sql_file('grow',
		'CREATE TABLE grow AS SELECT repeat(md5(n::text), 30)
		FROM generate_series(1, 1000000) n');
	my $small = site_of($primary, drill_space_limit => '1MB');
	%$small = (%$small, map { $_ => $site->{$_} } 'dir');
	$small->cluster('main', %{ $site->{clusters}{main} },
		drill_space_limit => '1MB');
	$small->pgkura_fails('it does not fit', 1, qr/drill_space_limit, 1/,
		'drill', 'main');
	$small->cluster('main', %{ $small->{clusters}{main} },
		drill_space_limit => '200MB');
	my ($status, $r) = drill($small, "--check=$grow");
	is($r->{result}, 'stopped', 'it grows too much') || diag(explain($r));
	isnt($status, 0, 'no success');
	like($r->{verdict}, qr/drill_space_limit/, 'said why');
	nothing_left($site, 'space');

	$small->cluster('main', %{ $small->{clusters}{main} },
		drill_space_limit => 'none', drill_time_limit => '8s');
	($status, $r) = drill($small, '--check='
		    . sql_file('sleep', "-- pgkura: timeout=1h\nSELECT pg_sleep(3600)"));
	is($r->{result}, 'stopped', 'it takes too long') || diag(explain($r));
	like($r->{verdict}, qr/drill_time_limit/, 'said why');
	is($r->{cleanup}{processes_left}, 0, 'nothing runs on');
	is(scalar(copies()), 0, 'indeed');
	nothing_left($site, 'time');
	$site->write_conf;
};

subtest 'kill -9' => sub {
	my $p = hanging_drill($site);
	my ($record) = JSON::PP::decode_json(
		Kura::slurp($site->state . '/main/drill.json'));
	$p->kill('KILL');
	$p->wait(30);
	ok(Kura::wait_until(sub { return !copies() }), 'its copy dies with it');
	ok(-d $record->{folder}, 'its files are there');
	my ($status, $r) = drill($site);
	is($status, 0, 'the next one passes');
	ok(!-e $record->{folder}, 'and has removed them');
	nothing_left($site, 'killed');
	my ($said) = grep { $_->{id} eq $record->{id} }
	    @{ $site->json('drill', 'list', 'main')->{reports} };
	is($said->{result}, 'stopped', 'a report says so');
};

subtest 'a signal, and two at once' => sub {
	my $p = hanging_drill($site);
	$site->pgkura_fails('one at a time', 75, qr/drill/, 'drill', 'main');
	$p->kill('TERM');
	isnt($p->wait(60), 0, 'it ends');
	like($p->out, qr/stopped by a signal/, 'and says why');
	is(scalar(copies()), 0, 'no process is left');
	nothing_left($site, 'signal');
};

subtest 'replication goes on' => sub {
	$primary->pgbench('-i', '-s', '1', '-q');
	my $load = $primary->pgbench_spawn('-T', '3600', '-c', '2');
	my ($status, $r) = drill($site);
	$load->kill('TERM');
	$load->wait(30);
	is($status, 0, 'it passes under load') || diag(explain($r));
	ok($r->{replication}{went_on}, 'it went on');
	cmp_ok($r->{replication}{bytes}, '>', 0, 'bytes came meanwhile');
	my %at = map { $_->{flushed} // '' => 1 }
	    @{ $r->{replication}{samples} };
	cmp_ok(scalar(keys %at), '>=', 3, 'as samples show');
	my %phase = map { $_->{phase} => 1 } @{ $r->{replication}{samples} };
	ok($phase{before} && $phase{recover} && $phase{after},
		'before, during and after');
};

subtest 'kept' => sub {
	my ($status, $r) = drill($site, '--keep');
	is($status, 0, 'it passes');
	my ($folder) = glob("$drills/*");
	ok($folder && -e "$folder/data/PG_VERSION", 'the copy is there');
	ok(!-e "$folder/data/postmaster.pid", 'stopped');
	ok(!$r->{cleanup}{removed}, 'and the report says so');
	drill($site);
	ok(-e "$folder/data/PG_VERSION", 'the next drill leaves it alone');
	Kura::run('rm', '-rf', $folder);
};

subtest 'positions' => sub {
	my $lsn = $primary->lsn;
	$primary->psql('CREATE TABLE later (n int)');
	$site->wait_wal('main', $primary->lsn);
	my $gone = sql_file('gone', "SELECT to_regclass('later') IS NULL");
	my ($status, $r) = drill($site, "--lsn=$lsn", '--exclusive',
		"--check=$gone");
	is($status, 0, 'a position in the past') || diag(explain($r->{steps}));
	like($r->{target}{asked}, qr/position/, 'what was asked for');
	$site->pgkura_fails('one that cannot be reached', 1,
		qr/can be restored/, 'drill', 'main', '--lsn=FF/0');
	nothing_left($site, 'not begun');
};

# Replaying it empties the folder that it names.
subtest 'a tablespace that the WAL makes' => sub {
	Kura::run(Kura::as_user('mkdir', "$dir/made", "$dir/gone"));
	$primary->psql("CREATE TABLESPACE made LOCATION '$dir/made'");
	$primary->psql('CREATE TABLE in_made TABLESPACE made AS SELECT 7 AS n');
	$primary->psql('CHECKPOINT');
	$site->wait_wal('main', $primary->lsn);
	my @before = glob("$dir/made/*/*/*");
	ok(scalar(@before), 'the primary has files there');
	my ($status, $r) = drill($site, '--check=' . sql_file('made',
		'SELECT n = 7 FROM in_made'));
	is($status, 0, 'the copy has its own') || diag(explain($r->{steps}));
	is("@{[ glob(qq{$dir/made/*/*/*}) ]}", "@before",
		'nothing of the primary is gone');
	is($primary->psql('SELECT n FROM in_made'), '7', 'it reads them');
	my %open = (%$site, in => [Kura::program('nobox')]);
	bless(\%open, ref $site)->pgkura_fails('not without isolation', 1,
		qr/would empty/, 'drill', 'main', '--allow-not-isolated');

	$primary->psql("CREATE TABLESPACE gone LOCATION '$dir/gone'");
	$primary->psql('DROP TABLESPACE gone');
	$site->wait_wal('main', $primary->lsn);
	rmdir("$dir/gone") or die;
	$site->pgkura_fails('a folder that is not there', 1,
		qr/no such folder.*HINT.*empty one/s, 'drill', 'main');
	nothing_left($site, 'not begun');
	mkdir("$dir/gone");
	($status, $r) = drill($site);
	is($status, 0, 'once it is there') || diag(explain($r->{steps}));
};

# ---- reports ----

sub reports { return $site->json('drill', 'list', 'main')->{reports}; }

sub mark
{
	my ($id) = @_;
	my ($path) = glob($site->repo . "/main/*/marks/$id/1");

	return $path;
}

subtest 'reports' => sub {
	my $list = $site->json('drill', 'list', 'main');
	is($list->{faults}, 0, 'the chain is sound')
	    || diag(explain($list));
	my ($last) = grep { $_->{result} eq 'passed' } reverse @{ reports() };
	my $text = $site->pgkura_ok('list for people', 'drill', 'list', 'main');
	like($text, qr/\Q$last->{id}\E .*passed.*sound/, 'a line each');

	$site->pgkura_ok('sign-off', 'drill', 'sign-off', $last->{id},
		'--by=A. Person & <Co>', '--note=seen');
	$site->pgkura_fails('a sign-off wants a name', 2, qr/--by/, 'drill',
		'sign-off', $last->{id});
	my ($signed) = grep { $_->{id} eq $last->{id} } @{ reports() };
	is("@{$signed->{signed_by}}", 'A. Person & <Co>', 'it is seen');

	my $page = "$dir/space/report.html";
	$site->pgkura_ok('a page', 'drill', 'show', $last->{id},
		"--html=$page");
	my $html = Kura::slurp($page);
	like($html, qr/PASSED/, 'the verdict');
	like($html, qr/A\. Person &amp; &lt;Co&gt;/, 'what is quoted');
	like($html, qr/not tested/, 'what was not tested');
	unlike($html, qr/(?:src|href)=|<script|url\(/i, 'it stands alone');
	ok(index($html, 'PASSED') < index($html, 'RPO'), 'the verdict first');
	my $shown = $site->json('drill', 'show', $last->{id});
	is($shown->{drill}{id}, $last->{id}, 'as JSON');
};

subtest 'tampering is found' => sub {
	my @all = @{ reports() };
	my $path = mark($all[1]{id});
	my $good = Kura::slurp($path);
	my $faults = sub {
		my ($status, $out) = $site->pgkura('drill', 'list', 'main', '--json');
		my %fault = map { $_->{id} => $_->{chain} }
		    grep { $_->{chain} ne 'sound' }
		    @{ JSON::PP::decode_json($out)->{reports} };
		return ($status, \%fault);
	};

	(my $bad = $good) =~ s/"result":"(\w+)"/"result":"passed "/;
	isnt($bad, $good, 'a report is changed');
	Kura::write_file($path, $bad);
	my ($status, $fault) = $faults->();
	is($status, 3, 'list says damage');
	$site->pgkura_fails('verify finds it, too', 3, qr/damaged/, 'verify',
		'main');
	like($fault->{ $all[1]{id} }, qr/signature/, 'its signature is wrong');
	like($fault->{ $all[2]{id} }, qr/not what it was/, 'the next misses it');

	unlink($path) or die;
	($status, $fault) = $faults->();
	is($status, 3, 'one is taken away');
	like($fault->{ $all[2]{id} }, qr/\Q$all[1]{id}\E.*missing/,
		'the next misses it');

	Kura::write_file($path, $good);
	($status, $fault) = $faults->();
	is($status, 0, 'put back it is sound') || diag(explain($fault));

	my $end = mark($all[-1]{id});
	my $kept = Kura::slurp($end);
	unlink($end) or die;
	($status, $fault) = $faults->();
	is($status, 3, 'the last is taken away');
	like($fault->{ $all[-1]{id} }, qr/missing/, 'this site misses it');
	Kura::write_file($end, $kept);

	my $copy = $all[0]{id} =~ s/.{4}$/ffff/r;
	my $folder = mark($all[0]{id}) =~ s{/[^/]+/1$}{/$copy}r;
	mkdir $folder or die;
	Kura::write_file("$folder/1", Kura::slurp(mark($all[0]{id})));
	($status, $fault) = $faults->();
	is($status, 3, 'one is doubled');
	unlink("$folder/1");
	rmdir $folder;
};

subtest 'a broken copy' => sub {
	for my $pack (glob($site->repo . '/main/*/packs/*/*')) {
		open(my $f, '+<', $pack) or die "$pack: $!";
		seek($f, int((-s $pack) / 3), 0);
		print {$f} "\xff" x 4096;
		close($f);
	}
	my ($status, $r) = drill($site);
	is($status, 3, 'it fails');
	is($r->{result}, 'failed', 'and says so');
	my %result = results($r);
	is($result{restore}, 'failed', 'at the files');
	is($result{cleanup}, 'passed', 'and is cleaned up');
	is($r->{rto}{achieved_us}, undef, 'no time is claimed');
	nothing_left($site, 'broken');
};

$receiver->kill('TERM');
done_testing();
