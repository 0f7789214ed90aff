/*
 * ready_machine: server programs, memory, space, hooks, the way back.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/child.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"
#include "base/strmap.h"
#include "conf/settings_table.h"
#include "jobs/ready_int.h"
#include "pg/server.h"

#define ASK_MS	     20000
#define MEMINFO_MAX  ((size_t)65536)
#define SPARE_BYTES  ((uint64_t)1 << 30) /* for WAL that is written then */
#define FILES_SERVER 1000		 /* max_files_per_process */

/* ---- programs ---- */

/* "postgres (PostgreSQL) 15.20 (Debian ...)": 20; -1 unknown. */
static int
minor_of(const char *bindir)
{
	AUTO_FREE char *program = file_join(bindir, "postgres");
	const char *const argv[] = { program, "--version", NULL };
	AUTO_BUF struct buf out = BUF_INIT;
	const char *at;
	int major, minor;

	if (child_run(argv, ASK_MS, &out, NULL) != 0)
		return -1;
	at = strstr(buf_str(&out), "(PostgreSQL) ");
	if (at == NULL ||
	    sscanf(at + strlen("(PostgreSQL) "), "%d.%d", &major, &minor) != 2)
		return -1;
	return minor;
}

static void
look_at_programs(struct ready *r)
{
	AUTO_BUF struct buf dir = BUF_INIT;
	struct err e = ERR_INIT;
	int want = r->root.facts.version_num % 10000, have;

	if (server_find_bindir(
		r->root.facts.major, r->k.cluster->bindir, &dir, &e) == -1) {
		check_fault(&r->k, "server programs", &e);
		return;
	}
	have = minor_of(buf_str(&dir));
	if (have >= 0 && have < want)
		check_say(&r->k, CHECK_WARNING, "server programs",
		    "Install the same minor release here, or a newer one.",
		    "%d.%d here, the server is %d.%d", r->root.facts.major,
		    have, r->root.facts.major, want);
	else
		check_say(&r->k, CHECK_OK, "server programs", NULL,
		    "PostgreSQL %d.%d in \"%s\"", r->root.facts.major, have,
		    buf_str(&dir));
}

/* ---- memory and the like ---- */

/* A line of /proc/meminfo, in bytes when it has "kB"; 0 unknown. */
static uint64_t
meminfo(const char *name)
{
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_FREE char *line = mem_printf("%s:", name);
	unsigned long long value = 0;
	const char *at;

	if (file_slurp_at(
		AT_FDCWD, "/proc/meminfo", MEMINFO_MAX, &text, NULL) == -1)
		return 0;
	at = strstr(buf_str(&text), line);
	if (at == NULL || sscanf(at + strlen(line), "%llu", &value) != 1)
		return 0;
	return strncmp(name, "HugePages", 9) == 0 ? value : value * 1024;
}

static const char *
setting(const struct ready *r, const char *name)
{
	const char *value = r->root.settings == NULL
	    ? NULL
	    : strmap_get(r->root.settings, name);

	return value == NULL ? "" : value;
}

static void
look_at_huge_pages(struct ready *r, uint64_t buffers)
{
	uint64_t there = meminfo("HugePages_Total") * meminfo("Hugepagesize");
	char a[SIZE_TEXT_BYTES], b[SIZE_TEXT_BYTES];

	if (strcmp(setting(r, "huge_pages"), "on") != 0)
		return;
	if (there < buffers)
		check_say(&r->k, CHECK_FAULT, "huge pages",
		    "Set vm.nr_hugepages as at the source; with huge_pages = on "
		    "the server does not start otherwise.",
		    "%s here, shared_buffers is %s", size_text(there, a),
		    size_text(buffers, b));
	else
		check_say(&r->k, CHECK_OK, "huge pages", NULL, "%s",
		    size_text(there, a));
}

static void
look_at_memory(struct ready *r)
{
	uint64_t memory = meminfo("MemTotal"), buffers = 0;
	char a[SIZE_TEXT_BYTES], b[SIZE_TEXT_BYTES];

	if (size_parse(setting(r, "shared_buffers"), &buffers, NULL) == -1 ||
	    memory == 0) {
		check_say(&r->k, CHECK_NOTE, "memory", NULL,
		    "the backup does not say what the server uses");
		return;
	}
	(void)size_text(buffers, a);
	(void)size_text(memory, b);
	if (buffers > memory)
		check_say(&r->k, CHECK_FAULT, "memory",
		    "Give this machine more, or set shared_buffers for here.",
		    "shared_buffers is %s, this machine has %s", a, b);
	else if (buffers > memory / 4 * 3)
		check_say(&r->k, CHECK_WARNING, "memory",
		    "Give this machine more, or set shared_buffers for here.",
		    "shared_buffers is %s of %s", a, b);
	else
		check_say(&r->k, CHECK_OK, "memory", NULL,
		    "shared_buffers %s of %s", a, b);
	look_at_huge_pages(r, buffers);
}

/* A process each: the limits of who runs this, as a hint of the server's. */
static void
look_at_limits(struct ready *r)
{
	uint64_t want = strtoull(setting(r, "max_connections"), NULL, 10) +
	    strtoull(setting(r, "max_worker_processes"), NULL, 10) +
	    strtoull(setting(r, "max_wal_senders"), NULL, 10);
	struct rlimit l;

	if (getrlimit(RLIMIT_NPROC, &l) == 0 && l.rlim_cur != RLIM_INFINITY &&
	    l.rlim_cur < want)
		check_say(&r->k, CHECK_WARNING, "processes",
		    "Raise the limit of the server's user (LimitNPROC=, "
		    "limits.conf).",
		    "%llu are allowed here, the server may start %llu",
		    (unsigned long long)l.rlim_cur, (unsigned long long)want);
	else
		check_say(&r->k, CHECK_OK, "processes", NULL,
		    "max_connections %s, max_worker_processes %s",
		    setting(r, "max_connections"),
		    setting(r, "max_worker_processes"));
	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_max < FILES_SERVER)
		check_say(&r->k, CHECK_WARNING, "open files",
		    "Raise the limit of the server's user (LimitNOFILE=).",
		    "%llu are allowed here", (unsigned long long)l.rlim_max);
}

/* ---- space ---- */

/* path, or what is there above it. */
static char *
existing(const char *path)
{
	char *at = mem_strdup(path);

	while (access(at, F_OK) == -1 && strcmp(at, "/") != 0) {
		char *above = file_parent(at);

		free(at);
		at = above;
	}
	return at;
}

static void
look_at_space(struct ready *r)
{
	const struct cluster_settings *c = r->k.cluster;
	const char *place = c->standby_dir != NULL ? c->standby_dir : c->pgdata;
	AUTO_FREE char *control =
	    place == NULL ? NULL : file_join(place, "global/pg_control");
	AUTO_FREE char *at = NULL;
	bool has_data = control != NULL && access(control, F_OK) == 0;
	uint64_t have, need = (has_data ? 0 : r->root.bytes) + SPARE_BYTES;
	char a[SIZE_TEXT_BYTES], b[SIZE_TEXT_BYTES];
	struct err e = ERR_INIT;

	if (place == NULL) {
		check_say(&r->k, CHECK_NOTE, "space",
		    "Name the place in standby_dir or pgdata.",
		    "the cluster takes %s; nothing says where it would lie",
		    size_text(r->root.bytes, a));
		return;
	}
	at = existing(place);
	if (file_free_bytes(at, &have, &e) == -1)
		check_fault(&r->k, "space", &e);
	else if (have < need)
		check_say(&r->k, CHECK_FAULT, "space", "Make room.",
		    "%s free at \"%s\", %s are needed", size_text(have, a),
		    place, size_text(need, b));
	else
		check_say(&r->k, CHECK_OK, "space", NULL, "%s free at \"%s\"%s",
		    size_text(have, a), place,
		    has_data ? ", where the data are" : "");
}

/* ---- hooks ---- */

static void
look_at_hook(struct ready *r, const char *key, const char *path)
{
	AUTO_FREE char *remedy = mem_printf("Run \"chmod +x %s\".", path);
	struct stat st;

	if (stat(path, &st) == -1)
		check_say(&r->k, CHECK_FAULT, key,
		    "Install it here, or correct the setting.",
		    "there is no \"%s\"", path);
	else if (!S_ISREG(st.st_mode) || access(path, X_OK) == -1)
		check_say(&r->k, CHECK_FAULT, key, remedy,
		    "\"%s\" is not executable", path);
	else if ((st.st_mode & 022) != 0)
		check_say(&r->k, CHECK_WARNING, key,
		    "Let nobody but its owner write it.",
		    "others can change \"%s\"", path);
	else
		check_say(&r->k, CHECK_OK, key, NULL, "\"%s\"", path);
}

/* Every setting that names a program. */
static void
look_at_hooks(struct ready *r)
{
	size_t i;

	for (i = 0; i < settings_option_count; i++) {
		const struct option *o = &settings_options[i];
		const void *base = o->scope == OPTION_SITE
		    ? (const void *)r->k.settings
		    : (const void *)r->k.cluster;
		size_t len = strlen(o->key);
		AUTO_BUF struct buf path = BUF_INIT;

		if (o->scope == OPTION_PEER || o->type != OPTION_PATH ||
		    len < 5 || strcmp(o->key + len - 5, "_hook") != 0 ||
		    !option_get(o, base, &path))
			continue;
		look_at_hook(r, o->key, buf_str(&path));
	}
}

/* ---- time ---- */

static void
look_at_time(struct ready *r)
{
	struct timex t = { 0 };
	int state = adjtimex(&t);

	if (state == TIME_ERROR || (t.status & STA_UNSYNC) != 0)
		check_say(&r->k, CHECK_WARNING, "time",
		    "Run chrony or systemd-timesyncd.",
		    "the kernel's clock is not kept by NTP");
	else if (state != -1)
		check_say(&r->k, CHECK_OK, "time", NULL, "kept by NTP");
}

void
ready_look_at_machine(struct ready *r)
{
	if (r->has_target) {
		look_at_programs(r);
		look_at_memory(r);
		look_at_limits(r);
		look_at_space(r);
	}
	look_at_hooks(r);
	look_at_time(r);
}
