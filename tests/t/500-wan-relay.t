#!/usr/bin/perl
# The emulated line between sites (tests/wan, doc/wan.md): what programs in two
# namespaces see is what the relay counts, and as often as its words say.  Time
# is the relay's own; tests/unit/wan_line has the exact times.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use IO::Select ();
use IO::Socket::IP ();
use Socket qw(SOCK_DGRAM SOCK_STREAM SOL_SOCKET);
use Test::More;
use Time::HiRes qw(time);
use Kura;
use Kura::Wan;

use constant SO_RCVBUFFORCE => 33;    # asm-generic/socket.h

my $why = Kura::Wan::missing();
plan skip_all => $why if $why;

my $wan = Kura::Wan->new(sites => [qw(tokyo osaka)], paths => 2, seed => 42);

# ---- what programs do ----

# A socket of a site; of its address there, and one port for all.
sub site_socket
{
	my ($site, %arg) = @_;
	my $address = $wan->address($site, %arg);
	my $socket = $wan->inside($site, sub {
		IO::Socket::IP->new(LocalHost => $address, LocalPort => 5000,
			Type => SOCK_DGRAM, Blocking => 0)
	}) or die "could not make a socket: $@\n";

	$socket->setsockopt(SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20);
	return $socket;
}

# [socket in tokyo, socket in osaka], which send to each other.
sub udp_pair
{
	my (%arg) = @_;
	my @sites = qw(tokyo osaka);
	my @sockets = map { site_socket($_, %arg) } @sites;

	$sockets[$_]->connect(pack_address($sites[!$_], %arg)) for 0, 1;
	return \@sockets;
}

sub pack_address
{
	my ($site, %arg) = @_;
	my $address = $wan->address($site, %arg);

	return ($arg{family} // 4) == 6
	    ? Socket::pack_sockaddr_in6(5000,
		Socket::inet_pton(Socket::AF_INET6, $address))
	    : Socket::pack_sockaddr_in(5000, Socket::inet_aton($address));
}

# Nothing is on its way, and all of $packets has come to the line.
sub wait_quiet
{
	my ($path, $direction, $packets) = @_;

	Kura::wait_until(sub {
		my $c = $wan->counters($path);
		$c->{"$direction.offered_packets"} >= $packets
		    && $c->{'ab.held_packets'} + $c->{'ba.held_packets'} == 0;
	}) or die "packets are still on their way\n";
	return;
}

sub drain
{
	my ($socket) = @_;
	my @got;

	while (defined $socket->recv(my $packet, 65536)) {
		push @got, $packet;
	}
	return @got;
}

# Send COUNT packets of LEN bytes from one end to the other: those that arrive,
# in scalar context how many.
# Each begins with its number, and its bytes are all known.
sub flood
{
	my ($pair, $count, $len, %arg) = @_;
	my ($from, $to) = $arg{back} ? (1, 0) : (0, 1);
	my $direction = $arg{back} ? 'ba' : 'ab';
	my @got;

	$wan->reset_counters;
	for my $n (0 .. $count - 1) {
		# What an earlier one was answered (ECONNREFUSED) is not asked.
		my $packet = packet_of($n, $len);
		$pair->[$from]->send($packet) // $pair->[$from]->send($packet);
		if ($n % 200 == 199) {
			wait_quiet($arg{path}, $direction, $n + 1)
			    if !$arg{hurry};
			push @got, drain($pair->[$to]);
		}
	}
	wait_quiet($arg{path}, $direction, $count);
	push @got, drain($pair->[$to]);
	return @got;
}

sub packet_of
{
	my ($n, $len) = @_;

	return substr(pack('N', $n) x ($len / 4 + 1), 0, $len);
}

sub numbers { return map { unpack 'N', $_ } @_; }

sub near
{
	my ($got, $n, $p, $name) = @_;
	my $slack = 5 * sqrt($n * $p * (1 - $p));

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	cmp_ok(abs($got - $n * $p), '<=', $slack,
		"$name: $got of $n, expected " . $n * $p . " +/- $slack");
	return;
}

# ---- checks ----

my $udp = udp_pair();

subtest 'a perfect line' => sub {
	for my $family (4, 6) {
		my $pair = udp_pair(path => 2, family => $family);
		my $bytes = 100 + ($family == 4 ? 28 : 48);
		my @got = flood($pair, 1000, 100, path => 2);
		is_deeply([numbers(@got)], [0 .. 999], "IPv$family: all, in order");
		my $c = $wan->counters(2);
		is($c->{'ab.out_packets'}, 1000, 'as the relay counts');
		is($c->{'ab.out_bytes'}, 1000 * $bytes, 'IP bytes');
		is($c->{'ba.offered_packets'}, 0, 'and nothing besides');
		is(flood($pair, 10, 100, path => 2, back => 1), 10, 'and back');
	}
	is($wan->counters(1)->{'ab.offered_packets'}, 0,
		'the other path carries none of it');
};

subtest 'delay' => sub {
	$wan->set(path => 1, 'delay=15ms', 'jitter=3ms');
	my @rtt;
	for my $n (1 .. 20) {
		my $start = time();
		$udp->[0]->send("ping $n");
		IO::Select->new($udp->[1])->can_read(60);
		$udp->[1]->send($_) for drain($udp->[1]);
		IO::Select->new($udp->[0])->can_read(60);
		push @rtt, 1000 * (time() - $start);
		is_deeply([drain($udp->[0])], ["ping $n"], "echo $n");
	}
	@rtt = sort { $a <=> $b } @rtt;
	cmp_ok($rtt[0], '>=', 24, 'no round trip below 24 ms');
	note(sprintf('round trips: least %.1f, median %.1f, most %.1f ms',
			@rtt[0, 10, 19]));
	$wan->set(path => 1, 'clear');
};

subtest 'rate' => sub {
	$wan->set(path => 1, 'rate=20mbit', 'queue=1MB');
	my $start = $wan->counters->{clock_us};
	my @got = flood($udp, 600, 1000, hurry => 1);
	my $c = $wan->counters;
	is(@got, 600, 'all arrive');
	my $bits = 8 * $c->{'ab.sent_bytes'};
	is($bits, 8 * 600 * 1028, 'all was sent');
	cmp_ok(abs($c->{'ab.sent_us'} - $bits / 20), '<=', 2,
		'the line took the time of 20 Mbit/s');
	cmp_ok($c->{clock_us} - $start, '>=', $bits / 20,
		'which has passed on the clock of the relay');
	cmp_ok($c->{'ab.queue_max_bytes'}, '>', 0, 'packets waited');

	$wan->set(path => 1, 'rate=1mbit', 'queue=20000');
	@got = flood($udp, 100, 972, hurry => 1);
	$c = $wan->counters;
	cmp_ok($c->{'ab.dropped_queue'}, '>', 0, 'a full queue drops');
	is(@got + $c->{'ab.dropped_queue'}, 100, 'what does not arrive');
	cmp_ok($c->{'ab.queue_max_bytes'}, '<=', 20000, 'and holds its bytes');
	$wan->set(path => 1, 'clear');
};

subtest 'loss' => sub {
	$wan->set(path => 1, 'ab.loss=3');
	my $count = 10_000;
	my @got = flood($udp, $count, 50);
	my $c = $wan->counters;
	near($count - @got, $count, 0.03, 'lost');
	is($c->{'ab.dropped_loss'}, $count - @got, 'as the relay counts');
	is(flood($udp, 500, 50, back => 1), 500, 'the other direction is good');

	$wan->set(path => 1, 'loss=5', 'burst=5');
	my @numbers = numbers(flood($udp, $count, 50));
	my $runs = grep { $numbers[$_] != $numbers[$_ - 1] + 1 } 1 .. $#numbers;
	my $lost = $count - @numbers;
	cmp_ok(abs($lost - 500), '<=', 330, "bursts: $lost lost");
	cmp_ok(abs($lost / $runs - 5), '<=', 2.3, "in $runs runs");
	$wan->set(path => 1, 'clear');
};

subtest 'duplicates and reordering' => sub {
	$wan->set(path => 1, 'duplicate=2');
	my $count = 5000;
	my @got = flood($udp, $count, 50);
	near(@got - $count, $count, 0.02, 'twice');
	is(@got - $count, $wan->counters->{'ab.duplicated'}, 'as counted');

	$wan->set(path => 1, 'clear', 'reorder=2', 'gap=2ms', 'rate=10mbit');
	my @numbers = numbers(flood($udp, $count, 50));
	is_deeply([sort { $a <=> $b } @numbers], [0 .. $count - 1], 'all come');
	my ($newest, $overtaken) = (-1, 0);
	for my $n (@numbers) {
		if ($n < $newest) { $overtaken++; }
		else { $newest = $n; }
	}
	cmp_ok($overtaken, '>', 0, "$overtaken are overtaken");
	is($overtaken, $wan->counters->{'ab.overtaken'}, 'as counted');
	$wan->set(path => 1, 'clear');
};

subtest 'corruption' => sub {
	my $count = 3000;
	my %damaged;
	for my $repair (qw(off on)) {
		$wan->set(path => 1, 'corrupt=3', "repair=$repair");
		my @got = flood($udp, $count, 500);
		my $corrupted = $wan->counters->{'ab.corrupted'};
		near($corrupted, $count, 0.03, "repair=$repair, corrupted");
		is(@got, $repair eq 'on' ? $count : $count - $corrupted,
			'datagrams that arrive');
		# A damaged number is damage as well.
		my %sent = map { packet_of($_, 500) => 1 } 0 .. $count - 1;
		is(scalar(grep { !$sent{$_} } @got),
			$repair eq 'on' ? $corrupted : 0, 'damaged ones');
	}
	$wan->set(path => 1, 'clear');
};

# 2 MB over TCP from tokyo to osaka: what arrives.
sub tcp_transfer
{
	my ($family) = @_;
	my $server = $wan->inside('osaka', sub {
		IO::Socket::IP->new(LocalPort => 5001, Listen => 1,
			LocalHost => $wan->address('osaka', family => $family),
			ReuseAddr => 1)
	}) or die "could not listen: $@\n";
	my $file = Kura::tempdir() . '/sent';
	Kura::write_file($file, 'pgkura! ' x (256 << 10));
	my $sender = $wan->spawn_in('tokyo', $^X, '-MIO::Socket::IP',
		'-MFile::Copy', '-e', <<'END', $file,
my $s = IO::Socket::IP->new(PeerHost => $ARGV[1], PeerPort => 5001) or die $@;
copy($ARGV[0], $s) or die $!;
END
		$wan->address('osaka', family => $family));
	IO::Select->new($server)->can_read(60) or die 'no connection: '
	    . $sender->err;
	my $client = $server->accept;
	my $got = '';
	1 while $client->sysread($got, 1 << 16, length $got);
	is($sender->wait(60), 0, 'the sender has sent all') or diag($sender->err);
	return ($got, Kura::slurp($file));
}

subtest 'TCP over all this' => sub {
	my @words = qw(rate=100mbit delay=2ms jitter=1ms loss=1 duplicate=1
	    reorder=1 corrupt=1);
	for my $family (4, 6) {
		$wan->set(path => 1, 'clear', @words);
		$wan->reset_counters;
		my ($got, $sent) = tcp_transfer($family);
		ok($got eq $sent, "IPv$family: every byte is right");
		cmp_ok($wan->counters->{"ab.$_"}, '>', 0, $_)
		    for qw(dropped_loss duplicated overtaken corrupted);

		$wan->set(path => 1, 'repair=on');
		($got, $sent) = tcp_transfer($family);
		is(length $got, length $sent, 'repair=on: every byte comes');
		ok($got ne $sent, 'and some are wrong');
	}
	$wan->set(path => 1, 'clear');
};

subtest 'outages and black holes' => sub {
	my $other = udp_pair(path => 2);
	my $sent = sub {
		my ($pair, %arg) = @_;
		return scalar(my @got = flood($pair, 50, 100, %arg));
	};
	$wan->cut(1);
	is($sent->($udp), 0, 'cut: nothing');
	is($wan->counters->{'ab.dropped_outage'}, 50, 'as counted');
	is($sent->($udp, back => 1), 0, 'nor back');
	is($sent->($other, path => 2), 50, 'the other path is whole');
	$wan->heal(1);
	is($sent->($udp), 50, 'healed');

	my $answer = Kura::facts(Kura::Wan::ask(
			($wan->lines(1))[0], 'outage=300ms', 'counters'));
	my $start = $answer->{clock_us};
	is($answer->{line}, 'down', 'an outage');
	ok(Kura::wait_until(sub { $wan->counters->{line} eq 'up' }), 'ends');
	cmp_ok($wan->counters->{clock_us} - $start, '>=', 299_999,
		'not before its time');
	is($sent->($udp), 50, 'and all is well');

	$wan->blackhole('tokyo', 1);
	is($sent->($udp), 0, 'nothing comes from tokyo');
	is($sent->($udp, back => 1), 50, 'but to it');
	$wan->set(path => 1, 'blackhole=none');
	is($sent->($udp), 50, 'and again');

	$wan->set(path => 1, 'mtu=1400');
	is(flood($udp, 10, 1372), 10, '1400 bytes pass');
	is(flood($udp, 10, 1373), 0, '1401 do not');
	my $c = $wan->counters;
	is($c->{'ab.dropped_mtu'}, 10, 'as counted');
	is($c->{'ba.offered_packets'}, 0, 'and nobody is told');
	$wan->set(path => 1, 'clear');

	$wan->kill_relay(1);
	# Without a reader the device takes no packets: nothing is counted.
	$udp->[0]->send('lost');
	$wan->start_relay(1);
	is($sent->($udp), 50, 'a relay that was killed and started again');
};

subtest 'words' => sub {
	$wan->set(path => 1, 'profile=W4', 'ba.rate=1mbit');
	my $show = $wan->show(1);
	is($show->{'ab.rate'}, 50_000_000, 'rate of a profile');
	is($show->{'ba.rate'}, 1_000_000, 'and of one direction');
	is($show->{'ab.delay'}, 75_000, 'delay');
	is($show->{'ab.queue_in_force'}, 937_500, 'queue: a round trip');
	ok(!eval { $wan->set(path => 1, 'loss=9', 'los=1'); 1 }, 'a wrong word');
	like($@, qr/unknown word "los=1"/, 'is named');
	is($wan->show(1)->{'ab.loss'}, 5, 'and nothing was done');

	my $out = Kura::run_ok('profiles',
		Kura::program('tests/wan/wanrelay'), 'profiles');
	for my $name (qw(S1 S1r S2 W1 W2 W3 W4 W5 W5f)) {
		like($out, qr/^$name rate=/m, $name);
	}
	$wan->set(path => 1, 'clear');
};

subtest 'congestion control' => sub {
	plan skip_all => 'this machine does not allow bbr to programs'
	    if !grep { $_ eq 'bbr' } Kura::Wan::congestion();
	my ($status, $out) = $wan->exec_in('tokyo', { as_user => 1 }, $^X,
		'-MIO::Socket::INET', '-e', <<'END');
my $s = IO::Socket::INET->new(Proto => 'tcp') or die $@;
setsockopt($s, 6, 13, 'bbr') or die $!;
print unpack 'Z*', getsockopt($s, 6, 13);
END
	is($out, 'bbr', 'an ordinary program in a site may choose bbr');
};

subtest 'three sites' => sub {
	my $three = Kura::Wan->new(sites => [qw(tokyo osaka witness)],
		congestion => 'reno');
	my (undef, $default) = $three->exec_in('witness', 'cat',
		'/proc/sys/net/ipv4/tcp_congestion_control');
	is($default, "reno\n", 'congestion control of a site');
	my $ping = sub {
		my ($from, $to) = @_;
		my $port = 6000;
		my $server = $three->inside($to, sub {
			IO::Socket::IP->new(Type => SOCK_DGRAM, LocalPort => $port,
				LocalHost => $three->address($to, peer => $from))
		}) or die $@;
		my $client = $three->inside($from, sub {
			IO::Socket::IP->new(Type => SOCK_DGRAM, PeerPort => $port,
				PeerHost => $three->address($to, peer => $from))
		}) or die $@;
		my $before = $three->counters(1, $from, $to);
		$client->send('x');
		Kura::wait_until(sub {
			my $c = $three->counters(1, $from, $to);
			join(' ', map { $c->{"$_.offered_packets"} } qw(ab ba)) ne
			    join(' ', map { $before->{"$_.offered_packets"} }
				qw(ab ba))
			    && !$c->{'ab.held_packets'} && !$c->{'ba.held_packets'};
		});
		$server->blocking(0);
		return scalar(my @got = drain($server));
	};
	is($ping->('tokyo', 'osaka'), 1, 'tokyo and osaka');
	is($ping->('witness', 'osaka'), 1, 'witness and osaka');
	is($ping->('tokyo', 'witness'), 1, 'tokyo and witness');
	$three->cut(1, 'osaka', 'tokyo');
	is($ping->('tokyo', 'osaka'), 0, 'one line is cut');
	is($ping->('witness', 'osaka'), 1, 'another is not');
};

subtest 'a server in a site' => sub {
	plan skip_all => 'no PostgreSQL here' if !Kura::servers();
	my $server = Kura::Cluster->new(in => [$wan->in('osaka')],
		conf => { listen_addresses => '*' },
		hba => ['local all all trust', 'host all all all trust'])->start;
	my @psql = (Kura::client('psql'), '-XAtq', '-p', $server->port, '-U',
		'postgres', '-c', 'SELECT inet_client_addr()', '-h');
	my ($status, $out, $err) =
	    $wan->exec_in('tokyo', @psql, $wan->address('osaka', path => 2));
	is($out, $wan->address('tokyo', path => 2) . "\n", 'is reached') or diag($err);
	is($server->psql('SELECT 1'), 1, 'and by its socket from everywhere');
	($status) = Kura::run(@psql, $wan->address('osaka', path => 2));
	isnt($status, 0, 'its addresses are known in the sites alone');
};

subtest 'everything goes away after a die' => sub {
	my $file = Kura::tempdir() . '/dies.pl';
	Kura::write_file($file, <<'END');
use lib "$ENV{PGKURA_SRC}/tests/lib";
use Kura;
use Kura::Wan;
my $wan = Kura::Wan->new;
my $p = $wan->spawn_in('a', 'sleep', '600');
print join ' ', $p->pid, map { $wan->netns($_) } 'a', 'b';
die "of this\n";
END
	my ($status, $out, $err) = Kura::run($^X, $file);
	isnt($status, 0, 'it fails');
	is($err, "of this\n", 'for that reason');
	my ($pid, @netns) = split ' ', $out;
	ok(!-e "/proc/$pid", 'the program is gone');
	ok(!-e "/run/netns/$_", "and $_") for @netns;
};

done_testing();
