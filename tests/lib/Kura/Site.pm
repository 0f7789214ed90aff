package Kura::Site;

# Kura::Site: a site of ours in a scratch folder: configuration, repository,
# state; and the command pgkura, run as the servers' user.
#
#	my $site = Kura::Site->new;	# in => [$wan->in('tokyo')]: words before
#					# its commands (Kura::Wan)
#	$site->cluster('main', conninfo => $primary->conninfo, slot => 'none');
#	$site->pgkura_ok('makes the repository', 'init');
#	my $receiver = $site->receive('main');	# a Kura::Process, begun
#	$site->pgkura_ok('backs up', 'backup', 'main');
#	$site->wait_wal('main', $primary->lsn);
#
#	->dir ->conf ->repo ->state
#	->cluster(NAME, KEY => VALUE...)	a section of the configuration
#	->site(KEY => VALUE...)		more of the section [pgkura]
#	->peer(NAME, KEY => VALUE...)	a section [peer NAME]
#	->pgkura(WORD...)	(status, stdout, stderr)
#	->pgkura_ok(NAME, WORD...)	one check: status 0; gives stdout
#	->pgkura_fails(NAME, STATUS, qr/message/, WORD...)	one check
#	->json(WORD...)		what --json prints, read; dies on failure
#	->wait_wal(CLUSTER, LSN[, SECONDS])	until the archive has WAL up to LSN
#	->restored(CLUSTER => $primary, to => FOLDER, conf => {...})	a
#			Kura::Cluster of a restored directory, not started

use strict;
use warnings;

use Carp qw(croak);
use JSON::PP ();
use Test::More ();

sub new
{
	my ($class, %arg) = @_;
	my $dir = Kura::tempdir();
	my $self = bless { dir => $dir, clusters => {}, site => {}, peers => {},
		in => $arg{in} // [] }, $class;

	Kura::run(Kura::as_user('mkdir', "$dir/state", "$dir/run"));
	$self->write_conf;
	return $self;
}

sub dir { return $_[0]{dir}; }
sub conf { return "$_[0]{dir}/pgkura.conf"; }
sub repo { return "$_[0]{dir}/repo"; }
sub state { return "$_[0]{dir}/state"; }

sub write_conf
{
	my ($self) = @_;
	my %site = (repository => $self->repo, state_dir => $self->state,
		runtime_dir => "$self->{dir}/run", min_free_bytes => '0B',
		%{ $self->{site} });
	my $text = "[pgkura]\n";

	$text .= "$_ = $site{$_}\n" for sort keys %site;
	for my $name (sort keys %{ $self->{clusters} }) {
		my %c = %{ $self->{clusters}{$name} };
		$text .= "[cluster $name]\n";
		$text .= "$_ = $c{$_}\n" for sort keys %c;
	}
	for my $name (sort keys %{ $self->{peers} }) {
		my %p = %{ $self->{peers}{$name} };
		$text .= "[peer $name]\n";
		$text .= "$_ = $p{$_}\n" for sort keys %p;
	}
	# At once: a restore_command may read it just now, and a half one stops its
	# server.
	my $new = $self->conf . '.new';
	Kura::write_file($new, $text);
	if (my @was = stat($self->conf)) {
		chown($was[4], $was[5], $new) == 1
		    && chmod($was[2] & 07777, $new) == 1
		    or croak("could not hand on the owner of \"$new\": $!");
	}
	rename($new, $self->conf) or croak("could not rename \"$new\": $!");
	return;
}

sub cluster
{
	my ($self, $name, %values) = @_;

	$self->{clusters}{$name} = {%values};
	$self->write_conf;
	return;
}

sub peer
{
	my ($self, $name, %values) = @_;

	$self->{peers}{$name} = {%values};
	$self->write_conf;
	return;
}

sub site
{
	my ($self, %values) = @_;

	$self->{site} = { %{ $self->{site} }, %values };
	$self->write_conf;
	return;
}

sub words
{
	my ($self, @words) = @_;

	return (@{ $self->{in} }, Kura::as_user('env',
			'PGKURA_CONF=' . $self->conf, Kura::program('pgkura'), @words));
}

# The daemon expires, too, when it sees fit: an expire waits for that.
sub pgkura
{
	my ($self, @words) = @_;
	my @result;

	Kura::wait_until(sub {
		@result = Kura::run($self->words(@words));
		return $result[0] != 75 || $result[2] !~ /: another expire /;
	});
	return @result;
}

sub pgkura_ok
{
	my ($self, $name, @words) = @_;
	my ($status, $out, $err) = $self->pgkura(@words);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	Test::More::is($status, 0, $name)
	    || Test::More::diag("pgkura @words: $out$err");
	return $out;
}

sub pgkura_fails
{
	my ($self, $name, $want, $message, @words) = @_;
	my ($status, $out, $err) = $self->pgkura(@words);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return Test::More::ok($status == $want && $err =~ $message, $name)
	    || Test::More::diag("status $status, not $want: $out$err");
}

sub json
{
	my ($self, @words) = @_;
	my ($status, $out, $err) = $self->pgkura(@words, '--json');

	croak("pgkura @words: status $status: $err") if $status != 0;
	return JSON::PP::decode_json($out);
}

# It has its lock, or has ended: a backup that finds no receiver runs one of its
# own, and then this one could not begin.
sub receive
{
	my ($self, $cluster) = @_;
	my $p = Kura::spawn($self->words('wal', 'receive', $cluster));
	my $status = $self->state . "/$cluster/receiver.json";
	my $of_it = sub {
		my $text = eval { Kura::slurp($status) } // return 0;
		return $text =~ /"pid": *(\d+)/ && $1 == $p->pid;
	};

	Kura::wait_until(sub { return !$p->alive || $of_it->() })
	    || croak("the receiver of $cluster does not begin");
	return $p;
}

sub lsn_number
{
	my ($lsn) = @_;
	my ($high, $low) = split m{/}, $lsn;

	return hex($high) * 2**32 + hex($low);
}

sub wait_wal
{
	my ($self, $cluster, $lsn, $seconds) = @_;
	my $want = lsn_number($lsn);
	my $there = sub {
		my $wal = $self->json('wal', 'list', $cluster);
		return grep { lsn_number($_->{end_lsn}) >= $want }
		    @{ $wal->{spans} };
	};

	return Kura::wait_until($there, $seconds // 60)
	    || croak("WAL of $cluster up to $lsn did not arrive");
}

sub restored
{
	my ($self, %arg) = @_;

	return Kura::Cluster->adopt(pgdata => $arg{to},
		major => $arg{of}->major, name => 'restored',
		conf => $arg{conf} // {});
}

1;
