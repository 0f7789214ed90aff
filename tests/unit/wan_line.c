/*
 * The emulated line of tests/wan in a time of its own: what it does to packets
 * is counted exactly, or within five standard deviations where chance decides
 * (the seed is fixed, so each run sees the same).
 */

#include <math.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "tap.h"
#include "wan/damage.h"
#include "wan/line.h"

#define MS	 ((int64_t)1000000)
#define SEEN_MAX 200000

/* What came out: when, and the number that was written into it. */
struct seen {
	int64_t now_ns;
	size_t count;
	int64_t at_ns[SEEN_MAX];
	uint32_t number[SEEN_MAX];
};
static struct seen seen;

static bool
see(void *arg, const uint8_t *packet, size_t len)
{
	(void)arg;
	if (len >= 4 && seen.count < SEEN_MAX)
		(void)memcpy(&seen.number[seen.count], packet, 4);
	seen.at_ns[seen.count++] = seen.now_ns;
	return true;
}

/* A line that does what the words say. */
static struct line *
made(uint64_t seed, const char *words)
{
	AUTO_FREE char *copy = mem_strdup(words);
	struct line *l = line_new(seed, see, NULL);
	struct err e = ERR_INIT;
	struct setup s;
	char *word, *rest = NULL;

	setup_init(&s);
	for (word = strtok_r(copy, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest)) {
		if (setup_word(&s, word, &e) == -1)
			tap_bail("%s", e.text);
	}
	line_set(l, &s.line[0]);
	seen.count = 0;
	seen.now_ns = 0;
	return l;
}

AUTO_DEFINE(struct line, line_free);
#define AUTO_LINE AUTO(line_free_auto)

static void
run_until(struct line *l, int64_t end_ns)
{
	while (line_next(l) <= end_ns) {
		seen.now_ns = line_next(l);
		line_run(l, seen.now_ns);
	}
	seen.now_ns = end_ns;
}

/* count packets, one every pause_ns, then all that comes of it. */
static void
send_packets(struct line *l, uint32_t count, size_t len, int64_t pause_ns)
{
	uint8_t packet[LINE_PACKET_MAX] = { 0 };
	int64_t start_ns = seen.now_ns;
	uint32_t i;

	for (i = 0; i < count; i++) {
		run_until(l, start_ns + i * pause_ns);
		(void)memcpy(packet, &i, sizeof(i));
		line_offer(l, seen.now_ns, packet, len);
	}
	run_until(l, LINE_NEVER - 1);
	seen.now_ns = start_ns + count * pause_ns;
}

static void
tap_near(double got, double want, double sigma, const char *what)
{
	tap_ok(fabs(got - want) <= 5 * sigma, "%s: %g, expected %g +/- %g",
	    what, got, want, 5 * sigma);
}

static double
binomial_sigma(double n, double p)
{
	return sqrt(n * p * (1 - p));
}

static uint64_t
dropped(const struct line *l, enum line_drop why)
{
	return line_counters(l)->dropped[why];
}

static void
check_rate_and_delay(void)
{
	AUTO_LINE struct line *l = made(1, "rate=10mbit delay=15ms queue=2MB");
	AUTO_LINE struct line *late = NULL;
	const struct line_counters *c = line_counters(l);

	send_packets(l, 1000, 1250, 0);
	tap_u64(seen.count, 1000, "all arrive");
	tap_u64((uint64_t)seen.at_ns[0], 16000000, "first: 1 ms and 15 ms");
	tap_u64((uint64_t)seen.at_ns[999], 1015000000, "last: 1000 ms later");
	tap_u64(c->sent_ns, 1000000000, "the line was busy for a second");
	tap_u64(c->sent_bytes, 1250000, "with its bytes");
	tap_u64(c->queue_max_bytes, 999 * 1250, "all but one waited");
	tap_u64(c->held_bytes + c->held_packets + c->queue_bytes, 0,
	    "nothing is left");

	/* A caller that sleeps a second finds it all done. */
	late = made(1, "rate=10mbit delay=15ms queue=2MB");
	for (uint32_t i = 0; i < 1000; i++)
		line_offer(late, 0, (uint8_t[1250]){ 0 }, 1250);
	line_run(late, 1015 * MS);
	tap_u64(seen.count, 1000, "a late caller loses no line time");
	tap_u64(line_counters(late)->late_max_ns, 999000000,
	    "and is told how late it was");
}

static void
check_header_bytes(void)
{
	AUTO_LINE struct line *l = made(1, "rate=8mbit header=38");

	send_packets(l, 1, 962, 0);
	tap_u64((uint64_t)seen.at_ns[0], 1 * MS, "962 bytes and 38 take 1 ms");
}

static void
check_rate_changes_at_once(void)
{
	AUTO_LINE struct line *l = made(1, "rate=8kbit queue=1MB");
	struct setup s;

	line_offer(l, 0, (uint8_t[1000]){ 0 }, 1000); /* a second */
	line_offer(l, 0, (uint8_t[1000]){ 0 }, 1000); /* waits */
	setup_init(&s);
	(void)setup_word(&s, "rate=8mbit", NULL);
	line_set(l, &s.line[0]);
	run_until(l, 2000 * MS);
	tap_u64((uint64_t)seen.at_ns[1], 1001 * MS,
	    "what waits is sent at the new rate");
}

static void
check_queue(void)
{
	AUTO_LINE struct line *l = made(1, "rate=10mbit queue=10000");
	struct setup_line s = { .rate_bits = 100000000, .delay_ns = 50 * MS };

	send_packets(l, 20, 1000, 0);
	tap_u64(seen.count, 11, "one is sent, 10,000 bytes wait");
	tap_u64(dropped(l, LINE_QUEUE), 9, "the others are dropped");
	tap_u64(seen.number[10], 10, "at the tail");
	tap_u64(setup_queue_bytes(&s), 1250000, "default: a round trip");
	s.delay_ns = 0;
	tap_u64(setup_queue_bytes(&s), 262144, "256 KiB at least");
}

/* Packets a millisecond apart with jitter: extremes, and how many overtook. */
static uint64_t
jitter(const char *words, int64_t *least, int64_t *most)
{
	AUTO_LINE struct line *l = made(1, words);
	size_t i;

	send_packets(l, 10000, 100, MS);
	*least = INT64_MAX;
	*most = 0;
	for (i = 0; i < seen.count; i++) {
		int64_t delay = seen.at_ns[i] - seen.number[i] * MS;

		*least = delay < *least ? delay : *least;
		*most = delay > *most ? delay : *most;
	}
	return line_counters(l)->overtaken;
}

static void
check_jitter(void)
{
	int64_t least, most;

	tap_u64(
	    jitter("delay=15ms jitter=3ms", &least, &most), 0, "order is kept");
	tap_ok(least >= 12 * MS && least < 13 * MS && most <= 18 * MS &&
		most > 17 * MS,
	    "delays from %g to %g ms", (double)least / 1e6, (double)most / 1e6);
	tap_ok(jitter("delay=15ms jitter=3ms order=free", &least, &most) > 2000,
	    "order=free: packets overtake");
	tap_ok(least >= 12 * MS && most <= 18 * MS, "with the same delays");
}

static void
check_reorder(void)
{
	AUTO_LINE struct line *l = made(1, "delay=15ms reorder=2 gap=10500us");
	size_t i;
	bool right = true;

	send_packets(l, 10000, 100, MS);
	tap_near((double)line_counters(l)->overtaken, 200,
	    binomial_sigma(10000, 0.02), "2 % are overtaken");
	for (i = 0; i < seen.count; i++) {
		int64_t delay = seen.at_ns[i] - seen.number[i] * MS;

		right =
		    right && (delay == 15 * MS || delay == 15 * MS + 10500000);
	}
	tap_ok(right, "they come 10.5 ms later, the others in time");
}

static void
check_loss(void)
{
	AUTO_LINE struct line *l = made(1, "loss=1 rate=100mbit queue=1GB");
	AUTO_LINE struct line *first =
	    made(1, "loss=1 losspos=pre rate=100mbit queue=1GB");
	uint64_t sent;

	send_packets(l, 100000, 125, 0);
	tap_near((double)dropped(l, LINE_LOSS), 1000, binomial_sigma(1e5, 0.01),
	    "1 % loss");
	tap_u64(line_counters(l)->sent_packets, 100000,
	    "losspos=post: lost packets cost line time");
	send_packets(first, 100000, 125, 0);
	sent = line_counters(first)->sent_packets;
	tap_u64(sent, 100000 - dropped(first, LINE_LOSS),
	    "losspos=pre: they do not");
	tap_u64(dropped(first, LINE_LOSS), dropped(l, LINE_LOSS),
	    "as many of them");
}

static void
check_bursts(void)
{
	AUTO_LINE struct line *l = made(1, "loss=5 burst=5");
	double n = 100000, lost, runs = 0;
	size_t i;

	send_packets(l, (uint32_t)n, 125, MS);
	lost = (double)dropped(l, LINE_LOSS);
	/* Bursts of geometric length inflate the variance by 2 b - 1. */
	tap_near(lost, n * 0.05, binomial_sigma(n, 0.05) * 3, "5 % loss");
	for (i = 1; i < seen.count; i++) {
		if (seen.number[i] != seen.number[i - 1] + 1)
			runs++;
	}
	tap_near(lost / runs, 5, sqrt(20 / (n * 0.05 / 5)), "in bursts of 5");
}

static void
check_duplicates(void)
{
	AUTO_LINE struct line *l = made(1, "duplicate=2");

	send_packets(l, 10000, 125, MS);
	tap_near((double)line_counters(l)->duplicated, 200,
	    binomial_sigma(10000, 0.02), "2 % come twice");
	tap_u64(
	    seen.count, 10000 + line_counters(l)->duplicated, "and all arrive");
}

static void
check_mtu_and_blackhole(void)
{
	AUTO_LINE struct line *l = made(1, "mtu=1400");
	AUTO_LINE struct line *hole = made(1, "blackhole=ab");
	AUTO_LINE struct line *other = made(1, "blackhole=ba");

	send_packets(l, 1, 1400, 0);
	send_packets(l, 1, 1401, 0);
	tap_u64(seen.count, 1, "mtu=1400: 1400 bytes pass");
	tap_u64(dropped(l, LINE_MTU), 1, "1401 do not");
	send_packets(hole, 5, 100, 0);
	tap_u64(dropped(hole, LINE_BLACKHOLE), 5, "nothing comes out");
	send_packets(other, 5, 100, 0);
	tap_u64(dropped(other, LINE_BLACKHOLE), 0, "of one direction");
}

static void
check_outage(void)
{
	AUTO_LINE struct line *l = made(1, "rate=8mbit delay=15ms");
	int i;

	for (i = 0; i < 30; i++)
		line_offer(l, 0, (uint8_t[1000]){ 0 }, 1000);
	run_until(l, 20 * MS);
	tap_u64(seen.count, 5, "before the cut");
	line_cut(l);
	tap_u64(
	    dropped(l, LINE_OUTAGE), 25, "what waits and what flies is lost");
	line_offer(l, 20 * MS, (uint8_t[100]){ 0 }, 100);
	tap_u64(dropped(l, LINE_OUTAGE), 26, "what comes later, too");
	line_set_up(l);
	send_packets(l, 1, 1000, 0);
	tap_u64(seen.count, 6, "and then it is up again");
}

static void
check_memory(void)
{
	AUTO_LINE struct line *l = made(1, "rate=8kbit queue=1GB");
	int i;

	for (i = 0; i < 2000; i++)
		line_offer(
		    l, 0, (uint8_t[LINE_PACKET_MAX]){ 0 }, LINE_PACKET_MAX);
	tap_ok(
	    line_counters(l)->held_bytes <= LINE_HELD_MAX, "memory is bounded");
	tap_u64(line_counters(l)->held_packets + dropped(l, LINE_MEMORY), 2000,
	    "what has no room is dropped");
}

/* The fate of 2000 packets as one number. */
static uint64_t
fate(uint64_t seed, const char *words)
{
	AUTO_LINE struct line *l = made(seed, words);
	uint64_t hash = 0;
	size_t i;

	send_packets(l, 2000, 125, MS);
	for (i = 0; i < seen.count; i++)
		hash = hash * 31 + seen.number[i];
	return hash;
}

static void
check_seed(void)
{
	tap_u64(fate(5, "loss=10"), fate(5, "loss=10"), "a seed repeats");
	tap_ok(fate(5, "loss=10") != fate(6, "loss=10"), "another differs");
	tap_u64(fate(5, "loss=10"), fate(5, "loss=10 corrupt=3 jitter=1us"),
	    "damage does not change what is lost");
}

/* ---- damage ---- */

#define SEGMENT4 20
#define SEGMENT6 40

static uint32_t
sum16(const uint8_t *p, size_t len, uint32_t sum)
{
	size_t i;

	for (i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Does the segment's sum over pseudo header and all give 0xffff? */
static bool
sum_fits(const uint8_t *packet, size_t len)
{
	bool six = packet[0] >> 4 == 6;
	size_t segment = six ? SEGMENT6 : SEGMENT4;
	uint32_t sum = (six ? packet[6] : packet[9]);

	sum = sum16(packet + (six ? 8 : 12), six ? 32 : 8, sum);
	sum += (uint32_t)(len - segment);
	return sum16(packet + segment, len - segment, sum) == 0xffff;
}

/* A packet with a right checksum; returns where its payload begins. */
static size_t
make_packet(uint8_t *packet, size_t len, bool six, bool tcp)
{
	size_t segment = six ? SEGMENT6 : SEGMENT4;
	size_t at = segment + (tcp ? 16 : 6), i;
	uint32_t sum;

	for (i = 0; i < len; i++)
		packet[i] = (uint8_t)(i * 7);
	packet[0] = six ? 0x60 : 0x45;
	packet[six ? 6 : 9] = tcp ? 6 : 17;
	if (!six)
		packet[6] = packet[7] = 0;
	if (tcp)
		packet[segment + 12] = 8 << 4;
	packet[at] = packet[at + 1] = 0;
	sum = sum16(packet + (six ? 8 : 12), six ? 32 : 8,
	    packet[six ? 6 : 9] + (uint32_t)(len - segment));
	sum = ~sum16(packet + segment, len - segment, sum);
	packet[at] = (uint8_t)(sum >> 8);
	packet[at + 1] = (uint8_t)sum;
	return segment + (tcp ? 32 : 8);
}

static void
check_damage_of(bool six, bool tcp)
{
	uint8_t packet[301], whole[301];
	struct chance c = { 3 };
	size_t payload = 0, len, i;
	unsigned int fits = 0, broken = 0, changed = 0, header = 0, n;
	int bits = 0;

	for (n = 0; n < 200; n++) {
		len = 300 + n % 2;
		payload = make_packet(whole, len, six, tcp);
		(void)memcpy(packet, whole, len);
		(void)damage_payload(packet, len, &c);
		fits += sum_fits(packet, len);
		changed += memcmp(packet + payload, whole + payload,
			       len - payload) != 0;
		header += memcmp(packet, whole, payload - (tcp ? 16 : 2)) != 0;
		(void)memcpy(packet, whole, len);
		(void)damage_packet(packet, len, &c);
		broken += !sum_fits(packet, len);
		for (i = 0; i < len; i++)
			bits += __builtin_popcount(packet[i] ^ whole[i]);
	}
	tap_u64(changed, 200, "%s over IPv%d: payload changes",
	    tcp ? "TCP" : "UDP", six ? 6 : 4);
	tap_u64(fits, 200, "and the checksum fits");
	tap_u64(header, 0, "and headers stay");
	tap_u64(broken, 200, "unrepaired, the checksum is wrong");
	tap_u64((uint64_t)bits, 200, "by one bit");
}

/* A sum of 0 would mean that UDP has none: it is written as 0xffff. */
static void
check_damage_never_gives_udp_no_checksum(void)
{
	uint8_t packet[60], whole[60];
	struct chance c = { 3 };
	unsigned int none = 0, all = 0, n;
	uint32_t word;

	/* Bring the sum near to 0: more in the last word is less in the sum. */
	(void)make_packet(whole, sizeof(whole), false, false);
	word = (uint32_t)(whole[58] << 8 | whole[59]) +
	    (uint32_t)(whole[26] << 8 | whole[27]) - 16;
	whole[58] = (uint8_t)(word >> 8);
	whole[59] = (uint8_t)word;
	for (n = 0; n < 10000; n++) {
		(void)memcpy(packet, whole, sizeof(packet));
		(void)damage_payload(packet, sizeof(packet), &c);
		none += packet[26] == 0 && packet[27] == 0;
		all += packet[26] == 0xff && packet[27] == 0xff;
	}
	tap_ok(none == 0 && all > 0, "no sum of 0, %u of 0xffff", all);
}

static void
check_damage_leaves_alone(void)
{
	uint8_t packet[300];
	struct chance c = { 3 };
	size_t payload = make_packet(packet, sizeof(packet), false, true);

	tap_ok(!damage_payload(packet, payload, &c), "an empty segment");
	packet[6] = 0x20; /* more fragments */
	tap_ok(!damage_payload(packet, sizeof(packet), &c), "a fragment");
	packet[6] = 0;
	packet[9] = 1;
	tap_ok(!damage_payload(packet, sizeof(packet), &c), "ICMP");
	packet[9] = 6;
	tap_ok(!damage_payload(packet, 30, &c), "a short header");
	tap_ok(!damage_packet(packet, 20, &c) && !damage_packet(packet, 0, &c),
	    "an empty packet");
}

/* ---- words ---- */

static void
check_words(void)
{
	static const char *const wrong[] = { "rate=5", "rate=mbit",
		"rate=-1mbit", "loss=101", "loss=x", "loss", "=1", "xx.loss=1",
		"ab.=1", "burst=0.5", "delay=5", "delay=61s", "order=maybe",
		"blackhole=cd", "profile=Z9", "outage=x", "queue=2GB", "los=1",
		"losspos=pr", "loss=nan" };
	struct err e = ERR_INIT;
	struct setup s, before;
	size_t i;

	setup_init(&s);
	tap_ok(setup_word(&s, "ab.loss=1.5%", &e) == 0 &&
		fabs(s.line[0].loss - 0.015) < 1e-9 && s.line[1].loss == 0,
	    "a direction's word");
	tap_ok(setup_word(&s, "profile=W4", &e) == 0 &&
		s.line[0].rate_bits == 50000000 && s.line[1].burst == 5 &&
		s.line[1].delay_ns == 75 * MS,
	    "a profile");
	tap_ok(setup_word(&s, "outage=1.5s", &e) == 0 && s.down &&
		s.outage_ns == 1500 * MS,
	    "an outage");
	before = s;
	for (i = 0; i < COUNT_OF(wrong); i++) {
		tap_ok(setup_word(&s, wrong[i], &e) == -1, "%s: %s", wrong[i],
		    e.text);
	}
	tap_ok(memcmp(&s, &before, sizeof(s)) == 0, "nothing has changed");
}

int
main(void)
{
	check_rate_and_delay();
	check_header_bytes();
	check_rate_changes_at_once();
	check_queue();
	check_jitter();
	check_reorder();
	check_loss();
	check_bursts();
	check_duplicates();
	check_mtu_and_blackhole();
	check_outage();
	check_memory();
	check_seed();
	check_damage_of(false, false);
	check_damage_of(false, true);
	check_damage_of(true, false);
	check_damage_of(true, true);
	check_damage_never_gives_udp_no_checksum();
	check_damage_leaves_alone();
	check_words();
	return tap_done();
}
