/*
 * err: the words, the hint and the exit status of a failure.  mem and le too,
 * as there is little to say about them.
 */

#include "base/err.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/le.h"
#include "base/mem.h"
#include "tap.h"

static void
check_words(void)
{
	struct err e = ERR_INIT;
	char long_text[1000];

	tap_ok(err_set(&e, ERR_CORRUPT, "page %d is bad", 7) == -1,
	    "err_set() gives -1");
	tap_str(e.text, "page 7 is bad", "its words");
	tap_ok(e.kind == ERR_CORRUPT && e.sys_errno == 0, "its kind");
	(void)err_hint(&e, "Restore %s.", "it");
	tap_str(e.hint, "Restore it.", "its hint");
	(void)err_ctx(&e, "file \"%s\"", "x");
	tap_str(e.text, "file \"x\": page 7 is bad", "with context");
	tap_str(e.hint, "Restore it.", "context keeps the hint");
	tap_ok(e.kind == ERR_CORRUPT, "and the kind");
	errno = ENOSPC;
	tap_ok(err_sys(&e, "could not write \"%s\"", "y") == -1,
	    "err_sys() gives -1");
	tap_str(e.text, "could not write \"y\": No space left on device",
	    "err_sys() says why");
	tap_ok(e.kind == ERR_IO && e.sys_errno == ENOSPC && errno == ENOSPC,
	    "err_sys() keeps errno");
	tap_str(e.hint, "", "a new failure has no old hint");
	err_clear(&e);
	tap_ok(e.kind == ERR_NONE && e.sys_errno == 0 && e.text[0] == '\0',
	    "cleared");
	(void)memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	(void)err_set(&e, ERR_IO, "%s", long_text);
	(void)err_ctx(&e, "%s", long_text);
	(void)err_hint(&e, "%s", long_text);
	tap_u64(strlen(e.text), sizeof(e.text) - 1, "what is long is cut");
	tap_u64(strlen(e.hint), sizeof(e.hint) - 1, "the hint too");
	tap_ok(err_set(NULL, ERR_IO, "x") == -1 && err_sys(NULL, "x") == -1 &&
		err_ctx(NULL, "x") == -1 && err_hint(NULL, "x") == -1,
	    "nobody needs to ask");
}

static void
check_kinds(void)
{
	static const struct {
		enum err_kind kind;
		const char *name;
		int status;
	} kinds[] = { { ERR_NONE, "none", 0 }, { ERR_USAGE, "usage", 2 },
		{ ERR_TRANSIENT, "transient", 75 }, { ERR_IO, "io", 1 },
		{ ERR_CORRUPT, "corrupt", 3 }, { ERR_CONFLICT, "conflict", 4 },
		{ ERR_NOT_FOUND, "not_found", 1 },
		{ ERR_REFUSED, "refused", 1 }, { ERR_CANCELED, "canceled", 1 },
		{ ERR_BUG, "bug", 1 } };
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < COUNT_OF(kinds); i++) {
		e.kind = kinds[i].kind;
		tap_str(err_kind_name(e.kind), kinds[i].name, "name");
		tap_u64((uint64_t)err_exit_status(&e),
		    (uint64_t)kinds[i].status, "exit status of %s",
		    kinds[i].name);
	}
}

static void
check_le(void)
{
	uint8_t b[9] = { 0 };

	le16_put(b + 1, 0x8001);
	tap_ok(b[1] == 0x01 && b[2] == 0x80, "le16 is low byte first");
	tap_u64(le16_get(b + 1), 0x8001, "le16 and back");
	le32_put(b + 1, 0x80000001);
	tap_u64(le32_get(b + 1), 0x80000001, "le32 and back");
	le64_put(b + 1, UINT64_C(0xf123456789abcde0));
	tap_ok(b[1] == 0xe0 && b[8] == 0xf1, "le64 is low byte first");
	tap_u64(le64_get(b + 1), UINT64_C(0xf123456789abcde0), "le64 and back");
	be32_put(b + 1, 0xf0000001);
	tap_ok(b[1] == 0xf0 && b[4] == 0x01, "be32 is high byte first");
	tap_u64(be32_get(b + 1), 0xf0000001, "be32 and back");
	be64_put(b + 1, UINT64_C(0xf123456789abcde0));
	tap_ok(b[1] == 0xf1 && b[8] == 0xe0, "be64 is high byte first");
	tap_u64(be64_get(b + 1), UINT64_C(0xf123456789abcde0), "be64 and back");
}

static void
check_mem(void)
{
	AUTO_FREE char *a = mem_strndup("abcdef", 3);
	AUTO_FREE char *b = mem_printf("%s-%d", a, 7);
	AUTO_FREE uint8_t *z = mem_zarray(10, 10);
	AUTO_FREE void *none = mem_alloc(0);
	AUTO_FREE void *page = mem_pages(5000);
	AUTO_FREE uint32_t *grown = mem_array(2, sizeof(*grown));
	unsigned int i, sum = 0;

	tap_str(a, "abc", "mem_strndup()");
	tap_str(b, "abc-7", "mem_printf()");
	for (i = 0; i < 100; i++)
		sum += z[i];
	tap_u64(sum, 0, "mem_zarray() is zero");
	tap_ok(none != NULL, "no bytes are somewhere too");
	tap_ok((uintptr_t)page % 4096 == 0, "mem_pages() is aligned");
	grown[1] = 77;
	grown = mem_rearray(grown, 5000, sizeof(*grown));
	tap_u64(grown[1], 77, "mem_rearray() keeps what is there");
}

/* The signal that ends a child that asks for too much. */
static int
ends_by(void (*greedy)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		const struct rlimit no_core = { 0, 0 };

		(void)setrlimit(RLIMIT_CORE, &no_core);
		(void)close(2);
		greedy();
		_exit(0);
	}
	(void)waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* Four times as many are 4 bytes, were it not for the overflow. */
static volatile size_t quarter = SIZE_MAX / 4 + 2;

static void
greedy_product(void)
{
	free(mem_array(quarter, 4));
}

static void
greedy_growth(void)
{
	free(mem_rearray(NULL, quarter, 4));
}

int
main(void)
{
	check_words();
	check_kinds();
	check_le();
	check_mem();
	tap_u64((uint64_t)ends_by(greedy_product), SIGABRT,
	    "a product that overflows ends the process");
	tap_u64((uint64_t)ends_by(greedy_growth), SIGABRT, "also when growing");
	return tap_done();
}
