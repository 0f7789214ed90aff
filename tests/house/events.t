#!/usr/bin/perl
# doc/events.md lists each event that the programs can say, and no other.

use strict;
use warnings;

use Test::More;

my $src = $ENV{PGKURA_SRC} // '.';

# What says an event: which of its arguments is the name.
my %sayers = (log_event => 1, log_error => 0, courier_complain => 1,
	listen_tell => 1, rule_event => 2);
# Functions of one file.
my %own = ('jobs/follow.c' => { event => 2 },
	'jobs/rule_handover.c' => { tell => 1 });
# Where a name is handed on, or comes from a table.
my %hand_on = map { $_ => 1 } qw(base/log.c daemon/alarm.c daemon/duty_run.c
	jobs/courier.c jobs/follow.c jobs/listen.c jobs/receive.c jobs/rule.c
	jobs/rule_handover.c jobs/rule_verdict.c);

sub slurp
{
	my ($path) = @_;

	open(my $f, '<', "$src/$path") or die "could not open $path: $!\n";
	local $/ = undef;
	my $text = <$f>;
	close($f);
	return $text;
}

my $string = qr/"(?:[^"\\]|\\.)*"/;
my $inner = qr/(?<inner>(?:[^()"]|$string|\((?&inner)\))*)/;

# The arguments between the outer parentheses.
sub arguments
{
	my ($text) = @_;
	my ($depth, $one, @all) = (0, '');

	while ($text =~ /\G($string|.)/gs) {
		my $piece = $1;

		$depth++ if $piece eq '(' || $piece eq '{';
		$depth-- if $piece eq ')' || $piece eq '}';
		if ($piece eq ',' && $depth == 0) {
			push @all, $one;
			$one = '';
		} else {
			$one .= $piece;
		}
	}
	return (@all, $one);
}

my %said;
my @paths = map { s{^\Q$src\E/src/}{}r } glob("$src/src/*/*.c");

for my $path (@paths) {
	my $text = slurp("src/$path") =~ s{/\*.*?\*/}{}sgr;
	my %here = (%sayers, %{ $own{$path} // {} });
	my $names = join '|', sort keys %here;

	$text =~ s/OWN_PREFIX "/"event_hook_/g;
	while ($text =~ /\b($names)\($inner\)/g) {
		my ($sayer, $all) = ($1, $+{inner});
		my $event = (arguments($all))[ $here{$sayer} ] // '';
		my @found = $event =~ /"([a-z][a-z_]*)"/g;

		$said{$_}{$path} = 1 for @found;
		ok($hand_on{$path}, "$path: $sayer() has the event's name")
		    || diag($all)
		    if !@found;
	}
}

# Tables and the like.
my ($kinds) = slurp('src/daemon/alarm.c') =~ /kinds\[ALARM_COUNT\] = \{(.*?)^\};/ms;
for my $name ($kinds =~ /\{\s*"([a-z_]+)"/g) {
	$said{$_}{alarms} = 1 for $name, "${name}_cleared";
}
my ($runs) = slurp('src/daemon/duty_run.c') =~ /\} runs\[\] = \{(.*?)^\};/ms;
$said{"${_}_failed"}{duties} = 1 for $runs =~ /\{ "([a-z]+)"/g, 'courier';
$said{$_}{'jobs/rule_verdict.c'} = 1
    for slurp('src/jobs/rule_verdict.c') =~ /\{ EVENT_\w+, LOG_LEVEL_\w+, "([a-z_]+)"/g;
my ($kind) = slurp('src/jobs/receive.c') =~ /^event_of\(.*?\{(.*?)^\}/ms;
$said{$_}{'jobs/receive.c'} = 1 for $kind =~ /return "([a-z_]+)"/g;

my $doc = slurp('doc/events.md');
my %listed;
for my $line (split /\n/, $doc) {
	my ($events) = $line =~ /^\| (`[^|]*`) \|/ or next;
	$listed{$_}++ for $events =~ /`([a-z_]+)`/g;
}
# An alarm's end needs no line of its own.
for my $name (map { /^(.*)_cleared$/ ? $1 : () } keys %said) {
	$listed{"${name}_cleared"}++ if $listed{$name};
}

cmp_ok(scalar keys %said, '>', 120, 'events are found in the source');
for my $name (sort keys %said) {
	ok($listed{$name}, "$name is in doc/events.md")
	    || diag('said in ' . join ', ', sort keys %{ $said{$name} });
}
for my $name (sort keys %listed) {
	ok($said{$name}, "$name of doc/events.md is said somewhere");
	is($listed{$name}, 1, "$name is there once");
}
is(join(" ", grep { !/^[a-z]+(?:_[a-z]+)*$/ } keys %said), "",
	"names are snake_case");
done_testing();
