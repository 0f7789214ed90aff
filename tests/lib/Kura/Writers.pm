package Kura::Writers;

# Kura::Writers: a client at each of two sites that inserts all the time, and what
# was acknowledged to whom, when.
#
#	my $w = Kura::Writers->new($roles);	# makes the table w
#	$w->acknowledged('tokyo')	times, CLOCK_BOOTTIME in us
#	$w->wait_for('osaka'[, SECONDS])	until one is acknowledged that was asked
#			for from now on
#	$w->begin		what was before does not count any more
#	$w->late('tokyo', 'osaka')	what tokyo acknowledged after osaka's first
#	$w->never_two('tokyo', 'osaka', NAME)	one check: nothing

use strict;
use warnings;

use Test::More ();
use Time::HiRes ();
use Kura ();

sub now { return int(Time::HiRes::clock_gettime(7) * 1e6); }

sub new
{
	my ($class, $roles) = @_;
	my $dir = Kura::tempdir();
	my $self = bless { dir => $dir, since => 0 }, $class;

	$roles->primary->psql('CREATE TABLE w (site text, n bigint)');
	for my $site (qw(tokyo osaka)) {
		my $server = $roles->server($site);

		$self->{process}{$site} = Kura::spawn(
			Kura::as_user(Kura::program('writer'),
				$server->conninfo(dbname => 'postgres'), $site,
				"$dir/$site"));
	}
	return $self;
}

sub begin { return $_[0]{since} = now(); }

# Pairs of when it was asked for, when acknowledged.
sub rows
{
	my ($self, $site) = @_;
	my $text = eval { Kura::slurp("$self->{dir}/$site") } // '';

	return grep { $_->[0] >= $self->{since} || $_->[1] >= $self->{since} }
	    map { [split ' '] } grep { /^\d+ \d+ \d+$/ } split /\n/, $text;
}

sub acknowledged { return map { $_->[1] } rows(@_); }

sub wait_for
{
	my ($self, $site, $seconds) = @_;
	my $from = now();

	return Kura::wait_until(sub {
		my @rows = $self->rows($site);
		return @rows && $rows[-1][0] >= $from;
	}, $seconds // 120);
}

sub late
{
	my ($self, $old, $new) = @_;
	my ($first) = sort { $a <=> $b } $self->acknowledged($new);

	return () if !defined $first;
	return grep { $_ > $first } $self->acknowledged($old);
}

sub never_two
{
	my ($self, $old, $new, $name) = @_;
	my @late = $self->late($old, $new);
	my ($last) = sort { $b <=> $a } $self->acknowledged($old);
	my ($first) = sort { $a <=> $b } $self->acknowledged($new);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	Test::More::diag(sprintf '%s: %d rows at %s, the last %.2f s before the '
		. 'first of %s', $name, scalar(() = $self->acknowledged($old)),
		$old, ($first - $last) / 1e6, $new) if $first && $last;
	return Test::More::is(scalar @late, 0,
		"$name: nothing is acknowledged at $old after the first at $new");
}

1;
