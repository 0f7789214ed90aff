#!/usr/bin/perl
# Sessions with servers of each version: what they tell, and what a failure says
# to the operator.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use IO::Select;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(sleep);
use Kura;

plan skip_all => 'no PostgreSQL here' if !Kura::servers();

sub session { return Kura::driver('pgsession', @_); }

# One check of a failure: kind, a part of the text and of the hint.
sub fails
{
	my ($facts, $kind, $text, $hint, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(($facts->{error} // '') eq $kind && $facts->{text} =~ $text
		    && $facts->{hint} =~ $hint, $name)
	    or diag(explain($facts));
	return;
}

sub answers
{
	my ($c, $major) = @_;
	my $info = $c->conninfo;
	my $id = session('identify', $info);

	is($id->{major}, $major, 'major version');
	is($id->{version}, $c->psql('SHOW server_version_num'), 'version');
	is($id->{system_id}, $c->psql(
		'SELECT system_identifier FROM pg_control_system()'),
		'system identifier');
	is($id->{timeline}, 1, 'timeline');
	like($id->{flush_lsn}, qr{^0/[0-9A-F]+$}, 'position');
	is($id->{where}, $c->conninfo =~ s/ user.*//r . ' user=postgres',
		'where');
	is(session('show', $info, 'data_checksums')->{value}, 'on', 'SHOW');
	is(session('bytes', $info, 'wal_segment_size', 1)->{value}, 2 << 20,
		'SHOW of 2MB');
	is(session('bytes', $info, 'block_size', 1)->{value}, 8192,
		'SHOW of a bare number');
	is(session('bytes', $info, 'shared_buffers', 8192)->{value}, 16 << 20,
		'SHOW of a number of blocks');
	fails(session('show', $info, 'nonsense'), 'not_found', qr/nonsense/, qr//,
		'SHOW of nothing');
	my $uri = 'postgresql://postgres@/?host=' . $c->dir . '&port=' . $c->port;
	is(session('identify', $uri)->{major}, $major, 'by a URI');
	fails(session('history', $info, 1), 'not_found', qr/timeline 1/, qr//,
		'timeline 1 has no history');
	return;
}

sub slots
{
	my ($c, $major) = @_;
	my $info = $c->conninfo;
	my $known = $major >= 15 ? 1 : 0;

	my $read = session('slot', $info, 'read', 'one');
	is($read->{known}, $known, 'what is known of a slot');
	is($read->{exists}, 0, 'it is not there');
	is(session('slot', $info, 'create', 'one')->{status}, 0, 'created');
	$read = session('slot', $info, 'read', 'one');
	is($read->{exists}, $known, 'it is there');
	if ($known) {
		is($read->{restart_lsn}, $c->psql(
			q{SELECT restart_lsn FROM pg_replication_slots}),
			'and reserves WAL');
		is($read->{restart_timeline}, 1, 'of this timeline');
	}
	fails(session('slot', $info, 'create', 'one'), 'conflict',
		qr/already exists/, qr//, 'not created twice');
	is(session('slot', $info, 'drop', 'one')->{status}, 0, 'dropped');
	fails(session('slot', $info, 'drop', 'one'), 'not_found',
		qr/does not exist/, qr//, 'not dropped twice');
	is(session('slot', $info, 'temporary', 'two')->{exists}, $known,
		'a temporary one');
	Kura::wait_until(sub {
		$c->psql('SELECT count(*) FROM pg_replication_slots') eq '0' });
	is($c->psql('SELECT count(*) FROM pg_replication_slots'), '0',
		'goes with its session');
	fails(session('slot', $info, 'create', 'No"Name'), 'usage',
		qr/no name/, qr/lower case/, 'a name that would have to be quoted');
	return;
}

sub queries
{
	my ($c) = @_;
	my $info = $c->conninfo;

	is(session('sql', $info, q{SELECT 'a' || current_database()})->{value},
		'apostgres', 'a value');
	is(session('sql', $info, 'SELECT NULL')->{found}, 0, 'null');
	is(session('sql', $info, 'SELECT 1 WHERE false')->{found}, 0, 'no row');
	is(session('sql', $info, 'SHOW search_path')->{value}, '',
		'nobody can put functions in our way');
	is(session('sql', $info, 'SELECT 1/0')->{sqlstate}, '22012', 'SQLSTATE');
	return;
}

# ---- who may come in ----

sub doors
{
	my ($c, $major) = @_;
	my $as = sub { return $c->conninfo(user => $_[0], @_[1 .. $#_]) };

	$c->psql(q{SET password_encryption = 'scram-sha-256';
		CREATE ROLE good LOGIN REPLICATION PASSWORD 'right';
		CREATE ROLE plain LOGIN;
		CREATE ROLE closed REPLICATION;
		CREATE ROLE keyed LOGIN REPLICATION PASSWORD 'right';
		CREATE ROLE single LOGIN REPLICATION CONNECTION LIMIT 0});
	$c->append_hba('local replication keyed scram-sha-256',
		'local all keyed scram-sha-256', 'local replication barred reject',
		'local replication unlisted2 peer');
	$c->psql('CREATE ROLE unlisted2 LOGIN REPLICATION');
	$c->reload;
	is(session('identify', $as->('good'))->{status}, 0,
		'REPLICATION is all that is needed');
	fails(session('identify', $as->('plain')), 'usage', qr/42501/,
		qr/ALTER ROLE "plain" REPLICATION/, 'without REPLICATION');
	fails(session('identify', $as->('nobody_')), 'usage',
		qr/"nobody_" does not exist.*28000/, qr/CREATE ROLE "nobody_"/,
		'no such role');
	fails(session('identify', $as->('closed')), 'usage', qr/log in/,
		qr/ALTER ROLE "closed" LOGIN/, 'without LOGIN');
	fails(session('identify', $as->('barred')), 'usage', qr/rejects/,
		qr/"reject" line/, 'a reject line');
	fails(session('identify', $as->('unlisted2')), 'usage', qr/Peer auth/,
		qr/operating system user named "unlisted2"/, 'peer');

	my $pass = Kura::tempdir() . '/pass';
	Kura::write_file($pass, "*:*:replication:keyed:wrong\n");
	chmod 0600, $pass;
	my $info = $as->('keyed', passfile => $pass);
	fails(session('identify', $info), 'usage', qr/28P01/, qr/\.pgpass/,
		'a wrong password');
	Kura::write_file($pass, "*:*:other:keyed:right\n");
	fails(session('identify', $info), 'usage', qr/no password supplied/,
		qr/:replication:keyed:PASSWORD/, 'no password');
	Kura::write_file($pass, "*:*:replication:keyed:right\n");
	is(session('identify', $info)->{status}, 0,
		'the right one is found under "replication"');

	fails(session('sql', $as->('good', dbname => 'none_'), 'SELECT 1'), 'usage',
		qr/"none_" does not exist.*3D000/, qr/dbname=/, 'no such database');
	fails(session('sql', $as->('single'), 'SELECT 1'), 'transient',
		qr/53300/, qr/ALTER ROLE "single" CONNECTION LIMIT/,
		'the connection limit of a role');
	return;
}

# pg_hba.conf without a line for replication: the hint is the line.
sub hba
{
	my ($c) = @_;

	Kura::write_file($c->pgdata . '/pg_hba.conf',
		"local all postgres trust\nhost all postgres all trust\n");
	$c->append_conf("max_connections = 5\nsuperuser_reserved_connections = 1\n"
		    . 'max_wal_senders = 2');
	$c->restart;
	$c->psql('CREATE ROLE kura LOGIN REPLICATION');

	fails(session('identify', $c->conninfo(user => 'kura')), 'usage',
		qr/no pg_hba.conf entry for replication/,
		qr/"local replication kura peer"/, 'no line for the socket');
	fails(session('identify',
			$c->conninfo(user => 'kura', host => '127.0.0.1',
				sslmode => 'disable')), 'usage',
		qr/no pg_hba.conf entry for replication/,
		qr{"host replication kura 127.0.0.1/32 scram-sha-256"},
		'no line for the address');
	fails(session('sql', $c->conninfo(user => 'kura'), 'SELECT 1'), 'usage',
		qr/no pg_hba.conf entry/, qr/"local postgres kura peer"/,
		'no line for the database');
	$c->append_hba('local all all trust', 'local replication all trust');
	$c->append_conf("max_wal_senders = 0\nwal_level = minimal");
	$c->restart;
	fails(session('identify', $c->conninfo(user => 'kura')), 'usage',
		qr/max_wal_senders"? \(currently 0\)/,
		qr/max_wal_senders = 10 and wal_level = replica/,
		'max_wal_senders = 0');
	my @held = map { $c->psql_spawn('SELECT pg_sleep(60)') } 1 .. 4;
	$c->wait_for(q{SELECT count(*) = 4 FROM pg_stat_activity
		WHERE query LIKE '%sleep(60)' AND pid <> pg_backend_pid()});
	fails(session('sql', $c->conninfo(user => 'kura'), 'SELECT 1'),
		'transient', qr/53300/, qr/max_connections/, 'no connection left');
	$_->kill('KILL') for @held;
	return;
}

# All WAL senders in use, and a server that ends under a session.
sub senders
{
	my ($c) = @_;
	my $wal = Kura::program('pgwal');

	$c->append_conf("max_connections = 20\nwal_level = replica\n"
		    . "max_wal_senders = 1\nmax_replication_slots = 1");
	$c->restart;
	my $p = Kura::spawn($wal, 'stream', $c->conninfo, $c->lsn, 1, '-', '-');

	ok(Kura::wait_until(sub { $p->out =~ /streaming/ }), 'one streams');
	fails(session('identify', $c->conninfo), 'transient',
		qr/max_wal_senders"? \(currently 1\)/, qr/pg_stat_replication/,
		'all senders in use');
	$p->kill('KILL');
	$p->wait;
	$c->wait_for('SELECT count(*) = 0 FROM pg_stat_replication');
	is(session('slot', $c->conninfo, 'create', 'a')->{status}, 0, 'a slot');
	$c->wait_for('SELECT count(*) = 0 FROM pg_stat_replication');
	fails(session('slot', $c->conninfo, 'create', 'b'), 'usage',
		qr/replication slots are in use/, qr/max_replication_slots/,
		'all slots in use');
	my $s = Kura::spawn(Kura::program('pgsession'), 'sql', $c->conninfo,
		'SELECT pg_sleep(60)');
	$c->wait_for(q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE query = 'SELECT pg_sleep(60)'});
	$c->stop('fast');
	isnt($s->wait(10), 0, 'the session ends');
	fails(Kura::facts($s->out), 'transient', qr/57P01/,
		qr/ended the session/, 'with its server');
	return;
}

# A server in recovery that takes no connections yet.
sub starting
{
	my ($c) = @_;

	$c->append_conf("hot_standby = off\nrestore_command = 'sleep 60'");
	Kura::write_file($c->pgdata . '/recovery.signal', '');
	my $p = Kura::spawn(Kura::as_user($c->bindir . '/postgres', '-D',
			$c->pgdata));
	ok(Kura::wait_until(sub {
		(session('identify', $c->conninfo)->{text} // '') =~ /57P03/ }),
		'starting up');
	fails(session('identify', $c->conninfo), 'transient',
		qr/57P03/, qr/replays WAL|its log|Hot standby|log/i,
		'passes by itself');
	$p->kill('QUIT');
	$p->wait;
	return;
}

for my $major (Kura::servers()) {
	subtest "PostgreSQL $major" => sub {
		my $c = Kura::Cluster->new(major => $major, tcp => 1,
			init => { checksums => 1, wal_segsize => 2 })->start;
		answers($c, $major);
		slots($c, $major);
		queries($c);
		doors($c, $major);
		hba($c);
		senders($c);
		starting($c);
	};
}

# ---- no server at all ----

my $empty = Kura::tempdir();
my $port = Kura::free_port();
fails(session('identify', "host=$empty"), 'transient',
	qr/No such file or directory/, qr/folder of its socket/, 'no socket');
fails(session('identify', "host=127.0.0.1 port=$port"), 'transient',
	qr/Connection refused/, qr/listen_addresses/, 'connection refused');
fails(session('identify', 'host=does-not-exist.invalid'), 'transient',
	qr/could not translate host name/, qr/name service/, 'no such host');

# It takes connections, and says nothing.
my $dead = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 50)
    or die "no socket: $!\n";
my $hole = 'host=127.0.0.1 port=' . $dead->sockport;
fails(session('identify', "$hole connect_timeout=2"), 'transient',
	qr/timed out after 2 s/, qr/firewall/, 'a silent server');

# Once it is connected it has said what a signal does.
my $knocks = IO::Select->new($dead);
$dead->accept while $knocks->can_read(0);
my $p = Kura::spawn(Kura::program('pgsession'), 'identify',
	"$hole connect_timeout=600");
ok($knocks->can_read(60), 'it waits for an answer');
$p->kill('TERM');
is($p->wait(60), 1, 'a signal ends the wait');
is(Kura::facts($p->out)->{error}, 'canceled', 'and says so');

my $c = Kura::Cluster->new(tcp => 1)->start;
my $several = 'host=127.0.0.1,127.0.0.1,' . $c->dir . ' port='
    . $dead->sockport . ",$port," . $c->port
    . ' user=postgres connect_timeout=2';
is(session('identify', $several)->{status}, 0,
	'the host that answers is found behind a silent one');

my $web = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5)
    or die "no socket: $!\n";
my $web_pid = fork() // die "no fork: $!\n";
if ($web_pid == 0) {
	my $client = $web->accept;
	print {$client} "HTTP/1.1 400 Bad Request\r\n\r\n";
	$client->flush;
	sleep(1);
	POSIX::_exit(0);
}
fails(session('identify',
		'host=127.0.0.1 sslmode=disable gssencmode=disable port='
		    . $web->sockport), 'usage',
	qr/expected authentication request/, qr/no PostgreSQL server/,
	'another server');
waitpid($web_pid, 0);

# ---- settings that cannot be read ----

fails(session('identify', 'host=a pasword=secret1'), 'usage',
	qr/invalid connection option "pasword"$/, qr/host=db1/,
	'a word that libpq does not know');
for my $leak ('host=a secret1', "host=a password='secret1",
	'postgresql://u:secret1%zz@a', 'postgresql://u@a/x?secret1',
	'postgresql://[secret1', 'postgresql://u:secret1@[::1/') {
	my $facts = session('identify', $leak);
	ok(($facts->{error} // '') eq 'usage' && $facts->{text} !~ /secret1/,
		"no secret in: $facts->{text}");
}

done_testing();
