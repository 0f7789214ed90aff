#include "conf/settings_table.h"

#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "conf/rate_windows.h"
#include "conf/settings.h"

#define SITE(field) OPTION_SITE, .offset = offsetof(struct settings, field)
#define CLUSTER(field) \
	OPTION_CLUSTER, .offset = offsetof(struct cluster_settings, field)

#define PEER(field) OPTION_PEER, .offset = offsetof(struct peer_settings, field)

#define MINUTE_US ((uint64_t)60 * 1000000)
#define DAY_US	  ((uint64_t)24 * 60 * MINUTE_US)
#define KIB	  ((uint64_t)1 << 10)
#define GIB	  ((uint64_t)1 << 30)
#define PIB	  ((uint64_t)1 << 50)

static const char *const formats[] = {
	[LOG_PEOPLE] = "people", [LOG_TEXT] = "text", [LOG_JSON] = "json", NULL
};
static const char *const levels[] = { [LOG_LEVEL_DEBUG] = "debug",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_ERROR] = "error",
	NULL };

static const char *const wal_acks[] = {
	[WAL_ACK_LOCAL] = "local", [WAL_ACK_REMOTE] = "remote", NULL
};
static const char *const roles[] = { [INITIAL_NONE] = "none",
	[INITIAL_PRIMARY] = "primary",
	[INITIAL_STANDBY] = "standby",
	NULL };
static const char *const server_failures[] = { [SERVER_FAILED_ALARM] = "alarm",
	[SERVER_FAILED_FAILOVER] = "failover",
	NULL };
static const char *const failovers[] = {
	[FAILOVER_MANUAL] = "manual", [FAILOVER_AUTOMATIC] = "automatic", NULL
};
static const char *const fences[] = { [FENCE_KIND_NONE] = "none",
	[FENCE_KIND_LEASE] = "lease",
	[FENCE_KIND_HOOK] = "hook",
	NULL };
static const char *const congestions[] = { "bbr", "system", NULL };

/* clang-format off */
const struct option settings_options[] = {
	/* ---- [pgkura] ---- */
	{ "site", SITE(site), .type = OPTION_NAME,
	    .initial = "main", .example = "tokyo",
	    .what = "Name of this site, as events and reports show it." },
	{ "listen", SITE(listen), .type = OPTION_LISTEN,
	    .example = "*:7432",
	    .what = "Addresses and ports on which other sites reach this one.  "
	    "Not set: this site dials, and is not dialled." },
	{ "repository", SITE(repository), .type = OPTION_STORE,
	    .required = true, .example = "/srv/pgkura",
	    .what = "Where backups and WAL are kept: a folder, best on a file "
	    "system of its own.  \"pgkura init\" makes it." },
	{ "state_dir", SITE(state_dir), .type = OPTION_PATH,
	    .initial = "/var/lib/pgkura", .example = "/var/lib/pgkura",
	    .what = "Folder of this site's signing key, locks and history of "
	    "jobs." },
	{ "runtime_dir", SITE(runtime_dir), .type = OPTION_PATH,
	    .initial = "/run/pgkura", .example = "/run/pgkura",
	    .what = "Folder of the sockets control.sock and wal.sock." },
	{ "socket_group", SITE(socket_group), .type = OPTION_TEXT,
	    .example = "postgres",
	    .what = "Group whose members may use the sockets, besides root and "
	    "the user that pgkurad runs as: at control.sock they may observe "
	    "and run all jobs, but give no orders about roles.  "
	    "archive_command needs it when the server runs as another user." },
	{ "observe_group", SITE(observe_group), .type = OPTION_TEXT,
	    .supervisor_only = true, .example = "monitoring",
	    .what = "Group whose members may only look, at control.sock: "
	    "status, events, roles.  Who is in several groups may what each of "
	    "them may.  With any group but socket_group everybody can connect "
	    "to control.sock, and pgkurad asks the kernel who it is." },
	{ "backup_group", SITE(backup_group), .type = OPTION_TEXT,
	    .supervisor_only = true, .example = "dba",
	    .what = "Group whose members may observe, and let the daemon run "
	    "backup, expire and verify." },
	{ "drill_group", SITE(drill_group), .type = OPTION_TEXT,
	    .supervisor_only = true, .example = "dba",
	    .what = "Group whose members may observe, and let the daemon run a "
	    "drill." },
	{ "failover_group", SITE(failover_group), .type = OPTION_TEXT,
	    .supervisor_only = true, .example = "dba-oncall",
	    .what = "Group whose members may observe, and give orders about "
	    "roles: failover, switchover, failback, salvage, maintenance, live "
	    "drills.  Each is logged with who gave it." },
	{ "log_format", SITE(log_format), .type = OPTION_WORD,
	    .words = formats, .initial = "text", .example = "json",
	    .what = "How pgkurad writes events to standard error: text with "
	    "the time, text for people without it (for the journal, which has "
	    "its own), or JSON, one object a line." },
	{ "log_level", SITE(log_level), .type = OPTION_WORD,
	    .words = levels, .initial = "info", .example = "debug",
	    .what = "The least serious events that are written." },
	{ "event_hook", SITE(event_hook), .type = OPTION_PATH,
	    .example = "/usr/local/bin/pgkura-alarm",
	    .what = "Program that is run for each event of level warning or "
	    "error, to send mail, a page or a trap.  It gets the event as JSON "
	    "on standard input and in PGKURA_EVENT, PGKURA_LEVEL, "
	    "PGKURA_MESSAGE, PGKURA_TIME, PGKURA_SITE and PGKURA_CLUSTER, and "
	    "is killed after 30 seconds." },
	{ "parallel_jobs", SITE(parallel_jobs), .type = OPTION_NUMBER,
	    .min = 1, .max = 64, .initial = "4", .example = "2",
	    .what = "So many backups and expirations of all clusters run at "
	    "once, and half as many verifications; others wait for their "
	    "turn." },
	{ "min_free_bytes", SITE(min_free_bytes), .type = OPTION_BYTES,
	    .min = 0, .max = PIB, .initial = "1GB", .example = "50GB",
	    .what = "Backups refuse to start, and an alarm is raised, when the "
	    "repository's file system has less space than this.  WAL is "
	    "received as long as there is any." },

	/* ---- [cluster NAME] ---- */
	{ "conninfo", CLUSTER(conninfo), .type = OPTION_CONNINFO,
	    .required = true, .unless = "accept_from, votes_for",
	    .example = "host=db1 user=pgkura",
	    .what = "How to reach the server, in libpq's words.  The role "
	    "needs REPLICATION, nothing more.  Keep the password in a password "
	    "file (passfile=...), not here.  Left out where no server is yet "
	    "and all comes from another site." },
	{ "backup_conninfo", CLUSTER(backup_conninfo), .type = OPTION_CONNINFO,
	    .example = "host=db2 user=pgkura",
	    .what = "A standby to take base backups from, to keep that load "
	    "off the primary; also the one at this site, when the cluster "
	    "comes from another.  Not set: the server of conninfo." },
	{ "slot", CLUSTER(slot), .type = OPTION_SLOT,
	    .initial = "pgkura", .example = "pgkura_tokyo",
	    .what = "Physical replication slot of the receiver, so that the "
	    "server keeps WAL that is not here yet; \"none\" to use no slot "
	    "and risk a gap." },
	{ "create_slot", CLUSTER(create_slot), .type = OPTION_BOOL,
	    .initial = "yes", .example = "no",
	    .what = "Make the slot when it does not exist." },
	{ "slot_unbounded", CLUSTER(slot_unbounded), .type = OPTION_BOOL,
	    .initial = "no", .example = "yes",
	    .what = "Accept max_slot_wal_keep_size = -1: while this site is "
	    "away the server keeps WAL until its disk is full.  \"pgkura "
	    "check\" faults that otherwise." },
	{ "receive", CLUSTER(receive), .type = OPTION_BOOL,
	    .initial = "yes", .example = "no",
	    .what = "Stream WAL from the server.  With \"no\" it comes by "
	    "archive_command only, and what the server has not archived yet "
	    "is not protected." },
	{ "application_name", CLUSTER(application_name), .type = OPTION_TEXT,
	    .initial = "pgkura", .example = "pgkura_tokyo",
	    .what = "Name of the receiver in pg_stat_replication and "
	    "synchronous_standby_names." },
	{ "backup_schedule", CLUSTER(backup_schedule), .type = OPTION_SCHEDULE,
	    .example = "0 3 * * *",
	    .what = "When to take a base backup: five cron fields in local "
	    "time, @daily and the like, or \"every 12h\".  A run that was "
	    "missed is made up once.  Old backups are removed after each.  "
	    "Not set: only by hand." },
	{ "backup_window", CLUSTER(backup_window), .type = OPTION_WINDOW,
	    .example = "22:00-05:00",
	    .what = "Scheduled, missed and repeated backups start only at "
	    "these times of the day; one that heals a gap in WAL starts at once.  "
	    "Not set: at any time." },
	{ "verify_schedule", CLUSTER(verify_schedule), .type = OPTION_SCHEDULE,
	    .example = "0 12 * * sun",
	    .what = "When to read back and check what is stored.  Not set: "
	    "only by hand." },
	{ "verify_sample_percent", CLUSTER(verify_sample_percent),
	    .type = OPTION_NUMBER, .min = 1, .max = 100,
	    .initial = "100", .example = "10",
	    .what = "The share of the stored data that each scheduled "
	    "verification reads, chosen anew each time." },
	{ "keep_backups", CLUSTER(keep_backups), .type = OPTION_NUMBER,
	    .min = 1, .max = 100000, .initial = "7", .example = "14",
	    .what = "Keep at least so many base backups, and the WAL behind "
	    "the oldest of them." },
	{ "keep_age", CLUSTER(keep_age_us), .type = OPTION_INTERVAL,
	    .min = 0, .max = 36600 * DAY_US, .initial = "7d", .example = "30d",
	    .what = "Keep all base backups younger than this, so that any "
	    "moment within it can be restored." },
	{ "expire_grace", CLUSTER(expire_grace_us), .type = OPTION_INTERVAL,
	    .min = 0, .max = 366 * DAY_US, .initial = "1d", .example = "1h",
	    .what = "Keep data and WAL of a removed backup for so long, and what "
	    "a restored server may ask for." },
	{ "compress_level", CLUSTER(compress_level), .type = OPTION_NUMBER,
	    .min = 1, .max = 19, .initial = "3", .example = "9",
	    .what = "The most work that zstd is allowed to spend." },
	{ "workers", CLUSTER(workers), .type = OPTION_NUMBER,
	    .min = 1, .max = 64, .initial = "2", .example = "8",
	    .what = "Threads that compress a backup or decompress a "
	    "restore." },
	{ "max_rate", CLUSTER(max_rate_bytes_s), .type = OPTION_BYTES,
	    .min = 32 * KIB, .max = 1024 * GIB, .initial = "none",
	    .example = "50MB",
	    .what = "Bytes a second that a base backup may read from the "
	    "server; \"none\" for no limit." },
	{ "fast_checkpoint", CLUSTER(fast_checkpoint), .type = OPTION_BOOL,
	    .initial = "no", .example = "yes",
	    .what = "Ask the server for an immediate checkpoint when a backup "
	    "starts, instead of a spread one that can take some minutes but "
	    "loads it less." },
	{ "verify_pages", CLUSTER(verify_pages), .type = OPTION_BOOL,
	    .initial = "yes", .example = "no",
	    .what = "Check page checksums while a backup passes, when the "
	    "cluster has them.  Damaged pages are reported and kept." },
	{ "pgdata", CLUSTER(pgdata), .type = OPTION_PATH,
	    .example = "/var/lib/postgresql/15/main",
	    .what = "The data directory, when it lies on this machine: what "
	    "\"pgkura restore\" offers and guards." },
	{ "config_dir", CLUSTER(config_dir), .type = OPTION_PATH,
	    .example = "/etc/postgresql/15/main",
	    .what = "A folder on this machine with the cluster's configuration "
	    "outside the data directory, kept with each backup." },
	{ "bindir", CLUSTER(bindir), .type = OPTION_PATH,
	    .example = "/usr/lib/postgresql/15/bin",
	    .what = "Where this cluster's postgres and pg_ctl lie.  Not set: "
	    "the usual folders are searched for its version." },
	{ "wal_gap_alarm", CLUSTER(wal_gap_alarm_us), .type = OPTION_INTERVAL,
	    .min = 15 * (MINUTE_US / 60), .max = DAY_US, .initial = "60s",
	    .example = "5min",
	    .what = "Raise an alarm when for so long nothing was heard from "
	    "the server, or WAL that it has is not durable here." },
	{ "replicate_to", CLUSTER(replicate_to), .type = OPTION_NAMES,
	    .example = "osaka",
	    .what = "Sites that get a copy of this cluster's backups and WAL: "
	    "names of [peer NAME] sections, separated by commas." },
	{ "accept_from", CLUSTER(accept_from), .type = OPTION_NAMES,
	    .example = "osaka",
	    .what = "Sites that this one takes copies of this cluster's "
	    "backups and WAL from.  A cluster can have both options, with the "
	    "same sites, so that roles can change." },
	{ "rpo_target", CLUSTER(rpo_target_us), .type = OPTION_INTERVAL,
	    .min = MINUTE_US / 60, .max = 366 * DAY_US, .initial = "60s",
	    .example = "5min",
	    .what = "The most that may be lost with this site: an alarm is "
	    "raised when a peer's copy is further behind." },
	{ "rto_target", CLUSTER(rto_target_us), .type = OPTION_INTERVAL,
	    .min = MINUTE_US / 60, .max = 366 * DAY_US, .initial = "1h",
	    .example = "4h",
	    .what = "The longest that the cluster may be away when its site "
	    "is lost: reports of drills say whether that holds." },
	{ "rto_assumed", CLUSTER(rto_assumed_us), .type = OPTION_INTERVAL,
	    .min = 0, .max = 366 * DAY_US, .initial = "10min",
	    .example = "30min",
	    .what = "What reports add to the time that a drill measures: to "
	    "decide, and to lead clients to the other site." },
	{ "drill_schedule", CLUSTER(drill_schedule), .type = OPTION_SCHEDULE,
	    .example = "0 4 1 * *",
	    .what = "When to rehearse the loss of the server: \"pgkura "
	    "drill\".  Not set: only by hand." },
	{ "drill_live_schedule", CLUSTER(drill_live_schedule),
	    .type = OPTION_CALENDAR, .supervisor_only = true,
	    .example = "0 4 1 */3 *",
	    .what = "When to rehearse in operation: \"pgkura drill --live\", a "
	    "switchover to the other site and back.  The site that is then the "
	    "primary begins, if nothing stands in the way; what was missed is "
	    "not made up for.  Not set: only by hand." },
	{ "drill_dir", CLUSTER(drill_dir), .type = OPTION_PATH,
	    .example = "/srv/drills",
	    .what = "Folder in which drills make their copy of the cluster, "
	    "with room for all of it.  Not set: drills in state_dir." },
	{ "drill_user", CLUSTER(drill_user), .type = OPTION_TEXT,
	    .initial = "postgres", .example = "admin",
	    .what = "A superuser of the cluster, as whom a drill looks at its "
	    "copy.  It needs no password." },
	{ "drill_checks", CLUSTER(drill_checks), .type = OPTION_PATH,
	    .example = "/etc/pgkura/checks",
	    .what = "Folder whose files *.sql are run in every copy, by name.  "
	    "A file fails when a statement does, or when a row's first column "
	    "is false." },
	{ "drill_time_limit", CLUSTER(drill_time_limit_us),
	    .type = OPTION_INTERVAL, .none = true, .min = MINUTE_US / 60,
	    .max = 366 * DAY_US, .initial = "none", .example = "6h",
	    .what = "A drill that has not ended within this time is stopped "
	    "and cleaned up; \"none\" for no limit." },
	{ "drill_space_limit", CLUSTER(drill_space_limit_bytes),
	    .type = OPTION_BYTES, .min = KIB * KIB, .max = 1024 * PIB,
	    .initial = "none", .example = "500GB",
	    .what = "A drill whose copy takes more than this is stopped and "
	    "cleaned up; \"none\" for what min_free_bytes leaves." },
	{ "role", CLUSTER(role), .type = OPTION_WORD,
	    .words = roles, .initial = "none", .example = "standby",
	    .what = "What this site is for the cluster when nothing is on "
	    "record yet; later the record in state_dir counts, and \"pgkura "
	    "role\" shows it.  With a role, one of the peers of replicate_to "
	    "and accept_from is the other site." },
	{ "votes_for", CLUSTER(votes_for), .type = OPTION_NAMES,
	    .example = "osaka",
	    .what = "This site is the witness of the cluster's two sites, which "
	    "are peers here: it votes on who may write, and stores nothing." },
	{ "failover", CLUSTER(failover), .type = OPTION_WORD,
	    .words = failovers, .initial = "manual", .example = "automatic",
	    .what = "Who decides on a failover.  automatic needs a witness and "
	    "fence = lease, or fence = hook, the same at both sites; what lacks "
	    "leaves an alarm with the command to type." },
	{ "hold", CLUSTER(hold_us), .type = OPTION_INTERVAL,
	    .min = 0, .max = 7 * DAY_US, .initial = "10min",
	    .example = "2min",
	    .what = "Automatic failover begins when the primary's site has been "
	    "silent for so long after it was found silent; \"pgkura failover "
	    "--confirm\" ends this time, --cancel the failover.  0s for two "
	    "sites in one building." },
	{ "lease", CLUSTER(lease_us), .type = OPTION_INTERVAL,
	    .min = 3 * (MINUTE_US / 60), .max = 3 * MINUTE_US,
	    .initial = "60s", .example = "30s",
	    .what = "With fence = lease: so long the primary may write after "
	    "the other sites last agreed." },
	{ "rpo_limit", CLUSTER(rpo_limit_us), .type = OPTION_INTERVAL,
	    .none = true, .min = MINUTE_US / 60, .max = 366 * DAY_US,
	    .initial = "none", .example = "1min",
	    .what = "Automatic failover only when no more than this is lost; "
	    "\"none\" for any loss." },
	{ "failover_backoff", CLUSTER(failover_backoff_us),
	    .type = OPTION_INTERVAL, .min = 0, .max = 366 * DAY_US,
	    .initial = "1d", .example = "1h",
	    .what = "No second automatic failover, of either site, within this "
	    "time." },
	{ "switchback_after", CLUSTER(switchback_after_us),
	    .type = OPTION_INTERVAL, .none = true, .min = MINUTE_US / 60,
	    .max = 366 * DAY_US, .initial = "none", .example = "1h",
	    .what = "At the site with role = primary: after a failover the role "
	    "comes home by a switchover of its own, when this site has followed, "
	    "and been ready for one, for so long.  Not after a switchover that "
	    "somebody ordered, nor in maintenance.  \"none\": only by an "
	    "order." },
	{ "fence", CLUSTER(fence), .type = OPTION_WORD,
	    .words = fences, .initial = "none", .example = "lease",
	    .what = "What keeps an old primary from writing.  lease: the server "
	    "runs only while this site has a lease from the witness or the other "
	    "site; pgkurad stops it before the lease ends, and a watchdog of its "
	    "own (pgkura-fence) when pgkurad does not.  hook: fence_hook has "
	    "returned 0." },
	{ "fence_hook", CLUSTER(fence_hook), .type = OPTION_PATH,
	    .example = "/etc/pgkura/fence",
	    .what = "Program that makes sure that the other site's server does "
	    "not write (power switch, hypervisor, storage), run with the "
	    "cluster and that site as arguments; 0 is the proof.  With "
	    "PGKURA_FENCE=test in its environment it must do all but that, and "
	    "return 0 when it could: it is tested so now and again." },
	{ "fence_hook_timeout", CLUSTER(fence_hook_timeout_us),
	    .type = OPTION_INTERVAL, .min = MINUTE_US / 60, .max = DAY_US,
	    .initial = "60s", .example = "5min",
	    .what = "fence_hook is killed, and has failed, after this." },
	{ "local_recovery", CLUSTER(local_recovery), .type = OPTION_BOOL,
	    .initial = "no", .example = "yes",
	    .what = "pgkurad runs the server of pgdata: it starts it again when "
	    "it has crashed.  Leave it off where systemd or somebody else "
	    "does." },
	{ "server_failed", CLUSTER(server_failed), .type = OPTION_WORD,
	    .words = server_failures, .initial = "alarm", .example = "failover",
	    .what = "What becomes of it when local_recovery has failed for good, "
	    "while the primary's site lives.  alarm: an operator decides.  "
	    "failover: with failover = automatic the primary gives its term up "
	    "once the other site has all its WAL and is ready, and the other "
	    "site takes over with no hold.  Set it at both sites." },
	{ "wal_ack", CLUSTER(wal_ack), .type = OPTION_WORD,
	    .words = wal_acks, .initial = "local", .example = "remote",
	    .what = "What the receiver tells the server to be safe: WAL that "
	    "is durable at this site, or at a site of replicate_to as well.  "
	    "It matters where synchronous_standby_names has the receiver." },
	{ "wal_ack_timeout", CLUSTER(wal_ack_timeout_us),
	    .type = OPTION_INTERVAL, .none = true, .min = MINUTE_US / 600,
	    .max = DAY_US, .initial = "10s", .example = "1min",
	    .what = "With wal_ack = remote: when the other site has not "
	    "acknowledged anything for so long, an alarm is raised and "
	    "this site is enough until the other has caught up; \"none\" to wait "
	    "however long it takes." },

	{ "standby_dir", CLUSTER(standby_dir), .type = OPTION_PATH,
	    .example = "/var/lib/postgresql/15/standby",
	    .what = "Data directory of a standby at this site, which pgkurad "
	    "makes from the newest backup, starts, keeps in recovery from this "
	    "repository, and makes anew when it cannot go on.  It never "
	    "connects to the primary.  It is run by the owner of the folder, "
	    "who must be the user of pgkurad, or pgkurad run by root." },
	{ "standby_port", CLUSTER(standby_port), .type = OPTION_NUMBER,
	    .min = 0, .max = 65535, .initial = "0", .example = "5433",
	    .what = "Port of that standby; 0 for the primary's." },
	{ "standby_settings", CLUSTER(standby_settings), .type = OPTION_TEXT,
	    .example = "shared_buffers=4GB listen_addresses='*'",
	    .what = "Settings of that standby's server, name=value, separated "
	    "by blanks; a value with blanks is quoted.  They stay when it is "
	    "promoted." },
	{ "standby_tablespaces", CLUSTER(standby_tablespaces),
	    .type = OPTION_PLACES, .example = "/ssd/pg=/data/ssd, 16455=/data/log",
	    .what = "Other places for tablespaces of that standby: where the "
	    "primary has one, or its OID, an equals sign and an absolute "
	    "path; separated by commas.  Not named: as at the primary." },
	{ "standby_hot", CLUSTER(standby_hot), .type = OPTION_BOOL,
	    .initial = "yes", .example = "no",
	    .what = "That standby takes read-only sessions, and can be the "
	    "server of backup_conninfo." },
	{ "standby_conninfo", CLUSTER(standby_conninfo),
	    .type = OPTION_CONNINFO, .example = "host=/run/postgresql port=5433",
	    .what = "How this site reaches that standby, and receives from it "
	    "once it is promoted.  Not set: its first socket folder or "
	    "address, with the role of conninfo." },
	{ "promote_hook", CLUSTER(promote_hook), .type = OPTION_PATH,
	    .example = "/etc/pgkura/promote",
	    .what = "Program that is run with the word before, and with the "
	    "word after when it takes writes, when the standby is promoted: to "
	    "fence the old primary, move an address, change DNS or a pooler.  "
	    "When it fails before, nothing is promoted." },
	{ "promote_hook_timeout", CLUSTER(promote_hook_timeout_us),
	    .type = OPTION_INTERVAL, .min = MINUTE_US / 60, .max = DAY_US,
	    .initial = "60s", .example = "5min",
	    .what = "promote_hook is killed, and has failed, after this." },

	/* ---- [peer NAME] ---- */
	{ "address", PEER(address), .type = OPTION_ADDRESSES,
	    .example = "dr.example.com:7432",
	    .what = "Where that site listens; several addresses, separated by "
	    "commas, are several paths, all of which are used.  Not set: it "
	    "dials this site." },
	{ "bind", PEER(bind), .type = OPTION_LITERALS,
	    .example = "192.0.2.1",
	    .what = "Addresses of this machine to dial from, one for each of "
	    "address, in that order; the last holds for all that follow." },
	{ "witness", PEER(witness), .type = OPTION_BOOL,
	    .initial = "no", .example = "yes",
	    .what = "That site only votes on who may write; it stores "
	    "nothing.  There is one, the same at both sites of a cluster." },
	{ "lanes", PEER(lanes), .type = OPTION_NUMBER,
	    .min = 1, .max = 64, .initial = "8", .example = "16",
	    .what = "Connections that share the data, over all paths.  More "
	    "help on long lines that lose packets." },
	{ "congestion", PEER(congestion), .type = OPTION_CHOICE,
	    .words = congestions, .initial = "bbr", .example = "system",
	    .what = "TCP congestion control that is asked for: bbr keeps its "
	    "rate on lines that lose packets; system is what the system is "
	    "set to.  \"pgkura check\" says what is in force." },
	{ "max_rate", PEER(max_rate_bytes_s), .type = OPTION_BYTES,
	    .min = RATE_BYTES_S_MIN, .max = RATE_BYTES_S_MAX,
	    .initial = "none", .example = "50MB",
	    .what = "Bytes a second that may be sent to that site; \"none\" "
	    "for no limit." },
	{ "rate_windows", PEER(rate_windows), .type = OPTION_RATES,
	    .example = "08:00-18:00 20MB, 22:00-06:00 unlimited",
	    .what = "Other rates at times of the day, in local time; the first "
	    "window that holds counts, and outside of all of them max_rate." },
	{ "beat_interval", PEER(beat_interval_us), .type = OPTION_INTERVAL,
	    .min = MINUTE_US / 600, .max = 10 * MINUTE_US, .initial = "5s",
	    .example = "1s",
	    .what = "Time between heartbeats on each path." },
	{ "beat_misses", PEER(beat_misses), .type = OPTION_NUMBER,
	    .min = 1, .max = 100, .initial = "5", .example = "3",
	    .what = "A path counts as down after so many heartbeats without "
	    "an answer." },
	{ "quota", PEER(quota_bytes), .type = OPTION_BYTES,
	    .min = KIB * KIB, .max = 1024 * PIB, .initial = "none",
	    .example = "2TB",
	    .what = "What that site may store here, at most; \"none\" for "
	    "what the disk holds." },
	{ "protect", PEER(protect_us), .type = OPTION_INTERVAL,
	    .min = 0, .max = 36600 * DAY_US, .initial = "14d",
	    .example = "30d",
	    .what = "What came from that site is not removed here before it is "
	    "this old, whatever that site says." },
	{ "keep_lacking", PEER(keep_lacking_us), .type = OPTION_INTERVAL,
	    .min = 0, .max = 36600 * DAY_US, .initial = "7d",
	    .example = "2d",
	    .what = "Backups and WAL that go to that site and that it still "
	    "lacks are not expired here before they are this old." },
};
/* clang-format on */
const size_t settings_option_count = COUNT_OF(settings_options);

const struct option *
option_find(enum option_scope scope, const char *key)
{
	size_t i;

	for (i = 0; i < COUNT_OF(settings_options); i++)
		if (settings_options[i].scope == scope &&
		    strcmp(settings_options[i].key, key) == 0)
			return &settings_options[i];
	return NULL;
}

bool
option_is_text(const struct option *o)
{
	return o->type <= OPTION_CHOICE;
}
