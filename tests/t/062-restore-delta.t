#!/usr/bin/perl
# Restore over what is there: only blocks that differ are written, what does not
# belong there goes, WAL of a dead server is saved; and a restore that was cut
# off, or whose backup is damaged, leaves nothing that starts.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;

plan skip_all => 'no PostgreSQL here' unless Kura::servers();

# One whose pg_verifybackup is here, if any.
my ($major) = grep { -x "/usr/lib/postgresql/$_/bin/pg_verifybackup" }
    reverse Kura::servers();
my $primary = Kura::Cluster->new(name => 'primary',
	major => $major // (Kura::servers())[-1],
	init => { checksums => 1 },
	conf => { autovacuum => 'off', max_wal_size => '1GB' })->start;
my $site = Kura::Site->new;
my $dir = Kura::tempdir();
my $to = "$dir/data";

$primary->psql(<<'END');
CREATE TABLE t AS SELECT n, repeat(md5(n::text), 20) AS x
FROM generate_series(1, 50000) n;
CREATE INDEX ON t (n);
CHECKPOINT
END
my $table = $primary->psql("SELECT pg_relation_filepath('t')");
$site->cluster('main', conninfo => $primary->conninfo, slot => 'none');
$site->pgkura_ok('init', 'init');
$site->pgkura_ok('backup', 'backup', 'main');

sub verified
{
	my ($name) = @_;
	my $verify =
	    '/usr/lib/postgresql/' . $primary->major . '/bin/pg_verifybackup';
	my ($status, $out, $err) = (0, '', '');

	($status, $out, $err) = Kura::run(Kura::as_user($verify, '-n', $to))
	    if -x $verify;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($status == 0, "$name: as in the backup") || diag($out . $err);
}

# Flip bytes of a file at these blocks.
sub spoil
{
	my ($file, @blocks) = @_;

	open(my $fh, '+<', "$to/$file") or die "$to/$file: $!";
	for my $block (@blocks) {
		seek($fh, $block * 8192 + 4000, 0);
		print $fh 'spoiled';
	}
	close($fh) or die "$to/$file: $!";
	return;
}

sub delta
{
	my (@words) = @_;

	return $site->json('restore', 'main', "--to=$to", '--delta', @words);
}

subtest 'blocks' => sub {
	my $first = $site->json('restore', 'main', "--to=$to");
	verified('a fresh one');
	my $r = delta();
	is($r->{written_blocks}, 0, 'nothing differs');
	verified('over itself');

	spoil($table, 0, 1, 2, 700, 1500);
	Kura::append_file("$to/PG_VERSION", "16\n");
	$r = delta();
	is($r->{written_blocks}, 5, 'as many as were spoiled');
	is($r->{kept_blocks} + $r->{written_blocks},
		$first->{written_blocks}, 'the others are kept');
	verified('spoiled blocks');

	truncate("$to/$table", 100 * 8192 + 5) or die;
	Kura::append_file("$to/global/1262", 'x' x 20000);
	unlink("$to/base/1/1259") or die;
	$r = delta();
	verified('files of wrong length, and one that was gone');

	open(my $fh, '+<', "$to/$table") or die;
	seek($fh, 0, 0);
	print $fh "\0" x (64 * 8192);
	close($fh) or die;
	$r = delta();
	is($r->{written_blocks}, 64, 'a long run of different blocks');
	verified('a long run');
};

subtest 'what does not belong there' => sub {
	my $elsewhere = Kura::tempdir();
	Kura::write_file("$elsewhere/precious", "keep\n");
	Kura::run(Kura::as_user('sh', '-c', <<"END"));
cd $to && mkdir -p base/9/deep pg_wal/archive_status &&
touch base/1/424242 base/9/deep/x postmaster.opts pg_wal/000000010000000000000009 &&
touch pg_wal/archive_status/x.ready &&
echo 99999 >postmaster.pid &&
ln -s $elsewhere linked && rm base/1/1247 && ln -s $elsewhere/precious base/1/1247
END
	delta();
	verified('strange files and links');
	ok(-f "$to/base/1/1247" && !-l "$to/base/1/1247", 'a link is a file again');
	ok(!-e "$to/postmaster.pid", 'a stale postmaster.pid is gone');
	is(join(' ', glob("$to/pg_wal/0*")), '', 'old WAL is gone');
	is(Kura::slurp("$elsewhere/precious"), "keep\n",
		'what links led to is as it was');

	my $wal = Kura::tempdir();
	Kura::run(Kura::as_user('sh', '-c', "rm -r $to/pg_wal && "
		    . "ln -s $wal $to/pg_wal && touch $wal/000000010000000000000009"));
	delta();
	is(readlink("$to/pg_wal"), $wal, 'pg_wal on another disk stays there');
	is(join(' ', glob("$wal/0*")), '', 'and is empty');
	Kura::run(Kura::as_user('sh', '-c', "rm -r $to/pg_wal; mkdir -m 700 $to/pg_wal"));
};

subtest 'cut off' => sub {
	my $starts = sub {
		my $c = $site->restored(of => $primary, to => $to);
		return $c->start_fails ? undef : $c;
	};
	my @moments = (0, 0.01, 0.03, 0.08, 0.15);
	my $cut = 0;

	for my $seconds (@moments) {
		for my $words ([], ['--delta']) {
			Kura::run('rm', '-rf', $to) if !@$words;
			spoil($table, 0 .. 999) if @$words && -e "$to/$table";
			my $before = @$words && -e "$to/$table"
			    ? Kura::slurp("$to/$table") : '';
			my $p = Kura::spawn(
				$site->words('restore', 'main', "--to=$to", @$words));
			select(undef, undef, undef, 0.001)
			    while $p->alive && !-e "$to/pgkura.restore";
			select(undef, undef, undef, $seconds);
			$p->kill('KILL');
			my $status = $p->wait(30);
			next if $status == 0 || !-e "$to/pgkura.restore";
			$cut++;
			ok(!-e "$to/global/pg_control"
				|| (@$words && Kura::slurp("$to/$table") eq $before),
				"killed $seconds s after it had begun: no pg_control,"
				    . ' or nothing is changed')
			    or diag("@$words");
			delta();
			verified('completed by --delta');
		}
	}
	cmp_ok($cut, '>', 0, "$cut were cut off");

	Kura::run('rm', '-rf', $to);
	$site->json('restore', 'main', "--to=$to");
	Kura::run(Kura::as_user('mv', "$to/global/pg_control",
			"$to/global/pg_control.pgkura"));
	ok(!$starts->(), 'without its name no server starts on it');
	delta();
	my $c = $starts->();
	ok($c, 'completed, it starts');
	is($c->psql('SELECT count(*) FROM t'), '50000', 'with all rows');
	$c->stop;
};

subtest 'a damaged backup' => sub {
	my ($pack) = glob($site->repo . '/main/*/packs/*/*');
	my $bytes = Kura::slurp($pack);

	Kura::run('rm', '-rf', $to);
	rename($pack, "$pack.gone") or die;
	$site->pgkura_fails('a pack is missing', 3, qr/pack .* is missing/,
		'restore', 'main', "--to=$to");
	ok(!-e $to, 'nothing is made');
	Kura::write_file($pack, substr($bytes, 0, length($bytes) - 5000));
	Kura::run('chown', Kura::user(), $pack) if $< == 0;
	$site->pgkura_fails('a pack is cut off', 3, qr/pack .* is cut off/,
		'restore', 'main', "--to=$to");
	ok(!-e $to, 'nothing is made');
	unlink($pack) or die;

	my $at = int(length($bytes) / 2);
	substr($bytes, $at, 100) = 'x' x 100;
	Kura::write_file($pack, $bytes);
	Kura::run('chown', Kura::user(), $pack) if $< == 0;
	$site->pgkura_fails('a pack is damaged', 3, qr/frame \d+ is damaged/,
		'restore', 'main', "--to=$to");
	ok(!-e "$to/global/pg_control", 'what was begun cannot start');
	unlink($pack) or die;
	rename("$pack.gone", $pack) or die;
	delta();
	verified('with the pack whole again');
};

subtest 'a dead server' => sub {
	my $receiver = $site->receive('main');

	$primary->psql('CREATE TABLE late (n int)');
	$primary->psql("INSERT INTO late VALUES ($_)") for 1 .. 3;
	$site->wait_wal('main', $primary->lsn);
	$receiver->kill('TERM');
	$receiver->wait(30);
	# What nobody received: over the end of a segment, too.
	$primary->psql("INSERT INTO late VALUES ($_)") for 4 .. 5;
	$primary->psql('SELECT pg_switch_wal()');
	$primary->psql("INSERT INTO late VALUES ($_)") for 6 .. 7;
	$primary->kill9;
	spoil($table, 1);

	my $there = $site->json('wal', 'list', 'main')->{spans}[-1]{end_lsn};
	my $r = $site->json('restore', 'main', '--to=' . $primary->pgdata,
		'--delta', '--take-over');
	like($r->{salvaged}, qr/^\d+ segments?/, 'WAL was saved');
	isnt($site->json('wal', 'list', 'main')->{spans}[-1]{end_lsn}, $there,
		'it is in the archive');
	cmp_ok($r->{kept_blocks}, '>', 1000, 'most blocks were kept');
	$primary->start;
	$primary->wait_for('SELECT NOT pg_is_in_recovery()');
	is($primary->psql("SELECT string_agg(n::text, ' ' ORDER BY n) FROM late"),
		'1 2 3 4 5 6 7', 'not a transaction is lost');
	is($primary->psql('SELECT count(*) FROM t'), '50000', 'nor any row');
};

done_testing();
