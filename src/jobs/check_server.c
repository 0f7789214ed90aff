/*
 * check_server: what a check asks of the server.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jobs/check_int.h"
#include "pg/syncnames.h"

/* A setting as text; NULL when this role may not see it.  The caller frees. */
static char *
setting(struct check *k, const char *name)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct err ignored = ERR_INIT;

	if (session_show(k->session, name, &text, &ignored) == -1)
		return NULL;
	return mem_strdup(buf_str(&text));
}

static bool
setting_is(struct check *k, const char *name, const char *value)
{
	AUTO_FREE char *text = setting(k, name);

	return text != NULL && strcmp(text, value) == 0;
}

static void
check_version(struct check *k)
{
	int num = session_version_num(k->session);

	k->major = session_major(k->session);
	if (k->major < 13 || k->major > 18)
		check_say(k, CHECK_FAULT, "server version",
		    "Use a pgkura that knows it.",
		    "%d, this pgkura knows 13 to 18", k->major);
	else
		check_say(k, CHECK_OK, "server version", NULL,
		    "PostgreSQL %d.%d", k->major, num % 10000);
	if (!setting_is(k, "block_size", "8192"))
		check_say(k, CHECK_FAULT, "block size",
		    "Only servers built with the standard block size work.",
		    "not 8192");
}

static void
check_wal_settings(struct check *k)
{
	AUTO_FREE char *senders = setting(k, "max_wal_senders");

	if (setting_is(k, "wal_level", "minimal"))
		check_say(k, CHECK_FAULT, "wal_level",
		    "Set wal_level = replica and restart the server.",
		    "minimal");
	else
		check_say(k, CHECK_OK, "wal_level", NULL, "replica or more");
	if (senders != NULL && atoi(senders) < 2)
		check_say(k, CHECK_FAULT, "max_wal_senders",
		    "Set max_wal_senders to 4 or more and restart the server: "
		    "a receiver and a backup need one each.",
		    "%s", senders);
	if (setting_is(k, "full_page_writes", "off"))
		check_say(k, CHECK_WARNING, "full_page_writes",
		    "Set full_page_writes = on.",
		    "off: a crash can leave torn pages");
	if (setting_is(k, "data_checksums", "on"))
		check_say(k, CHECK_OK, "data checksums", NULL, "on");
	else
		check_say(k, CHECK_NOTE, "data checksums",
		    "Stop the server once and run \"pg_checksums --enable\": "
		    "then backups find damaged pages.",
		    "off: damaged pages cannot be told from sound ones");
}

/* max_slot_wal_keep_size bounds what a slot may hold (MC1). */
static void
check_slot_bound(struct check *k)
{
	AUTO_FREE char *bound = setting(k, "max_slot_wal_keep_size");

	if (bound == NULL || k->cluster->slot[0] == '\0')
		return;
	if (strcmp(bound, "-1") != 0)
		check_say(
		    k, CHECK_OK, "max_slot_wal_keep_size", NULL, "%s", bound);
	else if (k->cluster->slot_unbounded)
		check_say(k, CHECK_NOTE, "max_slot_wal_keep_size", NULL,
		    "-1, accepted by slot_unbounded = yes");
	else
		check_say(k, CHECK_FAULT, "max_slot_wal_keep_size",
		    "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB' (less "
		    "than the free space of pg_wal), then SELECT "
		    "pg_reload_conf(); or accept it with slot_unbounded = yes.",
		    "-1: while this site is away, WAL fills the server's disk");
}

static void
check_slot(struct check *k)
{
	const char *name = k->cluster->slot;
	struct session_slot slot = { 0 };
	struct err e = ERR_INIT;
	char lsn[LSN_TEXT_BYTES];

	if (!k->cluster->receive || name[0] == '\0')
		return;
	if (session_read_slot(k->session, name, &slot, &e) == -1) {
		check_fault(k, "slot", &e);
		return;
	}
	if (!slot.known)
		check_say(k, CHECK_NOTE, "slot", NULL,
		    "\"%s\" (servers before 15 do not show it to this role)",
		    name);
	else if (!slot.exists && k->cluster->create_slot)
		check_say(k, CHECK_NOTE, "slot", NULL,
		    "\"%s\" will be made by the receiver", name);
	else if (!slot.exists)
		check_say(k, CHECK_FAULT, "slot",
		    "SELECT pg_create_physical_replication_slot('...', true), "
		    "or set create_slot = yes.",
		    "\"%s\" does not exist", name);
	else if (slot.restart_lsn == LSN_NONE)
		check_say(k, CHECK_WARNING, "slot",
		    "It was just made, or it is lost; the receiver makes a "
		    "lost one anew and a backup closes the gap.",
		    "\"%s\" holds no WAL", name);
	else
		check_say(k, CHECK_OK, "slot", NULL, "\"%s\" holds WAL from %s",
		    name, lsn_text(slot.restart_lsn, lsn));
}

void
check_slot_lost(struct check *k, struct session *sql)
{
	AUTO_BUF struct buf query = BUF_INIT, status = BUF_INIT;
	struct err e = ERR_INIT;
	bool found;

	if (!k->cluster->receive || k->cluster->slot[0] == '\0')
		return;
	buf_printf(&query, /* letters, digits and "_" only */
	    "SELECT wal_status FROM pg_replication_slots WHERE slot_name = "
	    "'%s'",
	    k->cluster->slot);
	if (session_query_value(sql, buf_str(&query), &status, &found, &e) ==
		0 &&
	    found && strcmp(buf_str(&status), "lost") == 0)
		check_say(k, CHECK_WARNING, "slot",
		    "The receiver makes it anew, and a backup closes the gap. "
		    "Raise max_slot_wal_keep_size if this site may be away for "
		    "longer.",
		    "\"%s\" is lost: it held more than "
		    "max_slot_wal_keep_size",
		    k->cluster->slot);
}

/* A receiver flushes and never applies: remote_apply would wait for ever. */
static void
check_synchronous(struct check *k)
{
	AUTO_FREE char *names = setting(k, "synchronous_standby_names");
	const char *me = k->cluster->application_name;
	enum syncnames judged;

	if (k->cluster->wal_ack == WAL_ACK_REMOTE &&
	    k->cluster->replicate_to == NULL) {
		check_say(k, CHECK_FAULT, "wal_ack",
		    "Name the other site with replicate_to.",
		    "wal_ack = remote has no effect without replicate_to: "
		    "commits are acknowledged when they are durable here alone");
		return;
	}
	if (names == NULL || me == NULL)
		return;
	judged = syncnames_judge(names, me);
	if (judged == SYNCNAMES_OTHERS && k->cluster->wal_ack == WAL_ACK_REMOTE)
		check_say(k, CHECK_WARNING, "synchronous commit",
		    "Make commits wait for all that are named: "
		    "\"FIRST 2 (a, b)\", without \"*\".",
		    "another standby may stand in for \"%s\": what the other "
		    "site lacks is not proved to be nothing",
		    me);
	if (judged == SYNCNAMES_ABSENT || judged == SYNCNAMES_MALFORMED) {
		if (k->cluster->wal_ack == WAL_ACK_REMOTE)
			check_say(k, CHECK_WARNING, "synchronous commit",
			    "Name the receiver (application_name) in "
			    "synchronous_standby_names, or leave wal_ack out.",
			    "no commit waits for the other site, though "
			    "wal_ack = remote");
		return;
	}
	if (setting_is(k, "synchronous_commit", "remote_apply"))
		check_say(k, CHECK_FAULT, "synchronous_commit",
		    "Use synchronous_commit = on (it waits for our flush).",
		    "remote_apply waits for a receiver that never applies");
	else if (judged == SYNCNAMES_WAITS)
		check_say(k, CHECK_OK, "synchronous commit", NULL,
		    "waits for \"%s\": no acknowledged commit is lost", me);
}

static void
check_archive(struct check *k)
{
	AUTO_FREE char *mode = setting(k, "archive_mode");
	AUTO_FREE char *command = setting(k, "archive_command");

	if (k->cluster->receive)
		return;
	if (mode != NULL && strcmp(mode, "off") == 0)
		check_say(k, CHECK_FAULT, "archive_mode",
		    "Set archive_mode = on and archive_command = 'pgkura-wal "
		    "push %p', or receive = yes.",
		    "off, and receive = no: no WAL reaches the repository");
	else if (command != NULL && strstr(command, "pgkura-wal") == NULL &&
	    strcmp(command, "(disabled)") != 0)
		check_say(k, CHECK_WARNING, "archive_command",
		    "Set archive_command = 'pgkura-wal push %p'.",
		    "\"%s\" does not push to pgkura", command);
}

static void
check_backup_source(struct check *k)
{
	struct session_identity id, source_id;
	struct err e = ERR_INIT;
	AUTO_SESSION struct session *s = NULL;

	if (k->cluster->backup_conninfo == NULL)
		return;
	s = session_open(k->cluster->backup_conninfo, SESSION_REPLICATION,
	    "pgkura_check", &e);
	if (s == NULL || session_identify(s, &id, &e) == -1 ||
	    session_identify(k->session, &source_id, &e) == -1)
		check_fault(k, "backup_conninfo", &e);
	else if (id.system_id != source_id.system_id)
		check_say(k, CHECK_FAULT, "backup_conninfo",
		    "Name a standby of this cluster.",
		    "%s belongs to another cluster", session_where(s));
	else
		check_say(k, CHECK_OK, "backup_conninfo", NULL, "%s",
		    session_where(s));
}

void
check_server(struct check *k)
{
	check_version(k);
	check_wal_settings(k);
	check_slot_bound(k);
	check_slot(k);
	check_synchronous(k);
	check_archive(k);
	check_backup_source(k);
}
