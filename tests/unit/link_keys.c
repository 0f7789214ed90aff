/*
 * The small files of the link: our key, the sites that we know, the invitation.
 */

#include "link/keys.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "link/invitation.h"
#include "unit/base_scratch.h"

static const struct peer osaka = { .name = "osaka",
	.key = { 1, 2, 3 },
	.addresses = "dr.example.com:7432, [2001:db8::7]:7432",
	.paired_us = 1795262400000000 };

static void
check_key(void)
{
	struct err e = ERR_INIT;
	AUTO_SIGN_KEY struct sign_key *none = key_load("state", false, &e);
	AUTO_SIGN_KEY struct sign_key *made = NULL, *again = NULL;
	uint8_t a[SIGN_PUBLIC_BYTES], b[SIGN_PUBLIC_BYTES];
	char text[KEY_FINGERPRINT_BYTES];
	struct stat st;

	tap_ok(none == NULL && e.kind == ERR_NOT_FOUND, "no key: %s", e.text);
	made = key_load("state", true, &e);
	again = key_load("state", true, &e);
	if (made == NULL || again == NULL)
		tap_bail("%s", e.text);
	sign_key_public(made, a);
	sign_key_public(again, b);
	tap_ok(memcmp(a, b, sizeof(a)) == 0, "a key is made once");
	tap_ok(stat("state/link.key", &st) == 0 && (st.st_mode & 0777) == 0600,
	    "only its user may read it");
	tap_u64((uint64_t)st.st_size, 65, "64 digits and a line feed");
	(void)memset(a, 0, sizeof(a));
	tap_str(key_fingerprint(a, text),
	    "6668-7aad-f862-bd77-6c8f-c18b-8e9f-8e20", "a fingerprint");
}

static void
check_bad_key(const char *text, const char *what)
{
	struct err e = ERR_INIT;
	struct sign_key *k;

	if (file_publish_at(AT_FDCWD, "state/link.key", text, strlen(text),
		0600, FILE_REPLACE, &e) == -1)
		tap_bail("%s", e.text);
	k = key_load("state", true, &e);
	tap_ok(k == NULL && e.kind == ERR_CORRUPT && e.hint[0] != '\0',
	    "a key %s is refused: %s", what, e.text);
	sign_key_free(k);
}

static void
check_peer_text(void)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct peer p = { .name = "x" };
	struct err e = ERR_INIT;
	unsigned int bit, missed = 0;
	size_t len;

	peer_encode(&osaka, &text);
	tap_ok(peer_decode(&p, text.data, text.len, &e) == 0 &&
		strcmp(p.name, osaka.name) == 0 &&
		strcmp(p.addresses, osaka.addresses) == 0 &&
		memcmp(p.key, osaka.key, sizeof(p.key)) == 0 &&
		p.paired_us == osaka.paired_us,
	    "a peer's file reads back %s", e.text);
	p = (struct peer){ .name = "x" };
	for (bit = 0; bit < 8 * text.len; bit++) {
		text.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		missed += peer_decode(&p, text.data, text.len, &e) == 0;
		text.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	tap_u64(missed, 0, "no single-bit flip passes");
	for (len = 0; len < text.len; len++)
		missed += peer_decode(&p, text.data, len, &e) == 0;
	tap_u64(missed, 0, "and no beginning");
	tap_str(p.name, "x", "what is refused changes nothing");
}

static void
check_peers(void)
{
	struct peer p, other = osaka;
	struct err e = ERR_INIT;
	struct stat st;
	char **names = NULL;
	size_t count;

	tap_ok(peer_names("state", &names, &count, &e) == 0 && count == 0,
	    "nobody is known %s", e.text);
	file_names_free(names);
	tap_ok(peer_read("state", "osaka", &p, &e) == -1 &&
		e.kind == ERR_NOT_FOUND && strstr(e.hint, "site pair") != NULL,
	    "not paired: %s", e.text);
	(void)strcpy(other.name, "nara");
	if (peer_write("state", &osaka, &e) == -1 ||
	    peer_write("state", &other, &e) == -1)
		tap_bail("%s", e.text);
	tap_ok(stat("state/peers", &st) == 0 && (st.st_mode & 0777) == 0700 &&
		stat("state/peers/osaka", &st) == 0 &&
		(st.st_mode & 0777) == 0600,
	    "only their user sees them");
	tap_ok(file_publish_at(AT_FDCWD, "state/peers/.tmp.1", "x", 1, 0600,
		   FILE_REPLACE, &e) == 0 &&
		peer_names("state", &names, &count, &e) == 0 && count == 2 &&
		strcmp(names[0], "nara") == 0 && strcmp(names[1], "osaka") == 0,
	    "two are known, and what is no name is passed over");
	file_names_free(names);
	other.paired_us++;
	tap_ok(peer_write("state", &other, &e) == 0 &&
		peer_read("state", "nara", &p, &e) == 0 &&
		p.paired_us == other.paired_us,
	    "a new pairing takes the place of the old one");
	(void)rename("state/peers/nara", "state/peers/kobe");
	tap_ok(
	    peer_read("state", "kobe", &p, &e) == -1 && e.kind == ERR_CORRUPT,
	    "one under another's name: %s", e.text);
	tap_ok(peer_read("state", "../link.key", &p, &e) == -1 &&
		e.kind == ERR_USAGE,
	    "no name leads out of the folder");
	tap_ok(peer_remove("state", "osaka", &e) == 0 &&
		peer_remove("state", "osaka", &e) == -1 &&
		e.kind == ERR_NOT_FOUND,
	    "forgotten once");
}

static void
check_invitation(void)
{
	struct invitation i = { .code = "abcd-efgh-jkmn-pqrs",
		.site = "osaka",
		.until_us = 1795262400000000,
		.tries = 2 },
			  j;
	AUTO_BUF struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	int64_t now = i.until_us - 1;
	unsigned int bit, missed = 0;

	tap_ok(
	    invitation_read("state", &j, &e) == -1 && e.kind == ERR_NOT_FOUND,
	    "no invitation");
	tap_ok(invitation_write("state", &i, &e) == 0 &&
		invitation_read("state", &j, &e) == 0 &&
		strcmp(j.code, i.code) == 0 && strcmp(j.site, "osaka") == 0 &&
		j.until_us == i.until_us && j.tries == 2,
	    "it reads back %s", e.text);
	i.site[0] = '\0';
	tap_ok(invitation_write("state", &i, &e) == 0 &&
		invitation_read("state", &j, &e) == 0 && j.site[0] == '\0',
	    "for any site %s", e.text);
	invitation_encode(&i, &text);
	for (bit = 0; bit < 8 * text.len; bit++) {
		text.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		missed += invitation_decode(&j, text.data, text.len, &e) == 0;
		text.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	tap_u64(missed, 0, "no single-bit flip passes");
	tap_ok(invitation_is_open(&i, now), "open");
	tap_ok(!invitation_is_open(&i, now + 1), "its time is over");
	tap_ok(!invitation_is_open(&i, i.until_us - INVITATION_US - 1),
	    "a clock that was set back does not prolong it");
	i.tries = INVITATION_TRIES;
	tap_ok(!invitation_is_open(&i, now), "too many tries");
	tap_ok(invitation_remove("state", "other", &e) == 0 &&
		invitation_read("state", &j, &e) == 0,
	    "another one is not taken back");
	tap_ok(invitation_remove("state", i.code, &e) == 0 &&
		invitation_read("state", &j, &e) == -1,
	    "it is taken back");
}

int
main(void)
{
	(void)scratch_enter();
	if (mkdir("state", 0700) == -1)
		tap_bail("no folder");
	check_key();
	check_bad_key("", "of no bytes");
	check_bad_key("00\n", "that is too short");
	check_bad_key("zz112233445566778899aabbccddeeff00112233445566778899aab"
		      "bccddeeff\n",
	    "of other letters");
	check_peer_text();
	check_peers();
	check_invitation();
	return tap_done();
}
