#!/usr/bin/perl
# Live drills by schedule: the site that is the primary begins, once, and the other
# one does not; in maintenance none is run, and that is told.

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

sub schedule
{
	my ($when) = @_;

	for my $site ($tokyo, $osaka) {
		$site->{clusters}{main}{drill_live_schedule} = $when;
		delete $site->{clusters}{main}{drill_live_schedule} if !defined $when;
		$site->write_conf;
		$site->pgkura_ok('the schedule: ' . ($when // 'none'), 'reload');
	}
	return;
}

sub job { return $r->status($_[0])->{clusters}[0]{jobs}{drill_live}; }

$r->insert($r->primary) for 1 .. 3;
$tokyo->pgkura_ok('maintenance', 'maintenance', 'main', 'on');
schedule('* * * * *');
ok(job('tokyo')->{next_us}, 'the next one is known');
like(($tokyo->pgkura('status'))[1], qr/^  live +the next live drill /m, 'for people');
$r->wait_for('one that is skipped',
	sub { $r->events('tokyo') =~ /drill_live_skipped: .*maintenance is on/ }, 180);
is(scalar(@{ $r->role('tokyo')->{history} }), 1, 'no role has changed');
$tokyo->pgkura_ok('its end', 'maintenance', 'main', 'off');
my ($report) = ();
$r->wait_for('one by schedule', sub {
	($report) = grep { $_->{kind} eq 'live' }
	    @{ $tokyo->json('drill', 'list', 'main')->{reports} };
	return $report;
}, 300);
schedule(undef);
my $d = $tokyo->json('drill', 'show', $report->{id}, 'main')->{drill};
is("$d->{site} $d->{result} $d->{primary_at}", 'tokyo passed tokyo', 'there, and back');
is($d->{ordered_by}, 'pgkurad, by drill_live_schedule', 'and by whom');
ok($r->writes('tokyo'), 'tokyo takes writes');
is($r->rows($r->primary), '3 of 3', 'nothing is lost');
unlike($r->events('osaka'), qr/job_started: .*job=drill_live|drill_live_skipped/,
	'the other site has not begun one');
$r->sites->stop($_) for qw(tokyo osaka);
done_testing();
