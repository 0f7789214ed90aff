#!/usr/bin/perl
# Who may what at the control socket: observe_group, backup_group, drill_group,
# failover_group; a person who may not look into state_dir gives orders about roles
# through it, and is on record by what the kernel says of him.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use IO::Socket::UNIX ();
use Test::More;
use Kura;
use Kura::Roles;

my ($major) = grep { $_ >= 15 } Kura::servers();
plan skip_all => 'no PostgreSQL 15 or newer here' if !defined $major;
plan skip_all => 'other users need root' if $< != 0;

my %group = (observe => 'games', backup => 'news', drill => 'mail',
	failover => 'uucp');
my @missing = grep { !defined getgrnam($_) } values %group;
plan skip_all => "no group @missing here" if @missing;

my (undef, undef, $nobody) = getpwnam('nobody');
# A switchover is given up when the other site is silent; a slow machine is not.
my $r = Kura::Roles->new(major => $major,
	peer => { beat_interval => '500ms', beat_misses => 10 });
my ($tokyo, $osaka) = map { $r->site($_) } qw(tokyo osaka);

# A member of these groups and of nothing else.
sub member
{
	my ($groups, @words) = @_;
	my @gids = map { scalar getgrnam($_) } @$groups;

	return ('setpriv', "--reuid=$nobody", '--regid=' . getgrnam('nogroup'),
		@gids ? '--groups=' . join(',', @gids) : '--clear-groups',
		@words);
}

sub words
{
	my ($groups, $site, @words) = @_;

	return member($groups, 'env', 'PGKURA_CONF=' . $site->conf,
		Kura::program('pgkura'), @words);
}

# What the socket answers him, line by line.
my $asker = <<'END';
use IO::Socket::UNIX; use JSON::PP;
my $s = IO::Socket::UNIX->new(Peer => shift) or do { print "closed: $!\n"; exit };
$SIG{PIPE} = 'IGNORE'; $s->autoflush;
for (@ARGV) { print {$s} "$_\n"; my $l = <$s> // "gone\n"; print $l }
END

sub ask
{
	my ($groups, @requests) = @_;
	my ($status, $out, $err) = Kura::run(member($groups, $^X, '-e', $asker,
		$tokyo->dir . '/run/control.sock',
		map { JSON::PP::encode_json({ version => 1, %$_ }) } @requests));

	BAIL_OUT("the asker failed: $err") if $status != 0;
	return map { /^\{/ ? JSON::PP::decode_json($_) : $_ } split /\n/, $out;
}

sub kind
{
	my ($reply) = @_;

	return $reply if !ref $reply;
	return $reply->{ok} ? 'ok' : $reply->{error}{kind};
}

# One word for each thing that may be asked: "+" it is answered, or fails for another
# reason than who asks; "-" it is refused.
my $order = { request => 'order', cluster => 'main', order => { order => 'dance' } };
my @things = (
	[status => { request => 'status' }], [events => { request => 'events' }],
	[role => { request => 'role', cluster => 'main' }],
	(map { [$_ => { request => 'run', job => $_, cluster => 'nowhere' }] }
		qw(backup expire verify drill)),
	[order => $order], [reload => { request => 'reload' }],
	[stop => { request => 'stop' }]);

sub may
{
	my ($groups) = @_;
	my @kinds = map { kind($_) } ask($groups, map { $_->[1] } @things);

	return join ' ', map { ($kinds[$_] =~ /^(?:refused|gone|closed)/ ? '-' : '+')
		. $things[$_][0] } 0 .. $#things;
}

# ---- nobody but the owner, as long as no group is set ----

my $socket = $tokyo->dir . '/run/control.sock';
is(sprintf('%o', (stat $socket)[2] & 0777), '660', 'without groups: the mode of before');
like((ask(['games'], { request => 'status' }))[0], qr/^closed: Permission denied/,
	'nobody comes in');
my ($status, undef, $err) = Kura::run(words(['uucp'], $tokyo, 'maintenance', 'main', 'on'));
is($status, 1, 'and gives no order');
like($err, qr/could not connect.*permission denied.*socket_group/si, 'he is told why');

# ---- the groups; a reload is enough, and no duty starts anew ----

my %pids = map { ("$_->{duty} $_->{cluster}" => $_->{pid}) }
    grep { $_->{duty} =~ /^(?:rule|receive|courier)$/ }
    @{ $r->status('tokyo')->{duties} };
for my $site ($tokyo, $osaka) {
	$site->site(map { ("${_}_group" => $group{$_}) } keys %group);
	$site->pgkura_ok('a reload', 'reload');
}
is(sprintf('%o', (stat $socket)[2] & 0777), '666', 'with them: pgkurad asks who it is');
my %now = map { ("$_->{duty} $_->{cluster}" => $_->{pid}) }
    grep { $_->{duty} =~ /^(?:rule|receive|courier)$/ }
    @{ $r->status('tokyo')->{duties} };
cmp_ok(scalar keys %pids, '>=', 3, 'duties run');
is_deeply(\%now, \%pids, 'and go on');

is(may(['games']), '+status +events +role -backup -expire -verify -drill -order '
	. '-reload -stop', 'observe');
is(may(['news']), '+status +events +role +backup +expire +verify -drill -order '
	. '-reload -stop', 'backup');
is(may(['mail']), '+status +events +role -backup -expire -verify +drill -order '
	. '-reload -stop', 'drill');
is(may(['uucp']), '+status +events +role -backup -expire -verify -drill +order '
	. '-reload -stop', 'failover');
is(may(['games', 'mail', 'uucp']), '+status +events +role -backup -expire -verify '
	. '+drill +order -reload -stop', 'several: the union');
my ($word, @more) = ask([], { request => 'status' }, { request => 'status' });
is(kind($word), 'refused', 'an unknown person is told so');
like($word->{error}{hint}, qr/observe_group/, 'and what would help');
is_deeply(\@more, ['gone'], 'and disconnected');
is(may(['proxy']), join(' ', map { "-$_->[0]" } @things), 'so is a member of others');

my ($refused) = ask(['games'], $order);
like($refused->{error}{message}, qr/"order".*role "failover"/, 'the role is named');
like($refused->{error}{hint}, qr/group that failover_group names/, 'and the option');
($refused) = ask(['mail'], { request => 'run', job => 'expire', cluster => 'main' });
like($refused->{error}{message}, qr/"run expire".*role "backup"/, 'that of a job, too');
like($refused->{error}{hint}, qr/backup_group or socket_group names/, 'and its options');
$r->told('tokyo', qr/control_refused: .*uid=$nobody request=order/, 'there is an event');

# A job that he asked for is known to be his.
is(kind((ask(['news'], { request => 'run', job => 'verify', cluster => 'main' }))[0]),
	'ok', 'a member of backup_group has a job run');
$r->told('tokyo', qr/job_asked: .*job=verify by="?nobody \(user $nobody\)/,
	'and is on record');

# ---- what an order may say ----

for my $case (['no object', 'on'], ['no word', {}],
	['no such word', { order => 'dance' }],
	['another type', { order => 'failover', force => 'yes' }],
	['a site that is too long', { order => 'switchover', to => 'x' x 70 }],
	['a member that is not known', { order => 'failover', dry_run => JSON::PP::true() }])
{
	my ($name, $bad) = @$case;
	my ($reply) = ask(['uucp'], { %$order, order => $bad });

	is(kind($reply), 'usage', "an order with $name");
}
is(kind((ask(['uucp'], { %$order, cluster => 'nowhere' }))[0]), 'usage',
	'an order for a cluster that is not there');
ok(!-e $tokyo->state . '/site/main.order', 'nothing of that has come to the rule');

# ---- orders by a person who may not look into state_dir ----

chmod(0700, $tokyo->state) or BAIL_OUT("could not close state_dir: $!");
($status, undef, $err) = Kura::run(member(['uucp'], 'ls', $tokyo->state));
isnt($status, 0, 'state_dir is closed to him');
my $out = Kura::run_ok('he sees the role', words(['uucp'], $tokyo, 'role', 'main'));
like($out, qr/^cluster main: primary here.*^SINCE/ms, 'as the owner does');
is_deeply([sort keys %{ JSON::PP::decode_json(Kura::run_ok('in JSON, too',
		words(['uucp'], $tokyo, 'role', 'main', '--json'))) }],
	[sort keys %{ $r->role('tokyo') }], 'with the same members');
($status, undef, $err) = Kura::run(words(['games'], $tokyo, 'maintenance', 'main', 'on'));
is($status, 1, 'who may only observe gives no order');
like($err, qr/may not ask for "order": it needs the role "failover"/, 'he is told why');
is($r->now('tokyo', 'order')->{id}, '', 'none has come');

like(Kura::run_ok('maintenance on', words(['uucp'], $tokyo, 'maintenance', 'main', 'on')),
	qr/maintenance is on, and the other site knows/, 'he has the answer');
ok((grep { $_->{site} eq 'tokyo' && $_->{maintenance} }
		@{ $r->now('osaka', 'sites') }), 'the other site knows');
$r->told('tokyo', qr/order: maintenance on .*by="?nobody \(user $nobody\) on /,
	'the order is on record with his name');
# His word about who he is, and of the order's id, is not taken.
my ($lie) = ask(['uucp'], { %$order, order =>
	{ order => 'maintenance off', by => 'root (user 0)', id => 'liar' } });
is(kind($lie), 'ok', 'one who says that he is root');
isnt($lie->{id}, 'liar', 'has an id of ours');
$r->wait_for('the end of maintenance', sub {
	my $last = $r->now('tokyo', 'order') // {};
	return ($last->{id} // '') eq $lie->{id} && $last->{state} eq 'done';
});
$r->told('tokyo', qr/order: maintenance off .*by="?nobody \(user $nobody\) on /,
	'is nobody');
unlike($r->events('tokyo'), qr/by="?root|liar/, 'and nothing else');

$r->insert($r->primary) for 1 .. 5;
($status, undef, $err) =
    Kura::run(words(['uucp'], $tokyo, 'switchover', 'main', '--to=osaka'));
is($status, 2, 'a switchover has to be confirmed by him, too');
Kura::wait_until(sub {
	($status, $out, $err) = Kura::run(words(['uucp'], $tokyo, 'drill', 'main',
		'--live', '--dry-run'));
	return $status == 0;
});
is($status, 0, 'he may ask what a live drill would do') || diag($err);
$out = Kura::run_ok('a switchover',
	words(['uucp'], $tokyo, 'switchover', 'main', '--to=osaka', '--yes', '--json'));
ok(JSON::PP::decode_json($out)->{result} ne '', 'it says how it ended');
$r->wait_role('tokyo', 'standby');
$r->wait_server('osaka');
$r->one_writer('after it');
is($r->rows($r->standby), '5 of 5', 'nothing is lost');

# Where he may look into it, he still cannot write there.
is((stat $osaka->state)[2] & 0777, 0755, 'that of osaka is open');
Kura::run_ok('an order there', words(['uucp'], $osaka, 'maintenance', 'main', 'on'));
$r->told('osaka', qr/order: maintenance on .*by="?nobody \(user $nobody\) on /,
	'goes through the socket, too');
$osaka->pgkura_ok('one of the owner', 'maintenance', 'main', 'off');
$r->told('osaka', qr/order: maintenance off .*by="?\Q@{[Kura::user()]}\E \(user /,
	'does what it did');

# ---- a reload takes it away again, also from who is connected ----

my $held = Kura::spawn(member(['games'], $^X, '-e', <<'END', $socket, $tokyo->dir));
use IO::Socket::UNIX;
my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die;
$| = 1;
for my $i (1, 2) {
	print {$s} "{\"version\":1,\"request\":\"status\"}\n"; $s->flush;
	my $l = <$s> // die; print substr($l, 0, 30), "\n";
	my $t = 0;
	select(undef, undef, undef, 0.1) while $i == 1 && !-e "$ARGV[1]/go" && $t++ < 300;
}
END
Kura::wait_until(sub { $held->out ne '' });
$tokyo->site(observe_group => $group{failover});
$tokyo->pgkura_ok('another reload', 'reload');
Kura::write_file($tokyo->dir . '/go', '');
$held->wait(60);
like($held->out, qr/^\{"site".*\n\{"error":\{"kind":"refused"/,
	'who is connected has lost it');
is(may(['games']), join(' ', map { "-$_->[0]" } @things), 'and who comes anew');
$tokyo->site(observe_group => 'nosuchgroup');
$tokyo->pgkura_fails('a group that is not there', 2,
	qr/observe_group: there is no group "nosuchgroup"/, 'reload');
is(kind((ask(['uucp'], { request => 'status' }))[0]), 'ok', 'the rest stays as it was');
$r->sites->stop($_) for qw(tokyo osaka);
done_testing();
