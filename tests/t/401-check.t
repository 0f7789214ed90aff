#!/usr/bin/perl
# "pgkura check": each fault is provoked on a real server; the check names it
# and says what to do.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $primary = Kura::Cluster->new(major => $major, name => 'main', tcp => 1,
	conf => { max_slot_wal_keep_size => '1GB' })->start;
$primary->psql('CREATE ROLE kura LOGIN REPLICATION; '
	    . "CREATE ROLE pass LOGIN REPLICATION PASSWORD 'old'; "
	    . 'CREATE ROLE plain LOGIN');
my $site = Kura::Site->new;
my $passfile = $site->dir . '/pgpass';
my $tcp = "host=127.0.0.1 port=" . $primary->port;

sub configure
{
	my (%values) = @_;

	$site->cluster('main',
		conninfo => $primary->conninfo(user => 'kura'), %values);
	return;
}

# The items of a check by "what"; the last one of a name wins.
sub items
{
	my ($status, $out, $err) = $site->pgkura('check', '--json');
	my $all = JSON::PP::decode_json($out)->{clusters}[0];
	my %items = map { $_->{what} => $_ } @{ $all->{items} };

	$items{status} = $status;
	$items{faults} = $all->{faults};
	return \%items;
}

# The one fault that there is.
sub fault_is
{
	my ($name, $what, $found, $remedy) = @_;
	my $i = items();
	my $item = $i->{$what} // { verdict => 'none', found => '' };

	ok($i->{status} == 1 && $i->{faults} == 1
		    && $item->{verdict} eq 'fault'
		    && $item->{found} =~ $found && $item->{remedy} =~ $remedy,
		$name)
	    or diag(explain([ $i->{faults}, $item ]));
	return $i;
}

sub hba
{
	my (@lines) = @_;

	Kura::write_file($primary->pgdata . '/pg_hba.conf',
		join '', map { "$_\n" } @lines);
	$primary->reload;
	$primary->wait_for('SELECT count(*) = ' . scalar(@lines)
		    . ' FROM pg_hba_file_rules');
	select undef, undef, undef, 0.3;
	return;
}

my @trust = ('local all all trust', 'local replication all trust');

# ---- nothing wrong ----

configure();
fault_is('no repository', 'repository', qr/No such file/, qr/pgkura init/);
ok(!-e $site->state . '/sign.key', 'a check makes no key');
$site->pgkura_ok('init', 'init');
my $i = items();
is("$i->{status} $i->{faults}", '0 0', 'a sound set-up has no faults')
    or diag(explain($i));
is($i->{connection}{verdict}, 'ok', 'the connection is tested');
like($i->{connection}{found}, qr/user=kura, without a password/,
	'and how we were let in is shown');
is($i->{clock}{verdict}, 'ok', 'clocks are compared');
is($i->{'pgkura-wal'}{verdict}, 'ok', 'pgkura-wal is found beside pgkura');
is($i->{daemon}{verdict}, 'warning', 'the daemon is missed');
ok(!-e $site->state . '/sign.key', 'a check still makes no key');

my ($status, $out, $err) = $site->pgkura('check', 'main');
like($out, qr/^cluster main\n +CHECK +FOUND\nok +configuration +"/,
	'people get a table');
unlike($out, qr/ $/m, 'without blanks at its end');
unlike($out . $err, qr/FAULT/, 'and no faults');

# ---- RK2: the port ----

my $elsewhere = Kura::free_port();
configure(conninfo => 'host=' . $primary->dir . " port=$elsewhere user=kura",
	pgdata => $primary->pgdata);
$i = fault_is('RK2: nothing listens at that port', 'connection',
	qr/\.s\.PGSQL\.$elsewhere/, qr/port=/);
like($i->{server}{found}, qr/host=\S+ port=@{[$primary->port]}" \(ready\)/,
	'RK2: postmaster.pid says where the server listens');

# ---- RK3: who is let in ----

configure(conninfo => "$tcp user=kura");
hba(@trust, 'host all all 127.0.0.1/32 trust');
$i = fault_is('RK3: no line for replication', 'pg_hba.conf',
	qr/no pg_hba\.conf entry for replication/,
	qr{"host replication kura 127\.0\.0\.1/32 scram-sha-256"});
like($i->{'pg_hba.conf, all'}{found}, qr/"all" lets .* in/,
	'RK3: that "all" does not mean replication is said');
hba(@trust, 'host replication kura 127.0.0.1/32 reject');
fault_is('RK3: a line that rejects', 'pg_hba.conf', qr/rejects/,
	qr/"reject" line/);
hba(@trust, 'host replication kura 127.0.0.1/32 trust');
$i = items();
is("$i->{faults} $i->{clock}{verdict}", '0 note',
	'RK3: replication alone is enough, what it cannot tell is a note');
configure(conninfo => $primary->conninfo(user => 'plain'));
fault_is('RK3: a role without REPLICATION', 'connection', qr/WAL sender|walsender|replication/i,
	qr/ALTER ROLE "plain" REPLICATION/);
configure(conninfo => $primary->conninfo(user => 'nobody_here'));
fault_is('RK3: no such role', 'connection', qr/does not exist/,
	qr/CREATE ROLE "nobody_here"/);

# ---- RK13: passwords ----

hba(@trust, 'host all,replication pass 127.0.0.1/32 scram-sha-256');
Kura::write_file($passfile, "*:*:*:pass:old\n");
my ($uid, $gid) = (stat $site->dir)[ 4, 5 ];
chmod 0600, $passfile;
chown $uid, $gid, $passfile;
configure(conninfo => "$tcp user=pass passfile=$passfile");
$i = items();
is($i->{faults}, 0, 'RK13: the password is right');
like($i->{connection}{found}, qr/with a password/, 'RK13: and was used');
$primary->psql("ALTER ROLE pass PASSWORD 'new'");
fault_is('RK13: the password was changed', 'password',
	qr/password authentication failed for user "pass"/,
	qr/into "\Q$passfile\E".*No reload is needed/);
Kura::write_file($passfile, "*:*:*:pass:new\n");
is(items()->{faults}, 0, 'RK13: the file is read anew');
chmod 0644, $passfile;
$i = items();
is($i->{'password file'}{found}, qq{"$passfile" has mode 0644},
	'RK13: a file that libpq passes over is named');
configure(conninfo => "$tcp user=pass password=wrong");
$site->site();
chmod 0600, $site->conf;
chown $uid, $gid, $site->conf;
fault_is('RK13: a password in the configuration', 'password', qr/failed/,
	qr/password= of conninfo in .*pgkura reload/);
chmod 0644, $site->conf;
$i = items();
like($i->{configuration}{found}, qr/others can read it/,
	'a password that others can read is a fault');

# ---- RK4: rights ----

configure();
for my $case ([ 'state directory', $site->state ], [ 'repository', $site->repo ])
{
	my ($what, $path) = @{$case};

	my $mode = (stat $path)[2] & 07777;
	chmod 0777, $path;
	fault_is("RK4: others can write: $what", $what, qr/mode 0777/,
		qr/chmod go-w \Q$path\E/);
	chmod 0500, $path;
	fault_is("RK4: not writable: $what", $what, qr/Permission denied/,
		qr/must be able to write/);
	chmod $mode, $path;
	SKIP: {
		skip 'only root can give files away', 2 if $< != 0;
		mkdir "$path/made-by-root" or die "mkdir: $!\n";
		fault_is("RK4: root ran it once: $what", $what,
			qr{made-by-root" does not belong},
			qr/chown -R \S+ \Q$path\E/);
		rmdir "$path/made-by-root";
		chown 0, 0, $path;
		fault_is("RK4: of another user: $what", $what,
			qr/belongs to user "root"/, qr/Run this as "root"/);
		chown $uid, $gid, $path;
	}
}
Kura::run(Kura::as_user('mv', $site->state, $site->state . '.old'));
is(items()->{'state directory'}{found},
	'"' . $site->state . '" will be made', 'RK4: one that can be made');
$site->site(state_dir => '/no/such/folder');
fault_is('RK4: one that cannot be made', 'state directory',
	qr/cannot be made/, qr{install -d -o \S+ -m 0700 /no/such/folder});
$site->site(state_dir => $site->state);

# ---- MC1: what a slot may hold back; settings ----

sub set
{
	my (@pairs) = @_;

	$primary->psql("ALTER SYSTEM SET $_") for @pairs;
	$primary->reload;
	select undef, undef, undef, 0.3;
	return;
}

set('max_slot_wal_keep_size = -1');
fault_is('MC1: a slot without a limit', 'max_slot_wal_keep_size',
	qr/fills the server's disk/, qr/slot_unbounded = yes/);
configure(slot_unbounded => 'yes');
is(items()->{max_slot_wal_keep_size}{verdict}, 'note',
	'MC1: which can be accepted');
configure(slot => 'none');
is(items()->{faults}, 0, 'MC1: or goes without a slot');
set("max_slot_wal_keep_size = '1GB'", 'full_page_writes = off');
configure(receive => 'no');
$i = fault_is('no WAL comes at all', 'archive_mode', qr/receive = no/,
	qr/pgkura-wal push %p/);
is($i->{full_page_writes}{verdict}, 'warning', 'torn pages are warned of');
configure(create_slot => 'no');
fault_is('a slot that nobody makes', 'slot', qr/does not exist/,
	qr/create_slot = yes/);
$site->site(min_free_bytes => '1PB');
configure();
fault_is('a full disk', 'repository space', qr/min_free_bytes is 1\.00 PB/,
	qr/expire --dry-run/);
$site->site(min_free_bytes => '0B', socket_group => 'nobodys-group');
fault_is('a group that is not there', 'socket_group', qr/no group/,
	qr/another/);
done_testing();
