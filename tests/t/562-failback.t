#!/usr/bin/perl
# Both sites went on after a failover: the histories are shown, nothing gives way
# without an order; then the old primary's WAL is kept, only blocks that differ are
# written, and it follows; then the roles go home.  PA11, PA12, PG6.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $dir = Kura::tempdir();

Kura::write_file("$dir/hook", "#!/bin/sh\nenv >$dir/env\n");
chmod(0755, "$dir/hook");

# Transactions are counted: only ours.  A slow machine is not silent.
my $r = Kura::Roles->new(major => $major, conf => { autovacuum => 'off' },
	peer => { beat_interval => '500ms', beat_misses => 10 },
	tokyo => { promote_hook => "$dir/hook" });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);

$r->grow_apart;

# WAL of the new timeline comes here.
$r->wait_there('osaka', 'tokyo');

# As if nothing of it had come here yet: then nobody knows what tokyo has alone.
my @new = split /\n/, (Kura::run('find', $tokyo->repo, '-name', '*00000002*',
		'-type', 'f', '-path', '*wal*'))[1];
cmp_ok(scalar @new, '>=', 1, 'the new timeline is here');
rename($_, "$_.aside") for @new;
my ($early, undef, $why) = $tokyo->pgkura('failback', 'main', '--yes');
rename("$_.aside", $_) for @new;
isnt($early, 0, 'no failback before it is');
like($why, qr/timeline of the new primary has not come here yet/, 'it says why');
$tokyo->pgkura_fails('diverged histories give way to nobody without an order', 1,
	qr/have diverged at .*2 transactions that the other site lacks/,
	'failback', 'main', '--yes');
$tokyo->pgkura_fails('nor does a restore start a second one', 1,
	qr/is a standby of cluster "main": a server that takes writes may not start/,
	'restore', 'main', '--to=' . $r->primary->pgdata, '--delta', '--take-over',
	'--start');
ok(!$r->writes('tokyo'), 'nothing was started');

# ---- with an order ----

my $out = $tokyo->pgkura_ok('failback with an order', 'failback', 'main',
	'--give-way', '--yes');
my ($written, $kept) = $out =~ /(\d+) blocks written, (\d+) kept/;
ok(defined $written && $written < $kept,
	'writes only blocks that differ') or diag($out);
note($out);
$r->wait_for('the old primary following', sub {
	my ($status, $rows) = $r->primary->psql_try(
		'SELECT coalesce(max(a), 0) || \' of \' || count(*) FROM t');
	return $status == 0 && $rows eq '15 of 15';
}, 120);
ok(1, 'PG6: it follows the new history, with what was written there');
is($r->primary->psql('SELECT count(*) FROM t WHERE a > 1000'), '0',
	'PG6: what only it had has left the cluster');
my $wal = $tokyo->json('wal', 'list', 'main');
ok((grep { $_->{timeline} == 1 } @{ $wal->{spans} }),
	'and is kept as WAL of the old timeline') or diag(explain($wal));
$r->one_writer('afterwards');

# ---- and all is as before ----

$r->insert($r->standby);
$r->wait_promotable('tokyo');
$tokyo->pgkura_ok('PA12: home with one command, right after the failback',
	'switchover', 'main', '--to=tokyo',
	'--yes')
    or diag($r->events('tokyo'), $r->events('osaka'));
$r->wait_server('tokyo');
is($r->rows($r->primary), '16 of 16',
	'PA12, PG6: with all that was written at the other site');
$r->one_writer('at home');
unlike(Kura::slurp("$dir/env"), qr/REJOIN/,
	'the order to give way was for that failback alone');
$r->sites->stop($_) for qw(tokyo osaka);
done_testing();
