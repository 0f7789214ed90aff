#!/usr/bin/perl
# Backups and WAL streams over TLS.  A record may be larger than what libpq reads
# at once, so that bytes wait in OpenSSL while the socket has none: no stream may
# hang for that.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;

plan skip_all => 'no PostgreSQL here' if !Kura::servers();
my ($status) = Kura::run('openssl', 'version');
plan skip_all => 'no openssl here' if $status != 0;

sub with_tls
{
	my ($major) = @_;
	my $c = Kura::Cluster->new(major => $major, tcp => 1,
		init => { wal_segsize => 1 }, conf => { wal_keep_size => '300MB' });

	Kura::run(Kura::as_user('openssl', 'req', '-new', '-x509', '-days', '2',
		'-nodes', '-subj', '/CN=localhost', '-newkey', 'rsa:2048',
		'-keyout', $c->pgdata . '/server.key',
		'-out', $c->pgdata . '/server.crt'));
	chmod(0600, $c->pgdata . '/server.key');
	$c->append_conf('ssl = on');
	Kura::write_file($c->pgdata . '/pg_hba.conf',
		"local all all trust\nhostssl all all 127.0.0.1/32 trust\n"
		    . "hostssl replication all 127.0.0.1/32 trust\n");
	return eval { $c->start } ? $c : undef;
}

for my $major (Kura::servers()) {
	subtest "PostgreSQL $major" => sub {
		my $c = with_tls($major);
		plan skip_all => 'it has no TLS' if !$c;
		my $info = $c->conninfo(host => '127.0.0.1', sslmode => 'require');
		my ($status, $out, $err) = Kura::run({ timeout => 60 },
			Kura::program('pgbackup'), 'parse', $info);
		is($status, 0, 'a backup') or diag("$out$err");
		my $facts = Kura::facts($out);
		cmp_ok($facts->{bytes}, '>', 20e6, 'of all the bytes');

		my $start = $c->lsn;
		my $p = Kura::spawn(Kura::program('pgwal'), 'stream', $info,
			$start, 1, '-', '-');
		$c->pgbench('-i', '-q', '-s', '2');
		$c->psql('INSERT INTO pgbench_history(filler) VALUES (NULL)');
		my $end = $c->lsn;
		ok($c->wait_for("SELECT flush_lsn >= '$end'
			FROM pg_stat_replication", 20), 'a stream');
		$p->kill('TERM');
		$p->wait;
		my $again = Kura::driver('pgwal', 'stream', $info, $start, 1, '-',
			$end);
		is($again->{status}, 0, 'all of it at once');
		$facts = Kura::driver('pgsession', 'identify',
			$c->conninfo(host => '127.0.0.1', sslmode => 'disable'));
		like($facts->{hint}, qr/"host replication postgres 127/,
			'without TLS it is refused') or diag(explain($facts));
		$facts = Kura::driver('pgsession', 'identify',
			$c->conninfo(host => '127.0.0.1', sslmode => 'verify-full'));
		is($facts->{error}, 'usage', $facts->{text} // 'a name');
		$c->stop('immediate');
	};
}

done_testing();
