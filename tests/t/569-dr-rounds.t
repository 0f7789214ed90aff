#!/usr/bin/perl
# The loss of a site at random moments, failover and the way back: a few rounds
# of what tests/long/dr-rounds.t does longer.

use strict;
use warnings;

use lib "$ENV{PGKURA_SRC}/tests/lib";
use Kura::DrRounds;

Kura::DrRounds::run($ENV{PGKURA_ROUNDS} // 2);
