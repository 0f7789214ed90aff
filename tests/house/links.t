#!/usr/bin/perl
# Documents refer to files that exist.

use strict;
use warnings;
use Test::More;

chdir($ENV{PGKURA_SRC} // '.') or die "could not enter source: $!\n";
for my $page (sort(glob('*.md doc/*.md doc/*/*.md'))) {
	open(my $file, '<', $page) or die "could not open $page: $!\n";
	my ($folder) = $page =~ m{^(.*/)} ? $1 : '';
	my @gone;
	while (my $line = <$file>) {
		while ($line =~ /\]\(([^)\s]+)\)/g) {
			(my $to = $1) =~ s/#.*//;
			next if $to eq '' || $to =~ /^[a-z]+:/;
			push(@gone, "line $.: $to") if !-e "$folder$to";
		}
	}
	close($file);
	is("@gone", '', "links of $page");
}
done_testing();
