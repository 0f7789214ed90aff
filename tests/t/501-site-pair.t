#!/usr/bin/perl
# Two sites are made known to each other by a one-time code, through the
# daemon's listener; and what strangers, wrong codes and those who say nothing
# get there.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use IO::Socket::INET ();
use JSON::PP ();
use Test::More;
use Kura;
use Kura::Daemon;

my $port = Kura::free_port();
my %tokyo = (clusters => { main => { replicate_to => 'osaka' } });
my %osaka =
    (clusters => { main => { conninfo => undef, accept_from => 'tokyo' } });
my $tokyo = Kura::Daemon->new(%tokyo,
	site => { site => 'tokyo', listen => "*:$port" },
	peers => { osaka => {} });
my $osaka = Kura::Daemon->new(%osaka, site => { site => 'osaka' },
	peers => { tokyo => { address => "127.0.0.1:$port" } });

sub connects
{
	my ($what) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port",
		Timeout => 20);

	return $s if !defined $what || !$s;
	print {$s} $what;
	$s->flush;
	return $s;
}

# The other side hangs up.
sub hangs_up
{
	my ($s) = @_;

	return Kura::wait_until(sub {
		my $got = sysread $s, my $data, 100;
		return !$got;
	}, 30);
}

# A process that invites, and its code.
sub invite
{
	my ($daemon, @words) = @_;
	my $p = Kura::spawn($daemon->words('site', 'pair', '--invite', @words));

	Kura::wait_until(sub { $p->out =~ /^code: \S+$/m || !$p->alive }, 30);
	my ($code) = $p->out =~ /^code: (\S+)$/m;
	return ($p, $code // '');
}

# ---- before the daemon runs ----

$_->init_repository for $tokyo, $osaka;
my ($status, $out, $err) = $tokyo->pgkura('site', 'pair', '--invite');
isnt($status, 0, 'nobody is invited without a daemon');
like($err, qr/pgkurad does not run/, 'it says why');
($status, $out, $err) = $osaka->pgkura('site', 'pair', '--invite');
is($status, 2, 'nor where the site does not listen');
like($err, qr/does not listen.*listen in \[pgkura\]/s, 'it says how to');
($status, $out, $err) =
    $osaka->pgkura('site', 'pair', "127.0.0.1:$port", '0000-0000-0000-0000');
is($status, 75, 'nobody listens there yet: try later');
($status, $out) = $osaka->pgkura('site', 'list');
is($status, 0, 'a list of sites');
like($out, qr/^tokyo +yes +no +127\.0\.0\.1:$port$/m,
	'one is configured and not paired');

$_->start for $tokyo, $osaka;
ok(Kura::wait_until(sub {
	my $duty = $tokyo->duty('listen');
	return $duty && $duty->{state} eq 'running' &&
	    grep { $_->{event} eq 'listening' } $tokyo->events;
}), 'tokyo listens');
is($osaka->duty('listen'), undef, 'osaka does not');
is($tokyo->duty('courier', 'osaka'), undef, 'and no courier runs yet');
my ($peer) = @{ $tokyo->status->{peers} };
ok($peer->{name} eq 'osaka' && !$peer->{paired}, 'status says: not paired');
ok(Kura::wait_until(sub {
	JSON::PP::encode_json($tokyo->status->{alarms}) =~ /peer_not_paired/;
}), 'and that is an alarm');
($status, $out) = $tokyo->pgkura('status');
like($out, qr/peer osaka\n  this site is not paired with "osaka"/,
	'the screen says it');

# ---- strangers ----

ok(hangs_up(connects("GET / HTTP/1.0\r\n\r\n")), 'another protocol is refused');
$tokyo->wait_event('visitor_refused');
ok(hangs_up(connects("PGKURA 1 nara tokyo\n")), 'a stranger is refused');
my $event = $tokyo->wait_event('peer_unknown');
is($event->{values}{peer}, 'nara', 'it is told');
is($event->{values}{host}, '127.0.0.1', 'and from where');
ok(hangs_up(connects("PGKURA 1 osaka tokyo\n")), 'so is one not paired yet');
ok(hangs_up(connects("PGKURA 1 osaka kobe\n")), 'and who wants another site');
$tokyo->wait_event('peer_mistaken');
ok(hangs_up(connects("PGKURA 1 pair\n")), 'no invitation is open');
$tokyo->wait_event('pairing_refused');
is(scalar(grep { $_->{event} eq 'peer_unknown' } $tokyo->events), 1,
	'one event of many strangers');

# In pieces, and none of what follows is taken by the listener.
my $slow = connects('PGKURA 1 pa');
my @silent = map { connects() } 1 .. 100;
ok(hangs_up($silent[0]), 'of a hundred who say nothing the first must go');
print {$slow} "ir\n";
ok(hangs_up($slow), 'and so it is with one who is slow');
close $_ for @silent;

# ---- codes ----

my ($invited, $code) = invite($tokyo, '--for', 'osaka');
like($code, qr/^([0-9a-z]{4}-){3}[0-9a-z]{4}$/, 'a code');
is((stat($tokyo->state_dir . '/pairing'))[2] & oct(777), oct(600),
	'only its user can read the invitation');
(my $wrong = $code) =~ tr/0-9a-z/1-90b-za/;
$wrong =~ tr/ilou/1100/;
for my $try (1 .. 3) {
	($status, $out, $err) =
	    $osaka->pgkura('site', 'pair', "127.0.0.1:$port", $wrong);
	isnt($status, 0, "wrong code $try is refused");
	like($err, qr/the other site has another code/, 'it says so');
}
is($invited->wait(30), 1, 'after three the invitation is void');
like($invited->err, qr/void: 3 wrong codes/, 'who invited is told');
($status, $out, $err) =
    $osaka->pgkura('site', 'pair', "127.0.0.1:$port", $code);
isnt($status, 0, 'then the right code is refused, too');
ok(!-e $tokyo->state_dir . '/pairing', 'nothing is left of the invitation');
ok(!-e $tokyo->state_dir . '/peers/osaka' &&
	!-e $osaka->state_dir . '/peers/tokyo', 'and nobody is paired');

($invited, $code) = invite($tokyo);
$invited->kill('INT');
isnt($invited->wait(30), 0, 'Ctrl-C');
ok(!-e $tokyo->state_dir . '/pairing', 'takes the invitation back');

($invited, $code) = invite($tokyo, '--for', 'nara');
($status, $out, $err) =
    $osaka->pgkura('site', 'pair', "127.0.0.1:$port", $code);
is($status, 4, 'the invitation is for another site');
like($err, qr/invitation is for another site/, 'it is told');
$invited->kill('INT');
$invited->wait(30);

# An invitation outlives the listener.
($invited, $code) = invite($tokyo);
kill 'KILL', $tokyo->duty('listen')->{pid};
Kura::wait_until(sub {
	($status, $out, $err) = Kura::run({ stdin => uc("$code\n") },
		$osaka->words('site', 'pair', "127.0.0.1:$port"));
	return $status == 0;
}, 60);
is($status, 0, 'the code by standard input, in capitals') or diag($err);
like($out, qr/^paired with site "tokyo", key [0-9a-f-]{39}$/m,
	'paired with tokyo');
unlike($out, qr/\[peer/, 'its section is there already');
is($invited->wait(30), 0, 'who invited ends') or diag($invited->err);
like($invited->out, qr/^paired with site "osaka"/m, 'and says so');
($status, $out, $err) =
    $osaka->pgkura('site', 'pair', "127.0.0.1:$port", $code);
isnt($status, 0, 'a code works once');

# ---- afterwards ----

for my $pair ([$tokyo, 'osaka', $osaka], [$osaka, 'tokyo', $tokyo]) {
	my ($at, $name, $there) = @$pair;
	my (undef, $json) = $at->pgkura('site', 'list', '--json');
	my (undef, $own) = $there->pgkura('site', 'list', '--json');
	my $list = JSON::PP::decode_json($json);

	is($list->{peers}[0]{key}, JSON::PP::decode_json($own)->{key},
		"the key of $name is the one that it has");
	ok($list->{peers}[0]{paired}, 'paired');
	ok(Kura::wait_until(sub {
		my $duty = $at->duty('courier', $name);
		return $duty && $duty->{state} eq 'running';
	}), "the courier of $name starts by itself");
	ok(Kura::wait_until(sub {
		JSON::PP::encode_json($at->status->{alarms}) !~ /peer_not_paired/;
	}), 'and the alarm is over');
}
ok(Kura::wait_until(sub { grep { $_->{event} eq 'link_up' } $tokyo->events }),
	'they have met: the listener handed the connection over');

(undef, $out) = $osaka->pgkura('check', '--json');
my %item;
push @{ $item{ $_->{what} } }, $_
    for @{ JSON::PP::decode_json($out)->{clusters}[0]{items} };
is($item{'peer tokyo'}[0]{verdict}, 'ok', 'check: the peer is paired');
ok(Kura::wait_until(sub {
	(undef, $out) = $osaka->pgkura('check');
	return $out =~ /^ok +peer tokyo +reached/m;
}), 'check: and reached') or diag($out);
like($item{connection}[0]{found}, qr/no server at this site.*tokyo/,
	'check: no server is missed where none is wanted');
ok($item{congestion}, 'check: which congestion control is in force');

# A third one, that is not configured: the lines to add.
my $nara = Kura::Daemon->new(site => { site => 'nara' });
($invited, $code) = invite($tokyo, '--json');
Kura::wait_until(sub { $invited->out =~ /"code": "(\S+)"/ });
($code) = $invited->out =~ /"code": "(\S+)"/;
($status, $out, $err) =
    $nara->pgkura('site', 'pair', "127.0.0.1:$port", $code);
is($status, 0, 'a third site') or diag($err);
like($out, qr/^\[peer tokyo\]\naddress = 127\.0\.0\.1:$port$/m,
	'the lines to add');
is($invited->wait(30), 0, 'tokyo too');
like($invited->out, qr/"paired": "nara".*"configured": false/s, 'as JSON');

# One of the same name.
my $twin = Kura::Daemon->new(site => { site => 'tokyo' });
($invited, $code) = invite($tokyo);
($status, $out, $err) =
    $twin->pgkura('site', 'pair', "127.0.0.1:$port", $code);
is($status, 4, 'two sites of one name are refused');
like($err, qr/both sites are called "tokyo"/, 'it says why');
$invited->kill('INT');
$invited->wait(30);

# ---- forgotten ----

($status, $out, $err) = $tokyo->pgkura('site', 'forget', 'osaka');
is($status, 2, 'nobody is forgotten by mistake');
($status, $out) = $tokyo->pgkura('site', 'forget', 'osaka', '--yes');
is($status, 0, 'forgotten');
ok(Kura::wait_until(sub { !$tokyo->duty('courier', 'osaka') }),
	'its courier ends');
ok(Kura::wait_until(sub {
	JSON::PP::encode_json($tokyo->status->{alarms}) =~ /peer_not_paired/;
}), 'and the alarm is back');
($status) = $tokyo->pgkura('site', 'forget', 'osaka', '--yes');
isnt($status, 0, 'there is nobody to forget');

is($_->stop, 0, 'a clean stop') for $tokyo, $osaka;
done_testing();
