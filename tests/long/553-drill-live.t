#!/usr/bin/perl
# A live drill: the role goes to the other site and comes back under load, and the
# report says so; what keeps it from beginning; what is left when a site, the
# drill or the primary dies in between.  R7, RK9.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ == 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 here' if !defined $major;

my $r = Kura::Roles->new(major => $major,
	conf => { track_commit_timestamp => 'on' },
	peer => { beat_interval => '500ms', beat_misses => 10 });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);
my @live = qw(drill main --live);

sub reports
{
	my ($site) = @_;

	return @{ $site->json('drill', 'list', 'main')->{reports} };
}

sub report
{
	my ($site, $id) = @_;

	return $site->json('drill', 'show', $id)->{drill};
}

# Nothing stands in the way, as both sites see it.
sub wait_ready
{
	$r->wait_for('a switchover that could begin', sub {
		return !grep { ($_->pgkura(@live, '--dry-run'))[0] != 0 }
		    $tokyo, $osaka;
	}, 120);
	return;
}

# A live drill that runs, in this step.
sub in_step
{
	my ($site, $step, @words) = @_;
	my $p = Kura::spawn($site->words(@live, '--yes', @words));
	my $record = $site->state . '/main/live.json';

	$r->wait_for("step $step", sub {
		my $text = eval { Kura::slurp($record) } // '{}';
		my $steps = JSON::PP::decode_json($text)->{steps} // [];

		die $p->out . $p->err . $r->events('tokyo') . $r->events('osaka')
		    if !$p->alive;
		return @$steps && $steps->[-1]{step} eq $step;
	}, 180);
	return $p;
}

# pgkurad runs it: its process there.
sub job
{
	my ($name) = @_;
	my ($y) = grep { $_->{duty} eq 'drill_live' }
	    @{ $r->status($name)->{duties} };

	return $y ? $y->{pid} : undef;
}

sub steps_of { return join ' ', map { "$_->{step}=$_->{result}" } @{ $_[0]{steps} }; }

my @way = qw(switch follow prove);
my $all = join ' ', map { "$_=passed" } 'plan', @way, 'hold',
    map { "$_-back" } @way;

# ---- what is wrong, and what stands in the way ----

wait_ready();
my ($status, $out, $err) = $tokyo->pgkura(@live, '--dry-run');
like($out, qr/osaka becomes the primary.*Nothing stands/s, 'a dry run says what');
is(($osaka->json(@live, '--dry-run'))->{to}, 'osaka', 'also at the standby');
$tokyo->pgkura_fails('it needs a word', 2, qr/needs to be confirmed/, @live);
$tokyo->pgkura_fails('it has no target', 2, qr/--live takes/, @live, '--latest');
$tokyo->pgkura_fails('only it is held', 2, qr/are for --live/, 'drill', 'main',
	'--hold=5s');
$tokyo->pgkura_fails('a time', 2, qr/--hold/, @live, '--hold=soon');
$tokyo->pgkura_fails('not without end', 2, qr/--hold takes a day at most/, @live,
	'--hold=25h', '--yes');

# As if the roles had changed between the look and the order, or the sites.
my $order = $tokyo->state . '/site/main.order';

for my $to ('tokyo', 'nowhere') {
	Kura::write_file("$order.new",
		qq({"id":"astray $to","order":"switchover","to":"$to"}));
	rename("$order.new", $order);
	$r->wait_for('the end of the order', sub {
		my $o = $r->now('tokyo', 'order') // {};
		return ($o->{id} // '') eq "astray $to" && $o->{state} ne 'running';
	});
	is($r->now('tokyo', 'order')->{state}, 'refused',
		"an order for other roles than these is refused: $to");
}

$r->isolate('osaka');
# The link may be known to be down a moment before.
$r->wait_for('silence',
	sub { ($tokyo->pgkura(@live, '--dry-run'))[2] =~ /the other site is silent/ });
$tokyo->pgkura_fails('what keeps a switchover keeps it', 1,
	qr/could not begin: the other site is silent/, @live, '--yes');
is(scalar(reports($tokyo)), 0, 'that is no drill');
is(scalar(@{ $r->role('tokyo')->{history} }), 1, 'and no role has changed');
ok(!-e $tokyo->state . '/main/live.json', 'and no word is left');
$r->join_again('osaka');
wait_ready();

# ---- under load ----

my $dir = Kura::tempdir();
Kura::write_file("$dir/writer", <<'END');
n=1000
while :; do
	for c in "$2" "$3"; do
		n=$((n + 1))
		echo "INSERT INTO t (a) VALUES ($n)" |
		    "$4" -XAtq -v ON_ERROR_STOP=1 -d "$c" 2>/dev/null &&
			echo $n >>"$1/acknowledged"
	done
	sleep 0.02
done
END
my $writer = Kura::spawn('sh', "$dir/writer", $dir,
	(map { $_->conninfo(dbname => 'postgres') } $r->primary, $r->standby),
	Kura::client('psql'));
Kura::wait_until(sub { -s "$dir/acknowledged" }) or diag($writer->err);
($status, $out, $err) = $tokyo->pgkura(@live, '--hold=2s', '--yes', '--json');
my $written = Kura::slurp("$dir/acknowledged");
Kura::wait_until(sub { Kura::slurp("$dir/acknowledged") ne $written });
$writer->kill('TERM');
$writer->wait(30);
is($status, 0, 'there and back') || diag($out, $err, $r->events('tokyo'),
	$r->events('osaka'));
my $d = JSON::PP::decode_json($out)->{drill};
is($d->{kind} . ' ' . $d->{result}, 'live passed', 'a report of its own kind');
is(steps_of($d), $all, 'all steps have passed');
is("$d->{from} $d->{to} $d->{primary_at} $d->{next}", 'tokyo osaka tokyo ',
	'it is where it was');
like($d->{ordered_by}, qr/^\Q@{[Kura::user()]}\E \(user /, 'and whose it was');
my @ways = @{ $d->{directions} };
is(join(' ', map { "$_->{from}>$_->{to}" } @ways), 'tokyo>osaka osaka>tokyo',
	'two directions');
is(join(' ', map { "$_->{timeline_before}>$_->{timeline_after}" } @ways),
	'1>2 2>3', 'each with a timeline');
is($_->{end}, $_->{begin}, 'which begins at the end of the one before') for @ways;
is(scalar(grep { $_->{nothing_lost} && $_->{stopped_clean} } @ways), 2,
	'after a clean stop');
is(join(' ', map { scalar @{ $_->{phases} } } @ways), '4 4', 'with its phases');
ok($d->{rpo}{met} && $d->{rpo}{achieved_us} == 0, 'RPO: nothing');
my ($most) = sort { $b <=> $a } map { $_->{outage_us} } @ways;
ok($d->{rto}{achieved_us} == $most && $most > 0 && $d->{rto}{met},
	'RTO: the longer wait') || diag(explain($d->{rto}));
ok((grep { /unplanned/ } @{ $d->{not_tested} }), 'what was not tested');
ok($r->writes('tokyo'), 'tokyo takes writes');
$r->one_writer('afterwards');

my %there = map { $_ => 1 }
    split ' ', $r->primary->psql('SELECT a FROM t WHERE a > 1000');
my @lost = grep { !$there{$_} } split ' ', Kura::slurp("$dir/acknowledged");
is("@lost", '', 'every row that was acknowledged is there');
is($r->primary->psql('SELECT count(*) FROM (SELECT a, lag(a) OVER'
	. ' (ORDER BY at, a) AS before FROM t) AS x WHERE a < before'), '0',
	'in the order in which they were written');
is($r->primary->psql('SELECT count(*) FROM t WHERE pg_xact_commit_timestamp('
	. "xmin) = '$ways[0]{last_commit}'"), '1',
	'the last commit that the report names is a row of the writer')
    || diag(explain(\@ways));
my $rows = $r->primary->psql('SELECT count(DISTINCT CASE WHEN'
	. " pg_xact_commit_timestamp(xmin) <= '$ways[0]{last_commit}' THEN 1"
	. " WHEN pg_xact_commit_timestamp(xmin) <= '$ways[1]{last_commit}'"
	. ' THEN 2 ELSE 3 END) FROM t');
is($rows, '3', 'there was writing before, between and after');

# ---- the report ----

my ($said) = reports($tokyo);
is("$said->{id} $said->{chain} $said->{kind}", "$d->{id} sound live",
	'it is in the chain');
$r->wait_for('the report at osaka', sub { reports($osaka) == 1 });
is(report($osaka, $d->{id})->{verdict}, $d->{verdict}, 'at both sites');
$osaka->pgkura_ok('it is signed off', 'drill', 'sign-off', $d->{id}, 'main',
	'--by=A. Person', '--note=seen');
$r->wait_for('the sign-off at tokyo', sub { reports($tokyo) == 2 });
is(join(' ', map { $_->{chain} } reports($tokyo)), 'sound sound',
	'both chains are sound');
$tokyo->pgkura_ok('as a page', 'drill', 'show', $d->{id}, 'main',
	"--html=" . $tokyo->dir . '/page.html');
my $page = Kura::slurp($tokyo->dir . '/page.html');
like($page, qr{Live drill of cluster main.*Writers waited.*A\. Person}s,
	'the page shows it');
like(($tokyo->pgkura('drill', 'show', $d->{id}, 'main'))[1],
	qr/^to osaka +writers waited .*nothing is lost\n^to tokyo /m,
	'so does the text');
like(($tokyo->pgkura('drill', 'list', 'main'))[1], qr/passed, live/,
	'and the list');

# ---- it is killed while it holds ----

my $p = in_step($tokyo, 'hold', '--hold=600s');
kill('KILL', job('tokyo'));
is($p->wait(300), 1, 'a killed drill ends the command');
like($p->err, qr/stays the primary.*was killed.*at osaka.*switchover main --to=tokyo/s,
	'and it says how to go on') || diag($p->err);
is($r->role('osaka')->{role}, 'primary', 'it changes no role');
$r->one_writer('killed');
$r->wait_for('the report of what was killed', sub {
	($said) = grep { $_->{kind} eq 'live' && $_->{id} ne $d->{id} }
	    reports($tokyo);
	return $said;
}, 300);
$r->told('tokyo', qr/drill_live_killed/, 'the daemon finds it');
my $killed = report($tokyo, $said->{id});
is($killed->{result}, 'stopped', 'and keeps a report');
like($killed->{verdict}, qr/osaka stays the primary.*was killed/,
	'with the step');
is($killed->{primary_at}, 'osaka', 'and where the primary is');
is($killed->{next}, 'pgkura switchover main --to=tokyo', 'and what to do');
my (undef, @next) = split ' ', $killed->{next};
$tokyo->pgkura_ok('which does it', @next, '--yes')
    or diag($r->events('tokyo'), $r->events('osaka'));
$r->wait_server('tokyo');

# ---- from the standby's side, with nobody writing; stopped by Ctrl-C ----

wait_ready();
($status, $out, $err) = $osaka->pgkura(@live, '--hold=0', '--yes', '--json');
is($status, 0, 'ordered at the standby') || diag($out, $err,
	$r->events('tokyo'), $r->events('osaka'));
$d = JSON::PP::decode_json($out)->{drill};
is(steps_of($d), $all, 'all steps have passed there');
is($d->{site} . ' ' . $d->{primary_at}, 'osaka tokyo', 'it comes home');

wait_ready();
$p = in_step($tokyo, 'hold', '--hold=600s');
$p->kill('INT');
is($p->wait(30), 1, 'Ctrl-C ends it');
like($p->err, qr/being stopped.*was stopped.*primary is at osaka.*switchover main --to=tokyo/s,
	'and it says how to go on');

# ---- the other site's daemon dies while it is the primary ----

$tokyo->pgkura_ok('home', 'switchover', 'main', '--to=tokyo', '--yes');
$r->wait_server('tokyo');
wait_ready();
$p = in_step($tokyo, 'hold', '--hold=8s');
$r->sites->kill9('osaka');
is($p->wait(180), 3, 'the way back fails without the other site');
like($p->err, qr/osaka to tokyo.*other site is silent.*primary is at osaka.*--to=tokyo/s,
	'clearly') || diag($p->err);
$r->one_writer('without it');
ok($r->writes('osaka'), 'osaka still takes writes');
is($r->role('tokyo')->{role}, 'standby', 'tokyo is a standby');
$r->insert($r->standby);
$r->sites->start_daemon('osaka');
$r->wait_promotable('tokyo');
$tokyo->pgkura_ok('and a switchover goes back', 'switchover', 'main',
	'--to=tokyo', '--yes') or diag($r->events('tokyo'), $r->events('osaka'));
$r->wait_server('tokyo');
is($r->primary->psql("SELECT count(*) FROM t WHERE a = $r->{n}"), '1',
	'with what was written there');

# ---- the daemon of this site dies ----

wait_ready();
$p = in_step($tokyo, 'hold', '--hold=600s');
$r->sites->kill9('tokyo');
$r->sites->start_daemon('tokyo');
is($p->wait(180), 1, 'it dies with the daemon here');
like($p->err, qr/stays the primary.*was killed/s, 'and the next one says so')
    or diag($p->err);
wait_ready();
$r->one_writer('with it again');
$tokyo->pgkura_ok('a live drill wants the primary where it is', @live, '--yes',
	'--hold=0') or diag($r->events('tokyo'), $r->events('osaka'));
ok($r->writes('osaka'), 'and brings it back there');
$osaka->pgkura_ok('home', 'switchover', 'main', '--to=tokyo', '--yes');
$r->wait_server('tokyo');

# ---- a failover in earnest ----

wait_ready();
$p = in_step($tokyo, 'hold', '--hold=600s');
$r->lose('osaka');
$r->wait_state('tokyo', 'peer silent');
$tokyo->pgkura_ok('a failover in earnest goes ahead', 'failover', 'main',
	'--allow-data-loss=all', '--yes') or diag($r->events('tokyo'));
$r->wait_server('tokyo');
is($p->wait(60), 3, 'the drill has failed then');
like($p->err, qr/somebody else has changed the roles/, 'and says why');
my @ids = map { $_->{id} } grep { $_->{kind} eq 'live' } reports($tokyo);
is(report($tokyo, $ids[-1])->{primary_at}, 'tokyo', 'and where the primary is');
ok(!(grep { $_->{chain} ne 'sound' } reports($tokyo)), 'the chain is sound');
$r->sites->stop('tokyo');
done_testing();
