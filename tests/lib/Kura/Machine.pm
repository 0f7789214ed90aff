package Kura::Machine;

# Kura::Machine: a machine of its own, under qemu without KVM, whose root is made of
# files of this host.  It can sleep and be halted.  Slow: ten times slower than this one.
#
#	my $lacks = Kura::Machine::lacks();
#	plan skip_all => $lacks if $lacks;
#	my $m = Kura::Machine->new(
#		programs => [PATH...],	# and the libraries that they need
#		libraries_of => [PATH...],	# of programs that are in files
#		files => [PATH...],	# with all below them
#		ports => [PORT...]);	# 127.0.0.1:PORT here leads to PORT there
#	$m->start;		# until it answers
#	$m->in			words before a command that is to run there
#	$m->run(WORD...)	(status, stdout, stderr); ->run_ok dies on failure
#	$m->spawn(LOG, WORD...)	goes on there; LOG is a file there
#	$m->fall_asleep		suspend to memory, until it sleeps; ->wake,
#				until it answers
#	$m->halt		no processor goes on, nor any clock; ->go_on
#	$m->console		what its kernel has said
#	$m->kill		it is gone
#
# It has the address Kura::Machine::ADDRESS, and finds this host's loopback at
# Kura::Machine::HOST, in a network inside qemu: nothing of it is seen outside.

use strict;
use warnings;

use Carp qw(croak);
use Cwd qw(abs_path);
use File::Basename qw(basename dirname);
use IO::Socket::UNIX ();
use JSON::PP ();
use Socket qw(SOCK_STREAM);
use Kura ();

use constant { ADDRESS => '10.0.2.15', HOST => '10.0.2.2' };

my @modules = qw(virtio_pci virtio_blk virtio_net crc32c_generic ext4);
# What is started by name there, besides busybox, whose shell and setsid would take its
# own setpriv, which can less.
my @tools = map { "/usr/bin/$_" } qw(dash env prlimit setpriv setsid);

sub folder
{
	my $folder = Kura::src() . '/scripts/get-machine';

	chomp($folder = `'$folder' --folder`);
	return "$folder/machine";
}

# Why there can be none here; undef when there can.
sub lacks
{
	my $get = 'scripts/get-machine brings it';

	return "no qemu-system-x86_64 here: $get"
	    if !defined which('qemu-system-x86_64');
	return "no kernel for a machine here: $get" if !-f folder() . '/kernel';
	return 'no mke2fs here' if !defined which('mke2fs');
	return;
}

sub which
{
	my ($name) = @_;
	my ($path) = grep { -x } map { "$_/$name" }
	    split(/:/, $ENV{PATH}), '/usr/sbin', '/sbin';

	return $path;
}

# ---- its root ----

sub is_elf
{
	my ($path) = @_;

	open(my $f, '<', $path) or return 0;
	binmode $f;
	my $read = read($f, my $head, 4);
	return $read == 4 && $head eq "\x7fELF";
}

# The libraries that these need, by their names where they really lie.
sub libraries
{
	my (@paths) = @_;
	my ($status, $out) = Kura::run('ldd', @paths);

	return map { abs_path(dirname($_)) . '/' . basename($_) }
	    $out =~ m{(?:=>\s+|^\s+)(/\S+) \(0x}gm;
}

sub shell
{
	my (@words) = @_;
	my ($status, $out, $err) = Kura::run(@words);

	croak("@words: $out$err") if $status != 0;
	return $out;
}

# To the same names there; folders above them are anybody's.
sub copy
{
	my ($self, $how, @paths) = @_;
	my %in;

	push @{ $in{ dirname($_) } }, $_ for @paths;
	for my $folder (sort keys %in) {
		my $to = "$self->{dir}/root$folder";

		shell('mkdir', '-p', $to);
		shell('cp', $how, @{ $in{$folder} }, "$to/");
	}
	return;
}

my $inittab = <<'END';
::sysinit:/sbin/begin
ttyS1::respawn:/sbin/answer
END

my $begin = <<'END';
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
ip link set lo up
ip addr add ADDRESS/24 dev eth0
ip link set eth0 up
ip route add default via HOST
echo 'the machine is ready' >/dev/console
END

# One line in: a name and a command; one line out: the name, status, outputs.
my $answer = <<'END';
#!/bin/sh
exec </dev/ttyS1 >/dev/ttyS1
stty raw -echo
while read -r id words; do
	[ -n "$words" ] || continue
	echo "$words" | base64 -d >/run/words
	sh /run/words </dev/null >/run/out 2>/run/err
	status=$?
	echo
	echo "$id $status o$(base64 /run/out | tr -d '\n') e$(base64 /run/err | tr -d '\n')"
done
END

sub put
{
	my ($self, $path, $text, $mode) = @_;

	$text =~ s/\bADDRESS\b/${\ADDRESS}/g;
	$text =~ s/\bHOST\b/${\HOST}/g;
	Kura::write_file("$self->{dir}/root/$path", $text);
	chmod($mode // 0644, "$self->{dir}/root/$path");
	return;
}

sub make_root
{
	my ($self, %arg) = @_;
	my $root = "$self->{dir}/root";
	my (undef, undef, $uid, $gid) = getpwnam(Kura::user());
	my @programs = (@tools, @{ $arg{programs} // [] });
	my %library = map { $_ => 1 } libraries(grep { is_elf($_) }
	    @programs, @{ $arg{libraries_of} // [] });

	shell('mkdir', '-p', map { "$root/$_" }
		qw(usr/bin usr/sbin usr/lib usr/lib64 etc proc sys dev run tmp var));
	for my $name (qw(bin sbin lib lib64)) {
		symlink("usr/$name", "$root/$name") or croak("\"$name\": $!");
	}
	chmod(01777, "$root/tmp");
	shell('cp', folder() . '/busybox', "$root/bin/busybox");
	$self->copy('-pL', sort keys %library);
	$self->copy('-pL', @programs);
	$self->copy('-a', @{ $arg{files} // [] });
	symlink('dash', "$root/bin/sh");
	# A name that has come with the host's files stays.
	for my $name (split ' ', shell(folder() . '/busybox', '--list')) {
		symlink('/bin/busybox', "$root/bin/$name")
		    if !-e "$root/bin/$name" && $name ne 'busybox';
	}
	symlink('/bin/busybox', "$root/sbin/init");
	$self->put('etc/inittab', $inittab);
	$self->put('sbin/begin', $begin, 0755);
	$self->put('sbin/answer', $answer, 0755);
	$self->put('etc/passwd', "root:x:0:0::/:/bin/sh\n"
		. ($uid ? Kura::user() . ":x:$uid:$gid\::/:/bin/sh\n" : ''));
	$self->put('etc/group', "root:x:0:\n" . ($gid ? "users:x:$gid:\n" : ''));
	$self->put('etc/hosts', "127.0.0.1 localhost\n");
	shell('find', $root, '-type', 's', '-delete');
	shell(which('mke2fs'), '-q', '-F', '-t', 'ext4', '-m', '0', '-d', $root,
		"$self->{dir}/disk", '3G');
	shell('rm', '-rf', $root);
	return;
}

# ---- what the kernel needs to get at it ----

# Modules in the order in which they go in: each behind what it needs.
sub with_needed
{
	my ($seen, @names) = @_;
	my @all;

	for my $name (@names) {
		my $path = folder() . "/modules/$name.ko";

		next if $seen->{$name}++ || !-f $path;
		my ($needs) = Kura::slurp($path) =~ /\0depends=([^\0]*)\0/;
		push @all, with_needed($seen, split /,/, $needs // ''), $name;
	}
	return @all;
}

my $inodes = 0;

# An entry of a cpio archive: initramfs, "newc" (the kernel's buffer-format.rst).
sub entry
{
	my ($name, $mode, $data) = @_;
	my $entry = sprintf('070701' . '%08X' x 13, ++$inodes, $mode, 0, 0, 1, 0,
		length $data, 0, 0, 0, 0, length($name) + 1, 0) . "$name\0";

	$entry .= "\0" x (-length($entry) % 4) . $data;
	return $entry . "\0" x (-length($entry) % 4);
}

sub make_initramfs
{
	my ($self) = @_;
	my @all = with_needed({}, @modules);
	my $init = <<'END';
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for name in MODULES; do
	/bin/busybox insmod /modules/$name.ko
done
until [ -b /dev/vda ]; do
	/bin/busybox sleep 0.1
done
/bin/busybox mount -t ext4 /dev/vda /root
exec /bin/busybox switch_root /root /sbin/init
END
	$init =~ s/MODULES/@all/;
	my $archive = join '', (map { entry($_, 040755, '') }
		    qw(bin dev modules proc root)),
	    entry('bin/busybox', 0100755, Kura::slurp(folder() . '/busybox')),
	    entry('init', 0100755, $init),
	    (map { entry("modules/$_.ko", 0100644,
			    Kura::slurp(folder() . "/modules/$_.ko")) } @all),
	    entry('TRAILER!!!', 0, '');

	Kura::write_file("$self->{dir}/initramfs", $archive);
	return;
}

# ---- it ----

sub new
{
	my ($class, %arg) = @_;
	my $self = bless { dir => Kura::tempdir(), ports => $arg{ports} // [] },
	    $class;

	$self->make_root(%arg);
	$self->make_initramfs;
	return $self;
}

sub start
{
	my ($self) = @_;
	my $dir = $self->{dir};
	my $net = join ',', 'user,id=net', 'restrict=off', map {
		"hostfwd=tcp:127.0.0.1:$_-${\ADDRESS}:$_"
	} @{ $self->{ports} };

	$self->{qemu} = Kura::spawn('qemu-system-x86_64', '-accel', 'tcg,thread=multi',
		'-machine', 'pc', '-global', 'PIIX4_PM.disable_s3=0',
		'-cpu', 'max', '-smp', 2, '-m', '1536', '-display', 'none',
		'-nodefaults', '-no-reboot', '-no-user-config',
		'-kernel', folder() . '/vmlinuz', '-initrd', "$dir/initramfs",
		'-append', 'console=ttyS0 panic=-1 mitigations=off no_console_suspend tsc=reliable',
		'-drive', "file=$dir/disk,format=raw,if=virtio,cache=unsafe",
		'-netdev', $net, '-device', 'virtio-net-pci,netdev=net,romfile=',
		'-serial', "file:$dir/console",
		'-chardev', "socket,id=line,path=$dir/line,server=on,wait=off",
		'-serial', 'chardev:line',
		'-qmp', "unix:$dir/qmp,server=on,wait=off");
	my $ready = sub {
		croak('qemu has ended: ' . $self->{qemu}->err . $self->console)
		    if !$self->{qemu}->alive;
		return $self->console =~ /the machine is ready/;
	};
	Kura::wait_until($ready, 300) or croak('it does not start: ' . $self->console);
	return $self->wait_answer;
}

# What is said to the line before somebody listens is lost.
sub wait_answer
{
	my ($self) = @_;

	Kura::wait_until(sub {
		my ($status) = Kura::run({ timeout => 20 }, $self->in, 'true');
		return $status == 0;
	}, 120) or croak('the machine does not answer: ' . $self->console);
	return $self;
}

sub console { return eval { Kura::slurp("$_[0]{dir}/console") } // ''; }
sub in { return (Kura::src() . '/tests/lib/in-machine', "$_[0]{dir}/line"); }
sub run { my ($self, @words) = @_; return Kura::run($self->in, @words); }

sub run_ok
{
	my ($self, @words) = @_;
	my ($status, $out, $err) = $self->run(@words);

	croak("in the machine: @words: status $status: $out$err")
	    if $status != 0;
	return $out;
}

sub spawn
{
	my ($self, $log, @words) = @_;

	$self->run_ok('sh', '-c', 'log=$1; shift; setsid "$@" >>"$log" 2>&1 &',
		'sh', $log, @words);
	return;
}

# ---- qemu's monitor ----

sub monitor
{
	my ($self, $command) = @_;
	my $line = IO::Socket::UNIX->new(Type => SOCK_STREAM,
		Peer => "$self->{dir}/qmp") or croak("no monitor: $!");
	my $answer;

	for my $name ('qmp_capabilities', $command) {
		print {$line} JSON::PP::encode_json({ execute => $name }), "\n";
		$line->flush;
		while (my $text = <$line>) {
			$answer = JSON::PP::decode_json($text);
			croak("qemu: $name: $text") if $answer->{error};
			last if exists $answer->{return};
		}
	}
	return $answer->{return};
}

sub state { return $_[0]->monitor('query-status')->{status}; }

sub wait_state
{
	my ($self, $state) = @_;

	return Kura::wait_until(sub { $self->state eq $state }, 60)
	    || croak("the machine is not $state but " . $self->state . "\n"
		    . $self->console);
}

sub fall_asleep
{
	my ($self) = @_;

	$self->spawn('/run/sleep', 'sh', '-c',
		'sleep 0.5; echo deep >/sys/power/mem_sleep; echo mem >/sys/power/state');
	return $self->wait_state('suspended');
}

sub wake
{
	my ($self) = @_;

	$self->monitor('system_wakeup');
	return $self->wait_answer;
}

sub halt { my ($self) = @_; $self->monitor('stop'); return $self->wait_state('paused'); }
sub go_on { return $_[0]->monitor('cont'); }
sub kill { my ($self) = @_; $self->{qemu}->kill('KILL'); return $self->{qemu}->wait(30); }

1;
