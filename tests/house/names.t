#!/usr/bin/perl
# No function of ours has the name of one in a library that we link: the
# library's own calls would reach ours.  (archive_read_free() once did.)

use strict;
use warnings;

use Test::More;

my $build = $ENV{PGKURA_BUILD} // '.';
plan skip_all => 'nm or ldd is missing'
    unless `nm --version 2>&1` =~ /GNU|LLVM/ && `ldd --version 2>&1` =~ /\w/;

sub functions
{
	my (@command) = @_;
	my %names;

	open(my $nm, '-|', 'nm', '--defined-only', @command)
	    or die "could not run nm: $!\n";
	while (my $line = <$nm>) {
		$names{$1} = 1 if $line =~ / T ([A-Za-z_]\w*)(@|$)/;
	}
	close($nm);
	return \%names;
}

for my $program (grep { -x "$build/$_" } qw(pgkura pgkurad)) {
	my $ours = functions("$build/$program");
	my @libraries = grep { !m{/libasan|/libubsan|/libtsan} }
	    map { m{=> (/\S+)} ? $1 : () } `ldd '$build/$program'`;

	for my $library (@libraries) {
		my $theirs = functions('-D', $library);
		my @both = grep { $ours->{$_} && !/^_/ }
		    sort keys %$theirs;
		is("@both", '', "$program: nothing of $library");
	}
}
done_testing();
