#ifndef CONF_SETTINGS_H
#define CONF_SETTINGS_H

/*
 * settings: pgkura.conf, read from one table of options.
 *
 * INI: [pgkura] for the site, [cluster NAME] for each cluster, [peer NAME] for
 * each site that data is exchanged with.  The table in
 * settings_table.c makes the parser, the sample file and the manual's option
 * list.  Unknown keys name file, line and the nearest key.
 *
 * Comments begin with # or ; at the start of a line or after a blank.  Lines
 * may be indented; there are no continuation lines.  Each section and each key
 * in it may come once.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"

#define SETTINGS_CLUSTERS_MAX 512
#define SETTINGS_PEERS_MAX    64
#define SETTINGS_DEFAULT_PATH "/etc/pgkura/pgkura.conf"

/* Which durable copy lets the receiver report WAL as flushed. */
enum wal_ack { WAL_ACK_LOCAL, WAL_ACK_REMOTE };

/* What this site is for a cluster when nothing is on record yet. */
enum initial_role { INITIAL_NONE, INITIAL_PRIMARY, INITIAL_STANDBY };
enum failover_kind { FAILOVER_MANUAL, FAILOVER_AUTOMATIC };
/* What becomes of a primary whose server is dead for good. */
enum server_failed_kind { SERVER_FAILED_ALARM, SERVER_FAILED_FAILOVER };
/* What keeps an old primary from writing. */
enum fence_kind { FENCE_KIND_NONE, FENCE_KIND_LEASE, FENCE_KIND_HOOK };

struct cluster_settings {
	char *name;
	char *conninfo; /* libpq's; NULL: no server, all comes from a peer,
			 * and receive is false */
	char *backup_conninfo; /* a standby to back up from; NULL: conninfo */
	char *slot;	       /* "pgkura"; "" for none */
	bool create_slot;
	bool slot_unbounded;	/* max_slot_wal_keep_size = -1 is accepted */
	bool receive;		/* stream WAL (else archive_command only) */
	char *application_name; /* for synchronous_standby_names */
	char *backup_schedule;	/* cron expression or "every 6h"; NULL none */
	char *backup_window;	/* "22:00-05:00" or NULL: any time */
	char *verify_schedule;
	unsigned int verify_sample_percent; /* of the packs, each time; 100 */
	uint32_t keep_backups;		    /* at least so many */
	int64_t keep_age_us;		    /* and all younger than this */
	int64_t expire_grace_us;	    /* 24 h */
	int compress_level;		    /* most that is spent: 1 to 19, 3 */
	unsigned int workers;		    /* encoder or restore threads, 2 */
	uint64_t max_rate_bytes_s;	    /* 0 none */
	bool fast_checkpoint;
	bool verify_pages;
	char *pgdata;		  /* where it lies, if on this machine; NULL */
	char *config_dir;	  /* configuration outside PGDATA to keep too */
	char *bindir;		  /* of this cluster's server programs; NULL */
	int64_t wal_gap_alarm_us; /* 60 s */
	char *replicate_to;	  /* names of peers; NULL none */
	char *accept_from;	  /* names of peers; NULL none */
	int64_t rpo_target_us;	  /* 60 s */
	enum initial_role role;	  /* of this site at the very beginning */
	char *votes_for;	  /* this site is the witness of these two */
	enum failover_kind failover;
	int64_t hold_us;	     /* 600 s */
	int64_t lease_us;	     /* 60 s; at most RECORD_LEASE_MAX_US */
	int64_t rpo_limit_us;	     /* automatic failover up to it; 0: any */
	int64_t failover_backoff_us; /* between automatic ones */
	int64_t switchback_after_us; /* 0: by an order only */
	enum fence_kind fence;
	char *fence_hook;
	int64_t fence_hook_timeout_us;
	bool local_recovery; /* this daemon runs the server of pgdata */
	enum server_failed_kind server_failed;
	enum wal_ack wal_ack;
	int64_t wal_ack_timeout_us;	  /* then local is enough; 0 never */
	char *drill_schedule;		  /* NULL: only by hand */
	char *drill_live_schedule;	  /* NULL: only by hand */
	char *drill_dir;		  /* NULL: in state_dir */
	char *drill_user;		  /* a superuser; "postgres" */
	char *drill_checks;		  /* folder of *.sql; NULL none */
	int64_t drill_time_limit_us;	  /* 0 none */
	uint64_t drill_space_limit_bytes; /* 0 none */
	int64_t rto_target_us;		  /* 1 h */
	int64_t rto_assumed_us;		  /* 10 min */
	char *standby_dir;	   /* data directory of a standby here; NULL */
	unsigned int standby_port; /* 0: as the primary's */
	char *standby_settings;	   /* "name=value ..." of it, shell words */
	char *standby_tablespaces; /* "path or OID=path, ..." ; NULL none */
	bool standby_hot;	   /* it takes read-only sessions */
	char *standby_conninfo;	   /* how to reach it; NULL: its socket */
	char *promote_hook; /* run before and after its promotion; NULL */
	int64_t promote_hook_timeout_us;
};

/* Another site. */
struct peer_settings {
	char *name;
	char *address; /* "host:port" list, one a path; NULL: it dials us */
	char *bind;    /* local addresses, by path; NULL: any */
	bool witness;  /* votes and stores nothing */
	unsigned int lanes;	   /* 8 */
	char *congestion;	   /* "bbr"; "system": as the system has it */
	uint64_t max_rate_bytes_s; /* of what we send; 0 none */
	char *rate_windows;	   /* rate_windows.h; NULL none */
	int64_t beat_interval_us;  /* 5 s */
	unsigned int beat_misses;  /* 5 */
	uint64_t quota_bytes;	   /* of what it may store here; 0 none */
	int64_t protect_us;	   /* nothing younger is removed here */
	int64_t keep_lacking_us;   /* what it lacks stays here so long; 7 d */
};

struct settings {
	char *path;
	char *site;	   /* name of this site */
	char *listen;	   /* "host:port" list for peers; NULL none */
	char *repository;  /* store url */
	char *state_dir;   /* /var/lib/pgkura */
	char *runtime_dir; /* sockets: /run/pgkura */
	enum log_format log_format;
	enum log_level log_level;
	char *event_hook; /* program run for each event >= warning; NULL */
	unsigned int parallel_jobs; /* of all clusters at once; 4 */
	uint64_t min_free_bytes;    /* backups refuse below it */
	char
	    *socket_group; /* who may use the control socket besides us; NULL */
	/* Who may what there (daemon/control_right.h); NULL. */
	char *observe_group, *backup_group, *drill_group, *failover_group;
	struct cluster_settings *clusters;
	size_t cluster_count;
	struct peer_settings *peers;
	size_t peer_count;
};

/* path NULL: $PGKURA_CONF, else the default.  ERR_USAGE with file and line. */
struct settings *settings_load(const char *path, struct err *e);
/* The same from text (tests, fuzzing); name is for messages. */
struct settings *
settings_parse(const char *name, const char *text, size_t len, struct err *e);
void settings_free(struct settings *s);
AUTO_DEFINE(struct settings, settings_free);
#define AUTO_SETTINGS AUTO(settings_free_auto)

/* NULL name: the only cluster.  ERR_USAGE names those there are. */
const struct cluster_settings *
settings_cluster(const struct settings *s, const char *name, struct err *e);
/* ERR_USAGE names those there are. */
const struct peer_settings *
settings_peer(const struct settings *s, const char *name, struct err *e);
/* Bytes a second that may be sent to the peer at now_us; 0 no limit. */
uint64_t settings_peer_rate(const struct peer_settings *p, int64_t now_us);
/* ERR_REFUSED, with a hint, where the cluster has no conninfo. */
int settings_need_server(const struct cluster_settings *c, struct err *e);
/* Does the cluster send to that peer, or take from it? */
bool settings_shares(const struct cluster_settings *c, const char *peer);

/* The commented sample file, and the manual's list of options (mdoc). */
void settings_sample(struct buf *out);
void settings_manual(struct buf *out);
/* Effective values: "key = value  # default" or JSON. */
void settings_show(const struct settings *s, bool json, struct buf *out);
/* The site's values as a file that reads back to the same, and those of c when
 * it is not NULL: with secrets, for comparing and never for people. */
void settings_exact(const struct settings *s, const struct cluster_settings *c,
    struct buf *out);
/* The section of one peer, likewise. */
void settings_exact_peer(const struct peer_settings *p, struct buf *out);

#endif /* !CONF_SETTINGS_H */
