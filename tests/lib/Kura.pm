package Kura;

# Kura: what test scripts in Perl need besides Test::More: scratch folders,
# programs that are run, and PostgreSQL servers of any version (Kura::Cluster).
# Everything started is ended, and every folder removed, when the script ends,
# also when it dies or gets SIGINT or SIGTERM.  Scripts may run in parallel.
#
#	use lib "$ENV{PGKURA_SRC}/tests/lib";
#	use Test::More;
#	use Kura;
#
#	plan skip_all => 'no PostgreSQL here' unless Kura::servers();
#	for my $major (Kura::servers()) {
#		my $primary = Kura::Cluster->new(major => $major, name => 'main');
#		$primary->start;
#		$primary->psql('CREATE TABLE t AS SELECT 1 AS a');
#		my $standby = $primary->standby(name => 'standby');
#		$standby->start;
#		$standby->wait_for('SELECT count(*) = 1 FROM t');
#		is($standby->psql('SELECT a FROM t'), '1', 'the row is there');
#	}
#	done_testing();
#
# Functions:
#
#	servers()	majors that run here, ascending.  $PGKURA_MAJORS ("15 17")
#			narrows them.
#	bindir(MAJOR)	folder of its postgres, initdb and pg_ctl
#	client(NAME)	path of psql, pgbench...: the newest installed, undef
#	src(), build()	top of the source and of the build
#	program(NAME)	path of our program, or of tests/programs/NAME
#
#	tempdir()	a new folder, short as a socket's path wants; servers' user
#			may enter it
#	write_file(PATH, TEXT)	slurp(PATH)	append_file(PATH, TEXT)
#	free_port()	a TCP port of 127.0.0.1 nobody uses now, nor another script
#			while this one runs
#
#	run([\%how,] COMMAND...)	(status, stdout, stderr)
#			status is 128 + signal for a killed one.  how: stdin =>
#			text, env => {NAME => value or undef}, cwd => folder,
#			timeout => seconds (default 300, then SIGKILL and status
#			137), as_user => 1
#	run_ok(NAME, COMMAND...)	one check: status 0; returns stdout
#	facts(TEXT)	a hash of the lines "name value" in TEXT, last one wins
#	driver(NAME, ARGS...)	facts of what tests/programs/NAME says; {status}
#			is its exit status
#	spawn([\%how,] COMMAND...)	a Kura::Process that runs beside us
#	user()		the name servers run as: ours, or "postgres" or "nobody"
#			for root, since PostgreSQL refuses root
#	as_user(COMMAND...)	the words that run COMMAND as that user:
#			Kura::run(Kura::as_user('cp', '-a', $from, $to))
#	wait_until(CODE[, SECONDS])	call CODE until it is true; false when
#			it never was in SECONDS (60)
#	at_end(CODE)	call CODE when the script ends, after what it started has
#	sanitizer	of the build: "address", "thread", undef
#
# Programs of a build with sanitizers may be started by a server or a daemon that
# goes on when they die: the script fails at its end when any has left a report.
#
# Kura::Process: ->pid ->alive ->kill(SIGNAL) ->wait([SECONDS]) (status, undef
# when it still runs) ->out ->err (what it has written so far).

use strict;
use warnings;

use Carp qw(croak);
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use File::Temp ();
use IO::Socket::INET ();
use POSIX qw(WNOHANG);
use Socket qw(PF_UNIX SOCK_DGRAM pack_sockaddr_un);
use Test::More ();
use Time::HiRes qw(sleep time);

my $main_pid = $$;
my @tempdirs;
my @processes;
my $count = 0;

my $src = $ENV{PGKURA_SRC} // abs_path(dirname(abs_path(__FILE__)) . '/../..');
my $build = $ENV{PGKURA_BUILD} // $src;

sub src { return $src; }
sub build { return $build; }

sub program
{
	my ($name) = @_;

	for my $path ("$build/$name", "$build/tests/programs/$name") {
		return $path if -f $path && -x _;
	}
	croak("program \"$name\" has not been built in \"$build\"");
}

# Orphans of programs that we ran, such as a postmaster, become our children
# (PR_SET_CHILD_SUBREAPER, prctl(2)), so that a killed one is gone at once and
# not when the machine's first process gets to it.
my %prctl = (x86_64 => 157, aarch64 => 167);
if (my $number = $prctl{ (POSIX::uname())[4] }) {
	syscall($number, 36, 1, 0, 0, 0);
}

# The language of whoever runs us, and where his psql goes, are none of ours.
delete @ENV{ 'LANGUAGE', grep { /^PG/ && !/^PGKURA_/ } keys %ENV };
$ENV{LC_ALL} = 'C.UTF-8';

# ---- sanitizers ----

# Any user's programs write there.  Where AddressSanitizer is beside it, UBSan's word
# goes to stderr whatever its options say: it is made to abort, which the other tells
# of, with the same stack.
my $reports = File::Temp::mkdtemp('/tmp/pgk-san.XXXXXX')
    // croak("could not make a folder for reports: $!");
chmod(01777, $reports) or croak("could not open \"$reports\": $!");
my %sanitizers = (ASAN_OPTIONS => 'handle_abort=1', TSAN_OPTIONS => undef,
	UBSAN_OPTIONS => 'print_stacktrace=1:abort_on_error=1');
for my $name (keys %sanitizers) {
	$ENV{$name} = join ':', $ENV{$name} || (), $sanitizers{$name} // (),
	    "log_path=$reports/report";
}

# What the build is watched by: "address" (and UBSan), "thread", undef.
sub sanitizer
{
	my ($letter) = slurp(program('pgkurad')) =~ /__([at])san_init/;

	return { a => 'address', t => 'thread' }->{ $letter // '' };
}

# Show what is there; how many.  The search for leaks also tells there of threads
# that it could not look at, as they were ending: that is none.
sub show_reports
{
	my @found = grep { /ERROR: |WARNING: |runtime error: / }
	    map { slurp($_) } glob("$reports/*");

	Test::More::diag("a sanitizer reports:\n$_") for @found;
	remove_tree($reports);
	return scalar @found;
}

# ---- servers and their user ----

my $user = getpwuid($<) // $<;
if ($< == 0) {
	$user = getpwnam('postgres') ? 'postgres' : 'nobody';
}

sub user { return $user; }

sub as_user
{
	my (@command) = @_;

	return @command if $< != 0;
	my (undef, undef, $uid, $gid) = getpwnam($user);
	return ('setpriv', "--reuid=$uid", "--regid=$gid", '--clear-groups',
		'env', 'HOME=' . shared_home(), @command);
}

my %bindirs;

sub find_servers
{
	my $folder = $ENV{PGKURA_SERVERS};

	if (!defined $folder) {
		$folder = `'$src/scripts/get-servers' --folder`;
		chomp $folder;
	}
	for my $bin (glob('/usr/lib/postgresql/*/bin'), glob("$folder/*/bin")) {
		my ($major) = $bin =~ m{/(\d+)/bin$} or next;
		next if exists $bindirs{$major} || $major < 13;
		my ($status) = run(as_user("$bin/postgres", '--version'));
		$bindirs{$major} = $bin if $status == 0;
	}
	return;
}

sub servers
{
	my %wanted = map { $_ => 1 } split ' ', $ENV{PGKURA_MAJORS} // '';

	find_servers() if !%bindirs;
	return grep { !%wanted || $wanted{$_} } sort { $a <=> $b } keys %bindirs;
}

sub bindir
{
	my ($major) = @_;

	find_servers() if !%bindirs;
	return $bindirs{$major} // croak("no PostgreSQL $major here");
}

sub client
{
	my ($name) = @_;
	my @found = sort { ($b =~ m{/(\d+)/})[0] <=> ($a =~ m{/(\d+)/})[0] }
	    grep { -x } glob("/usr/lib/postgresql/*/bin/$name");

	return $found[0] if @found;
	for my $folder (split /:/, $ENV{PATH}) {
		return "$folder/$name" if -x "$folder/$name";
	}
	return;
}

# ---- files ----

sub tempdir
{
	my $dir = File::Temp::mkdtemp('/tmp/pgk.XXXXXX')
	    // croak("could not make a scratch folder: $!");

	push @tempdirs, $dir;
	chmod(0755, $dir) or croak("could not open \"$dir\": $!");
	if ($< == 0) {
		my (undef, undef, $uid, $gid) = getpwnam($user);
		chown($uid, $gid, $dir) or croak("could not give \"$dir\": $!");
	}
	return $dir;
}

my $own;

# Where outputs of programs go, and the home of servers' user.
sub own_dir
{
	$own //= tempdir();
	return $own;
}
sub shared_home { return own_dir(); }

sub write_file
{
	my ($path, $text, $mode) = @_;

	open(my $f, $mode // '>', $path) or croak("could not open \"$path\": $!");
	binmode $f;
	print {$f} $text or croak("could not write \"$path\": $!");
	close($f) or croak("could not write \"$path\": $!");
	return;
}

sub append_file { return write_file(@_[0, 1], '>>'); }

sub slurp
{
	my ($path) = @_;

	open(my $f, '<', $path) or croak("could not open \"$path\": $!");
	binmode $f;
	local $/ = undef;
	my $text = <$f>;
	close($f) or croak("could not read \"$path\": $!");
	return $text // '';
}

# Below those that the system gives to whoever asks for any (ip_local_port_range).
# Until its server listens, and while that is stopped, a name is held for it.
my @port_names;
my $port_count = 0;

sub free_port
{
	for (1 .. 1000) {
		my $port = 20000 + ($$ * 31 + $port_count++) % 12000;
		socket(my $name, PF_UNIX, SOCK_DGRAM, 0) or croak("socket: $!");
		bind($name, pack_sockaddr_un("\0pgkura-test-port.$port")) or next;
		IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port,
			Listen => 1) or next;
		push @port_names, $name;
		return $port;
	}
	croak('could not find a free port');
}

# ---- programs ----

sub spawn
{
	my (@command) = @_;
	my $how = ref $command[0] ? shift @command : {};

	@command = as_user(@command) if $how->{as_user};
	my $base = own_dir() . '/' . ++$count;
	my $in = '/dev/null';
	if (defined $how->{stdin}) {
		$in = "$base.in";
		write_file($in, $how->{stdin});
	}
	write_file("$base.$_", '') for qw(out err);
	my $pid = fork() // croak("could not fork: $!");
	if ($pid == 0) {
		child_become($how, $in, $base, @command);
	}
	my $process = bless { pid => $pid, base => $base, name => "@command" },
	    'Kura::Process';
	push @processes, $process;
	return $process;
}

# Never returns.  No END block may run in the child: POSIX::_exit().
sub child_become
{
	my ($how, $in, $base, @command) = @_;

	$SIG{$_} = 'DEFAULT' for qw(INT TERM PIPE);
	while (my ($name, $value) = each %{ $how->{env} // {} }) {
		if (defined $value) { $ENV{$name} = $value; }
		else { delete $ENV{$name}; }
	}
	open(STDIN, '<', $in) or POSIX::_exit(126);
	open(STDOUT, '>', "$base.out") or POSIX::_exit(126);
	open(STDERR, '>', "$base.err") or POSIX::_exit(126);
	if (defined $how->{cwd}) {
		chdir($how->{cwd}) or POSIX::_exit(126);
	}
	{
		no warnings 'exec';
		exec { $command[0] } @command;
	}
	print STDERR "could not run \"$command[0]\": $!\n";
	POSIX::_exit(127);
}

sub run
{
	my (@command) = @_;
	my $how = ref $command[0] ? $command[0] : {};
	my $process = spawn(@command);
	my $status = $process->wait($how->{timeout} // 300);

	if (!defined $status) {
		$process->kill('KILL');
		$status = $process->wait(10);
		Test::More::diag("took too long, killed: $process->{name}");
	}
	my @result = ($status, $process->out, $process->err);
	$process->forget;
	return @result;
}

sub run_ok
{
	my ($name, @command) = @_;
	my ($status, $out, $err) = run(@command);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	Test::More::is($status, 0, $name)
	    or Test::More::diag("@command\n$out$err");
	return $out;
}

sub facts
{
	my ($text) = @_;
	my %facts;

	for my $line (split /\n/, $text) {
		$facts{$1} = $2 if $line =~ /^(\S+) ?(.*)$/;
	}
	return \%facts;
}

sub driver
{
	my ($name, @args) = @_;
	my ($status, $out, $err) = run(program($name), @args);
	my $facts = facts($out);

	Test::More::diag("$name: $err") if $err ne '';
	$facts->{status} = $status;
	return $facts;
}

sub wait_until
{
	my ($code, $seconds) = @_;
	my $until = time() + ($seconds // 60);

	while (1) {
		my $value = $code->();
		return $value if $value;
		return $value if time() > $until;
		sleep(0.05);
	}
}

# One check: the command that a status (what $look gives) tells to type, when what
# passes, a line that is silent for a moment, has passed.
sub next_is
{
	my ($look, $command, $what) = @_;
	my $next;

	wait_until(sub {
		$next = $look->()->{health}{next};
		return ($next // '') eq $command;
	});
	local $Test::Builder::Level = $Test::Builder::Level + 2;
	return Test::More::is($next, $command, $what);
}

# ---- the end ----

my @at_end;

sub at_end
{
	push @at_end, @_;
	return;
}

# A server that was killed leaves its memory: the system has room for 4,096 such.
sub free_memory
{
	for my $file (map { glob("$_/postmaster.pid $_/*/postmaster.pid") } @_) {
		my $text = eval { slurp($file) } // next;
		my ($id) = ((split /\n/, $text)[6] // '') =~ /^\s*\d+\s+(\d+)/;

		run('ipcrm', '-m', $id) if defined $id;
	}
	return;
}

sub clean_up
{
	return if $$ != $main_pid;
	my $status = $?;
	Kura::Cluster::end_all();
	for my $process (@processes) {
		$process->kill('KILL') if $process->alive;
		$process->wait(5);
	}
	@processes = ();
	$_->() for splice @at_end;
	$status = 1 if show_reports() && $status == 0;
	if ($ENV{PGKURA_KEEP}) {
		Test::More::diag("kept: @tempdirs") if @tempdirs;
	} else {
		free_memory(@tempdirs);
		remove_tree(@tempdirs);
	}
	@tempdirs = ();
	$? = $status;
	return;
}

$SIG{INT} = $SIG{TERM} = sub { die "ended by a signal\n" };

END { clean_up(); }

package Kura::Process;

use strict;
use warnings;
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

sub pid { return $_[0]{pid}; }
sub out { return Kura::slurp("$_[0]{base}.out"); }
sub err { return Kura::slurp("$_[0]{base}.err"); }

# Has it ended?  Takes its status once.
sub reap
{
	my ($self) = @_;

	return 1 if defined $self->{status};
	return 0 if waitpid($self->{pid}, WNOHANG) != $self->{pid};
	$self->{status} = $? & 127 ? 128 + ($? & 127) : $? >> 8;
	return 1;
}

sub alive { return !$_[0]->reap; }

sub kill
{
	my ($self, $signal) = @_;

	return 0 if $self->reap;
	return kill($signal, $self->{pid});
}

sub wait
{
	my ($self, $seconds) = @_;
	my $until = time() + ($seconds // 300);
	my $pause = 0.001;

	while (!$self->reap) {
		return if time() > $until;
		sleep($pause);
		$pause = $pause * 1.5 if $pause < 0.05;
	}
	return $self->{status};
}

# Its files are no longer wanted.
sub forget
{
	my ($self) = @_;

	@processes = grep { $_ != $self } @processes;
	unlink map { "$self->{base}.$_" } qw(in out err);
	return;
}

require Kura::Cluster;
require Kura::Site;

1;
