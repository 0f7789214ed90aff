#include "base/progress.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/size.h"

#define DRAW_US	   (CLOCK_SECOND_US / 4)
#define PUBLISH_US CLOCK_SECOND_US

struct progress {
	char *what;
	_Atomic uint64_t total, done;
	_Atomic int64_t next_us; /* when to show it again */
	bool terminal;
	int64_t started_us;
	pthread_mutex_t lock; /* guards what follows */
	char *note;
	char *path; /* NULL: not published */
	int64_t published_us;
	bool drawn;
	/* The rate of the last seconds: older ones fade out. */
	uint64_t seen;
	int64_t seen_us;
	double rate;
};

struct progress *
progress_new(const char *what, uint64_t total_bytes)
{
	struct progress *p = mem_zalloc(sizeof(*p));

	p->what = mem_strdup(what);
	p->note = mem_strdup("");
	atomic_init(&p->total, total_bytes);
	atomic_init(&p->done, 0);
	p->started_us = p->seen_us = clock_boot_us();
	atomic_init(&p->next_us, p->started_us + DRAW_US);
	p->terminal = isatty(STDERR_FILENO) == 1;
	(void)pthread_mutex_init(&p->lock, NULL);
	return p;
}

static void
put_error(const char *data, size_t len)
{
	(void)!write(STDERR_FILENO, data, len);
}

void
progress_free(struct progress *p)
{
	if (p == NULL)
		return;
	if (p->drawn) {
		put_error("\r\033[K", 4);
		log_over_line(false);
	}
	if (p->path != NULL)
		(void)unlink(p->path);
	(void)pthread_mutex_destroy(&p->lock);
	free(p->path);
	free(p->note);
	free(p->what);
	free(p);
}

/* Take the rate since it was last looked at into account. */
static void
measure(struct progress *p, int64_t now_us)
{
	uint64_t done = atomic_load(&p->done);
	double seconds = (double)(now_us - p->seen_us) / 1e6, rate, share;

	if (seconds < 0.1)
		return;
	rate = (double)(done - p->seen) / seconds;
	/* Half of the rate is from the last two seconds or so. */
	share = p->seen == 0 ? 1.0 : seconds / (seconds + 2.0);
	p->rate += (rate - p->rate) * share;
	p->seen = done;
	p->seen_us = now_us;
}

static struct progress_view
view(const struct progress *p)
{
	struct progress_view v = { .what = p->what, .note = p->note };

	v.done = atomic_load(&p->done);
	v.total = atomic_load(&p->total);
	v.rate = (uint64_t)p->rate;
	v.eta_s = -1;
	if (v.total > v.done && p->rate >= 1.0)
		v.eta_s = (int64_t)((double)(v.total - v.done) / p->rate + 0.5);
	if (v.total != 0 && v.done >= v.total)
		v.eta_s = 0;
	return v;
}

/* One line, no wider than the terminal, as a longer one would scroll. */
static void
draw(struct progress *p, const struct progress_view *v)
{
	AUTO_BUF struct buf line = BUF_INIT;
	AUTO_BUF struct buf out = BUF_INIT;
	struct winsize size = { 0 };
	size_t len;

	progress_text(v, &line);
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == -1 || size.ws_col == 0)
		size.ws_col = 80;
	len = line.len < size.ws_col ? line.len : size.ws_col - 1U;
	buf_printf(&out, "\r%.*s\033[K", (int)len, buf_str(&line));
	put_error((const char *)out.data, out.len);
	p->drawn = true;
	log_over_line(true);
}

/* Replace the file.  It is a courtesy to `pgkura status`, so the work goes on
 * when it fails; and not durable, as it means nothing after a crash. */
static void
publish(struct progress *p, const struct progress_view *v)
{
	AUTO_BUF struct buf json = BUF_INIT;

	buf_printf(&json, "{\"what\":");
	buf_put_json(&json, v->what);
	buf_printf(&json,
	    ",\"done\":%llu,\"total\":%llu,\"rate\":%llu,\"eta_s\":%lld,"
	    "\"note\":",
	    (unsigned long long)v->done, (unsigned long long)v->total,
	    (unsigned long long)v->rate, (long long)v->eta_s);
	buf_put_json(&json, v->note);
	buf_printf(&json, ",\"pid\":%ld}\n", (long)getpid());
	file_show(p->path, json.data, json.len);
}

/* Show the state where it is to be shown; the lock is held. */
static void
show(struct progress *p, int64_t now_us)
{
	struct progress_view v;

	measure(p, now_us);
	v = view(p);
	if (p->terminal)
		draw(p, &v);
	if (p->path != NULL && now_us - p->published_us >= PUBLISH_US) {
		p->published_us = now_us;
		publish(p, &v);
	}
}

void
progress_set_total(struct progress *p, uint64_t total_bytes)
{
	atomic_store(&p->total, total_bytes);
}

void
progress_add(struct progress *p, uint64_t bytes)
{
	int64_t now_us = clock_boot_us(), next_us = atomic_load(&p->next_us);

	(void)atomic_fetch_add(&p->done, bytes);
	/* Of all threads that come late enough one shows it. */
	if (now_us < next_us ||
	    !atomic_compare_exchange_strong(
		&p->next_us, &next_us, now_us + DRAW_US))
		return;
	(void)pthread_mutex_lock(&p->lock);
	show(p, now_us);
	(void)pthread_mutex_unlock(&p->lock);
}

void
progress_note(struct progress *p, const char *note)
{
	const char *text = note == NULL ? "" : note;

	(void)pthread_mutex_lock(&p->lock);
	if (strcmp(p->note, text) != 0) {
		free(p->note);
		p->note = mem_strdup(text);
		p->published_us = 0; /* it is news */
		show(p, clock_boot_us());
	}
	(void)pthread_mutex_unlock(&p->lock);
}

uint64_t
progress_done(const struct progress *p)
{
	return atomic_load(&p->done);
}

void
progress_publish(struct progress *p, const char *path)
{
	(void)pthread_mutex_lock(&p->lock);
	free(p->path);
	p->path = mem_strdup(path);
	p->published_us = 0;
	show(p, clock_boot_us());
	(void)pthread_mutex_unlock(&p->lock);
}
