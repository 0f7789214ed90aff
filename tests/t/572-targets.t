#!/usr/bin/perl
# Sites that a cluster goes to come and go while it is written to: RK10, PA24 (a
# second one is added), RK11, PA25 (one is removed), PA9 (one is made anew), PG7
# (the first site is lost, the next takes over, is lost, and the one after it
# takes over).

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Sites;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $primary = Kura::Cluster->new(major => $major, name => 'main',
	init => { checksums => 1 },
	conf => { max_slot_wal_keep_size => '1GB' })->start;
my $sites = Kura::Sites->new(
	peer => { beat_interval => '500ms', beat_misses => 6 });
my ($tokyo, $osaka) = map { $sites->site($_) } qw(tokyo osaka);
my %main = (conninfo => $primary->conninfo, fast_checkpoint => 'yes',
	keep_backups => 1, keep_age => '0s', expire_grace => '0s');

$tokyo->cluster('main', %main, replicate_to => 'osaka');
$osaka->cluster('main', accept_from => 'tokyo');
$primary->psql('CREATE TABLE t (n serial, at timestamptz DEFAULT now())');
$sites->start;
$sites->wait_link('tokyo', 'osaka');

sub there
{
	my ($what, $from, $to, $server) = @_;
	my $lsn = $server->psql('SELECT pg_current_wal_flush_lsn()');

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($sites->wait_committed('main', $from, $to, $lsn, 120), $what)
	    || diag($sites->daemon($from)->err, $sites->daemon($to)->err);
}

sub backups
{
	my ($site) = @_;
	my ($status, $out) = $site->pgkura('list', 'main', '--json');

	my @found = $status != 0 ? ()
	    : map { $_->{backup} } @{ JSON::PP::decode_json($out)->{backups} };

	return @found;
}

sub has_backup
{
	my ($what, $site) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(Kura::wait_until(sub { return backups($site) > 0 }, 120), $what);
}

# Also when something is not normal.
sub status
{
	return JSON::PP::decode_json(($tokyo->pgkura('status', '--json'))[1]);
}

# Processes of the first site, which are to be the same ever after.
sub processes
{
	my %is = map { ($_->{duty} . ($_->{cluster} // '')) => $_->{pid} }
	    @{ status()->{duties} };

	return join ' ', $sites->daemon('tokyo')->pid,
	    map { $_ => $is{$_} // 'none' } @_;
}

# Commits go on all the time; each has its own session, as after a failover.
my $stop = Kura::tempdir() . '/stop';
my $load = Kura::spawn(Kura::as_user('sh', '-c',
	"until test -e $stop; do " . Kura::client('psql') . " -qX -d '"
	    . $primary->conninfo . "' -c 'INSERT INTO t DEFAULT VALUES' || exit 1;"
	    . ' sleep 0.3; done'));

$tokyo->json('backup');
has_backup('the first target has a backup', $osaka);
there('and all WAL', 'tokyo', 'osaka', $primary);

# ---- one more ----

my @first = qw(receivemain courierosaka archive);
my $before = processes(@first);
my $naha = $sites->add('naha');
$naha->cluster('main', accept_from => 'tokyo, osaka');
$naha->pgkura_ok('the new site accepts', 'reload');
$tokyo->cluster('main', %main, replicate_to => 'osaka, naha');
$tokyo->pgkura_ok('RK10: a second target is added by configuration and reload',
	'reload');
has_backup('RK10: it gets the backup', $naha);
there('RK10: and all WAL, while commits go on', 'tokyo', 'naha', $primary);
is(processes(@first), $before,
	'RK10: the daemon, the receiver and the first target\'s courier are the same');
there('RK10: to which WAL goes on', 'tokyo', 'osaka', $primary);
ok($load->alive, 'PA24: no commit failed') or diag($load->err);

# ---- one is made anew ----

$sites->stop('naha');
Kura::run('rm', '-r', $naha->repo);
$naha->pgkura_ok('PA9: a target that lost all', 'init');
$sites->start_daemon('naha');
has_backup('PA9: gets the backup again', $naha);
there('PA9: and all WAL', 'tokyo', 'naha', $primary);
$naha->pgkura_ok('PA9: it is whole', 'verify');
is(processes(@first), $before, 'PA9: without effect on the others');
ok($load->alive, 'PA9: no commit failed') or diag($load->err);

# ---- one less ----

$sites->stop('osaka');
my $old = (backups($osaka))[-1];
my @new = map { $tokyo->json('backup')->{backup} } 1, 2;
ok(Kura::wait_until(sub { return grep { $_ eq $new[1] } backups($naha) }, 120),
	'new backups come to the target that is there');
$tokyo->json('expire');
is(join(' ', backups($tokyo)), "@new", 'what the other lacks is pinned for it');
my @rest = qw(receivemain couriernaha archive);
$before = processes(@rest);
my $slots = $primary->psql('SELECT slot_name, active FROM pg_replication_slots');
$tokyo->cluster('main', %main, replicate_to => 'naha');
$tokyo->pgkura_ok('RK11: a target is removed by configuration and reload',
	'reload');
# One may be on its way to the other target still, and is in use.
ok(Kura::wait_until(sub {
	$tokyo->json('expire');
	return join(' ', backups($tokyo)) eq $new[1];
}), 'RK11: nothing is pinned for it any more')
    or diag(explain($tokyo->json('expire', '--dry-run')));
is($primary->psql('SELECT slot_name, active FROM pg_replication_slots'), $slots,
	'RK11: the database has the slot of the receiver, as before');
there('RK11: the other target goes on', 'tokyo', 'naha', $primary);
is(processes(@rest), $before, 'PA25: by the same processes: no outage');
ok($load->alive, 'PA25: no commit failed') or diag($load->err);
delete $tokyo->{peers}{osaka};
$tokyo->write_conf;
$tokyo->pgkura_ok('RK11: and the site is forgotten', 'reload');
ok(Kura::wait_until(sub { return ($tokyo->pgkura('status'))[0] == 0 }),
	'RK11: all is well without it')
    or diag(($tokyo->pgkura('status'))[1]);
unlike(($tokyo->pgkura('status'))[1], qr/osaka/, 'RK11: status does not name it');
is((backups($osaka))[-1], $old, 'RK11: what the removed target has stays there');

# ---- and it comes back ----

$sites->acquaint('tokyo', 'osaka');
$tokyo->cluster('main', %main, replicate_to => 'osaka, naha');
$tokyo->pgkura_ok('it is added again', 'reload');
$osaka->cluster('main', accept_from => 'tokyo', replicate_to => 'naha');
$sites->start_daemon('osaka');
ok(Kura::wait_until(sub { return grep { $_ eq $new[1] } backups($osaka) }, 120),
	'RK10: a target that was away gets what it lacks')
    or diag($sites->daemon('osaka')->err);
there('RK10: up to now', 'tokyo', 'osaka', $primary);
is(processes(@rest), $before, 'RK10: still the same processes');

# ---- one after the other ----

Kura::write_file($stop, '');
is($load->wait(30), 0, 'no commit failed in all that') or diag($load->err);
my $rows = $primary->psql('SELECT count(*) FROM t');
there('PG7: all sites have all', 'tokyo', $_, $primary) for qw(osaka naha);

# What a site does that takes over without a standby, by the runbook.
sub take_over
{
	my ($name, $site, $to) = @_;
	my $dir = $site->dir . '/taken';
	my $server;

	$site->pgkura_ok("PG7: $name restores", 'restore', 'main', "--to=$dir");
	$server = $site->restored(of => $primary, to => $dir)->start;
	$server->wait_for('SELECT NOT pg_is_in_recovery()');
	$site->cluster('main', %main, conninfo => $server->conninfo,
		accept_from => join(', ', grep { $_ ne $name } qw(tokyo osaka)),
		defined $to ? (replicate_to => $to) : ());
	$site->pgkura_ok("PG7: its server is the cluster's now", 'reload');
	return $server;
}

$sites->kill9('tokyo');
$primary->kill9;
my $second = take_over('osaka', $osaka, 'naha');
is($second->psql('SELECT count(*) FROM t'), $rows,
	'PG7: tokyo is lost, osaka goes on with all rows');
$second->psql('INSERT INTO t SELECT FROM generate_series(1, 1000)');
there('PG7: what it writes goes to naha', 'osaka', 'naha', $second);

$sites->kill9('osaka');
$second->kill9;
my $third = take_over('naha', $naha);
is($third->psql('SELECT count(*) FROM t'), $rows + 1000,
	'PG7: osaka is lost too, naha goes on with the rows of both');
$third->psql('INSERT INTO t DEFAULT VALUES');
is($third->psql('SELECT timeline_id FROM pg_control_checkpoint()'), '3',
	'PG7: on the third timeline');
$sites->stop('naha');
done_testing();
