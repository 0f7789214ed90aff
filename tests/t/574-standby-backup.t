#!/usr/bin/perl
# Backups are taken of the standby, at the other site.  BR5: the primary is brought
# back to just before a mistake from such a backup, in place; the standby is made
# anew on the new timeline.  BR4: the primary's machine is lost with all that was on
# it; the standby takes over, and a new standby is built from it while it works.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $r = Kura::Roles->new(major => $major);
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);

$osaka->cluster('main', %{ $osaka->{clusters}{main} },
	backup_conninfo => $r->standby->conninfo);
$osaka->pgkura_ok('osaka takes backups of its standby', 'reload');
$r->wait_role('osaka', 'standby');
$r->wait_promotable('osaka');

sub has_backup
{
	my ($what, $site, $id) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(Kura::wait_until(sub {
		return ($site->pgkura('list', 'main', '--json'))[1] =~ /\Q$id\E/;
	}, 120), $what) || diag($r->events('tokyo'), $r->events('osaka'));
}

# ---- BR5 ----

$r->insert($r->primary) for 1 .. 10;
$r->wait_there;
my ($status, $out, $err) = $osaka->pgkura('backup', 'main', '--json');
is($status, 0, 'BR5: a backup is taken of the standby') or diag($err);
my $id = JSON::PP::decode_json($out)->{backup};
my ($b) = grep { $_->{backup} eq $id } @{ $osaka->json('list', 'main')->{backups} };
ok($b->{from_standby}, 'BR5: of the standby indeed');
has_backup('BR5: it comes to the primary\'s site', $tokyo, $id);
$r->insert($r->primary) for 1 .. 10;
my $before = $r->primary->psql('SELECT pg_current_wal_insert_lsn()');
$r->primary->psql('DELETE FROM t');
$r->insert($r->primary);
$r->wait_there;
$tokyo->wait_wal('main', $r->primary->psql('SELECT pg_current_wal_flush_lsn()'));
is($r->rows($r->primary), '21 of 1', 'BR5: a mistake is made, and replicated');

$tokyo->pgkura_ok('BR5: the server is left to the operator', 'maintenance',
	'main', 'on');
$r->wait_state('osaka', 'maintenance');
$r->primary->stop;
$tokyo->pgkura_ok('BR5: the primary is restored in place to before it',
	'restore', 'main', '--to=' . $r->primary->pgdata, "--backup=$id",
	"--lsn=$before", '--exclusive', '--delta');
$r->primary->start;
$r->primary->wait_for('SELECT NOT pg_is_in_recovery()');
is($r->rows($r->primary), '20 of 20', 'BR5: all rows are back, the mistake is not');
$tokyo->pgkura_ok('BR5: the server is watched again', 'maintenance', 'main',
	'off');
is($r->primary->psql('SELECT timeline_id FROM pg_control_checkpoint()'), '2',
	'BR5: on a new timeline');
$r->insert($r->primary);
$r->wait_for('the standby on the new timeline', sub {
	my ($s, $rows) = $r->standby->psql_try(
		'SELECT coalesce(max(a), 0) || \' of \' || count(*) FROM t');
	return $s == 0 && $rows eq '22 of 21';
}, 180);
ok(1, 'BR5: the standby is made anew and has what the primary has');
is($r->standby->psql('SELECT pg_is_in_recovery()'), 't', 'BR5: as a standby');
$r->one_writer('BR5');

# ---- BR4 ----

($status, $out, $err) = $osaka->pgkura('backup', 'main', '--json');
is($status, 0, 'BR4: a backup of the standby') or diag($err);
$id = JSON::PP::decode_json($out)->{backup};
$r->wait_promotable('osaka');
$r->wait_there;
$r->lose('tokyo');
Kura::run('rm', '-r', $r->primary->pgdata, $tokyo->repo);
$r->wait_state('osaka', 'peer silent');
$osaka->pgkura_ok('BR4: the primary\'s machine is lost: failover', 'failover',
	'main', '--allow-data-loss=all', '--yes');
$r->wait_server('osaka');
is($r->rows($r->standby), '22 of 21', 'BR4: the service is back, with all rows');
$r->insert($r->standby);

# The new machine has its configuration and its keys, and no data.
$tokyo->pgkura_ok('BR4: a new machine', 'init');
$r->sites->start_daemon('tokyo');
$r->wait_role('tokyo', 'standby');
my $writes = 0;
$r->wait_for('a standby at tokyo', sub {
	$r->insert($r->standby);
	$writes++;
	my ($s, $of) = $r->primary->psql_try('SELECT pg_is_in_recovery()');
	return $s == 0 && $of eq 't';
}, 240);
ok($writes > 1, 'BR4: a standby is built from the new primary, which works on');
$r->wait_there('osaka', 'tokyo');
$r->wait_promotable('tokyo');
my $rows = $r->rows($r->standby);
$r->wait_for('all rows at tokyo', sub {
	my ($s, $got) = $r->primary->psql_try(
		'SELECT coalesce(max(a), 0) || \' of \' || count(*) FROM t');
	return $s == 0 && $got eq $rows;
});
ok(1, 'BR4: redundancy is back: it has all rows');
$r->one_writer('BR4');
has_backup('BR4: and the backup of the standby is there again', $tokyo, $id);
$tokyo->pgkura_ok('BR4: whole', 'verify', 'main');
$r->sites->stop($_) for qw(tokyo osaka);
done_testing();
