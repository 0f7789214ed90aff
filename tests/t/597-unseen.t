#!/usr/bin/perl
# What an operator must not overlook: a promotion that fails again and again; and what
# pgkurad must not: an old primary that comes back and does not let it in.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;

my $dir = Kura::tempdir();

Kura::write_file("$dir/hook",
	"#!/bin/sh\ntest -e $dir/\$PGKURA_HOOK || { echo no address; exit 1; }\n");
chmod(0755, "$dir/hook");
my $r = Kura::Roles->new(major => $major,
	osaka => { promote_hook => "$dir/hook" });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);

sub role_alarm
{
	my ($name) = @_;

	return (map { $_->{message} } grep { $_->{name} eq 'role' }
		@{ $r->status($name // 'osaka')->{alarms} })[0];
}

$r->insert($r->primary) for 1 .. 3;
$r->wait_there;

# ---- nobody takes writes ----

$r->sites->kill9('tokyo');
$r->wait_state('osaka', 'peer silent');
$osaka->pgkura_fails('a failover', 75, qr/no address/, 'failover', 'main',
	'--allow-data-loss=all', '--yes');
$r->wait_for('an alarm', sub { (role_alarm() // '') =~ /promotion/ });
like(role_alarm(), qr/nothing takes writes: .*no address/,
	'a primary that is not promoted is an alarm, with the reason');
ok(!$r->writes('osaka'), '(nothing is)');
Kura::write_file("$dir/before", '');
$r->wait_server('osaka');
$r->wait_for('another word', sub {
	(role_alarm() // '') =~ /and takes writes: .*hook after/; # once it was looked at
});
like(role_alarm(), qr/and takes writes: .*no address/,
	'one that takes writes, but is not at its end, is another');
like(($osaka->pgkura('role', 'main'))[1], qr/^  the promotion fails: .*no address/m,
	'"role" says so too');
# ---- an old primary that cannot be asked ----

ok($r->writes('tokyo'), '(the old one, cut off, goes on)');
my $hba = $r->primary->pgdata . '/pg_hba.conf';
my $was = Kura::slurp($hba);

Kura::write_file($hba, "local all nobody trust\n");
$r->primary->reload;
$r->wait_for('a server that lets nobody in', sub { !$r->writes('tokyo') });
$r->sites->start_daemon('tokyo');
$r->wait_role('tokyo', 'standby');
$r->wait_for('its end', sub { !$r->primary->running });
ok(1, 'an old primary that does not let pgkurad in is stopped all the same');
$r->told('tokyo', qr/server_stopped: /, 'an event says so');
Kura::write_file($hba, $was);
ok($r->writes('osaka'), 'the new one goes on');

# ---- who looks at the other site ----

$r->wait_for('an alarm at the other site', sub {
	(role_alarm('tokyo') // '') =~ /promotion/;
});
like(role_alarm('tokyo'), qr/^site "osaka" .*takes writes: .*no address/,
	'a promotion that fails is an alarm at both sites');
like(($tokyo->pgkura('role', 'main'))[1],
	qr/^  osaka .*its promotion fails: .*no address/m, '"role" says so too');
Kura::write_file("$dir/after", '');
$r->wait_for('the end of the alarm', sub {
	(role_alarm() // '') . (role_alarm('tokyo') // '') !~ /promotion/;
});
ok(1, 'it is over when it is promoted');
done_testing();
