/*
 * file: whole files, folders, names and locks in a real folder.
 */

#include "base/file.h"

#include <errno.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/mem.h"
#include "unit/base_scratch.h"

static int dir;

static void
check_publish(void)
{
	struct err e = ERR_INIT;
	struct stat st;

	tap_ok(
	    file_publish_at(dir, "f", "one", 3, 0600, FILE_WRITE_ONCE, &e) == 0,
	    "a new file");
	tap_ok(scratch_holds(dir, "f", "one", 3), "holds its bytes");
	tap_ok(fstatat(dir, "f", &st, 0) == 0 && (st.st_mode & 0777) == 0600,
	    "has its mode");
	tap_ok(file_publish_at(dir, "f", "two", 3, 0600, FILE_WRITE_ONCE, &e) ==
		    -1 &&
		e.kind == ERR_CONFLICT,
	    "once written it stays: %s", e.text);
	tap_ok(scratch_holds(dir, "f", "one", 3), "with its old bytes");
	tap_ok(
	    file_publish_at(dir, "f", "three", 5, 0600, FILE_REPLACE, &e) == 0,
	    "or gives way");
	tap_ok(scratch_holds(dir, "f", "three", 5), "to the new bytes");
	tap_ok(file_publish_at(dir, "f", "", 0, 0600, FILE_REPLACE, &e) == 0 &&
		scratch_holds(dir, "f", "", 0),
	    "an empty file is one too");
	tap_ok(file_publish_at(dir, "no/f", "x", 1, 0600, FILE_REPLACE, &e) ==
		    -1 &&
		e.kind == ERR_NOT_FOUND,
	    "no folder: %s", e.text);
	tap_ok(
	    strstr(e.text, "\"no/f\"") != NULL, "the message names the path");
	tap_u64(scratch_count(dir, "."), 1, "no temporary file is left");
	tap_ok(file_unlink_at(dir, "f", &e) == 0 &&
		file_exists_at(dir, "f", &e) == 0,
	    "removed");
	tap_ok(file_unlink_at(dir, "f", &e) == 0, "twice");
}

static void
check_rename_once(void)
{
	struct err e = ERR_INIT;

	(void)file_publish_at(dir, "tmp", "a", 1, 0600, FILE_REPLACE, &e);
	(void)file_publish_at(dir, "old", "b", 1, 0600, FILE_REPLACE, &e);
	tap_ok(file_rename_once_at(dir, "tmp", "old", &e) == -1 &&
		e.kind == ERR_CONFLICT,
	    "rename replaces nothing: %s", e.text);
	tap_ok(scratch_holds(dir, "old", "b", 1) &&
		scratch_holds(dir, "tmp", "a", 1),
	    "both are as they were");
	tap_ok(file_commit_at(dir, "tmp", "new", &e) == 0 &&
		scratch_holds(dir, "new", "a", 1) &&
		file_exists_at(dir, "tmp", &e) == 0,
	    "a free name is taken");
	tap_ok(file_commit_at(dir, "tmp", "newer", &e) == -1 &&
		e.sys_errno == ENOENT,
	    "nothing to rename: %s", e.text);
	(void)file_unlink_at(dir, "new", &e);
	(void)file_unlink_at(dir, "old", &e);
}

static void
check_folders(void)
{
	struct err e = ERR_INIT;
	char **names;
	size_t count;
	int fd;

	tap_ok(file_mkdirs_at(dir, "a/b//c/", 0700, &e) == 0, "folders");
	tap_ok(file_mkdirs_at(dir, "a/b/c", 0700, &e) == 0, "are there");
	(void)file_publish_at(dir, "a/z", "x", 1, 0600, FILE_REPLACE, &e);
	(void)file_publish_at(dir, "a/m", "x", 1, 0600, FILE_REPLACE, &e);
	(void)file_publish_at(dir, "keep", "x", 1, 0600, FILE_REPLACE, &e);
	tap_ok(file_mkdirs_at(dir, "a/z", 0700, &e) == -1 &&
		e.sys_errno == ENOTDIR,
	    "a file is no folder: %s", e.text);
	tap_ok(file_mkdirs_at(dir, "a/z/deep", 0700, &e) == -1 &&
		e.sys_errno == ENOTDIR,
	    "nor holds one: %s", e.text);
	tap_ok(file_list_at(dir, "a", &names, &count, &e) == 0, "list");
	tap_u64(count, 3, "all names");
	tap_ok(strcmp(names[0], "b") == 0 && strcmp(names[1], "m") == 0 &&
		strcmp(names[2], "z") == 0 && names[3] == NULL,
	    "sorted");
	file_names_free(names);
	tap_ok(file_list_at(dir, "none", &names, &count, &e) == 0 &&
		count == 0 && names[0] == NULL,
	    "no folder has no names");
	file_names_free(names);
	tap_ok(file_list_at(dir, "keep", &names, &count, &e) == -1 &&
		names == NULL,
	    "a file has none to give: %s", e.text);
	file_names_free(names);

	tap_ok((fd = file_open_dir(".", &e)) != -1, "open a folder");
	tap_ok(file_sync_fs(fd, ".", &e) == 0, "flush its file system");
	(void)close(fd);
	tap_ok(
	    file_sync_dir_at(dir, "gone", &e) == -1 && e.kind == ERR_NOT_FOUND,
	    "%s", e.text);
}

static void
check_rmtree(void)
{
	struct err e = ERR_INIT;

	(void)file_mkdirs_at(dir, "a/b/c", 0700, &e);
	(void)file_publish_at(dir, "a/z", "x", 1, 0600, FILE_REPLACE, &e);
	(void)file_publish_at(dir, "keep", "x", 1, 0600, FILE_REPLACE, &e);
	tap_ok(symlinkat("../keep", dir, "a/link") == 0 &&
		symlinkat("..", dir, "a/b/up") == 0,
	    "links out of the tree");
	tap_ok(file_rmtree_at(dir, "a", &e) == 0, "the tree goes");
	tap_ok(file_exists_at(dir, "a", &e) == 0, "whole");
	tap_ok(scratch_holds(dir, "keep", "x", 1), "links are not followed");
	tap_ok(file_rmtree_at(dir, "a", &e) == 0, "twice");
	tap_ok(file_rmtree_at(dir, "keep", &e) == 0 &&
		file_exists_at(dir, "keep", &e) == 0,
	    "a file is a small tree");
}

static void
check_many_names(void)
{
	struct err e = ERR_INIT;
	char **names, name[32];
	size_t count, i, wrong = 0;

	(void)file_mkdirs_at(dir, "many", 0700, &e);
	for (i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "many/%04zu", i);
		(void)close(
		    file_open_at(dir, name, O_CREAT | O_WRONLY, 0600, &e));
	}
	(void)file_list_at(dir, "many", &names, &count, &e);
	tap_u64(count, 1000, "a thousand names");
	for (i = 0; i + 1 < count; i++)
		if (strcmp(names[i], names[i + 1]) >= 0)
			wrong++;
	tap_u64(wrong, 0, "in order");
	file_names_free(names);
	tap_ok(file_rmtree_at(dir, "many", &e) == 0, "and removed");
}

static void
check_slurp(void)
{
	AUTO_BUF struct buf b = BUF_INIT;
	AUTO_FREE char *large = mem_alloc(200000);
	struct err e = ERR_INIT;

	(void)memset(large, 'y', 200000);
	(void)file_publish_at(dir, "s", large, 200000, 0600, FILE_REPLACE, &e);
	buf_put(&b, "head", 4);
	tap_ok(file_slurp_at(dir, "s", 200000, &b, &e) == 0, "slurp");
	tap_ok(b.len == 200004 && memcmp(b.data, "heady", 5) == 0,
	    "appends the whole");
	tap_ok(memcmp(b.data + 4, large, 200000) == 0, "as it is");
	tap_ok(file_slurp_at(dir, "s", SIZE_MAX, &b, &e) == 0, "no bound");
	tap_u64(b.len, 400004, "appends it again");
	tap_ok(file_slurp_at(dir, "s", 199999, &b, &e) == -1 &&
		e.kind == ERR_CORRUPT,
	    "more than allowed: %s", e.text);
	tap_ok(file_slurp_at(dir, "none", 10, &b, &e) == -1 &&
		e.kind == ERR_NOT_FOUND && e.sys_errno == ENOENT,
	    "%s", e.text);
	tap_ok(
	    file_slurp_at(dir, ".", 10, &b, &e) == -1 && e.sys_errno == EISDIR,
	    "%s", e.text);
	(void)file_unlink_at(dir, "s", &e);
}

static void
check_offsets(void)
{
	struct err e = ERR_INIT;
	char in[16];
	int fd = file_open_at(dir, "o", O_RDWR | O_CREAT, 0600, &e);

	tap_ok(file_pwrite_all(fd, "world", 5, 6, "o", &e) == 0 &&
		file_pwrite_all(fd, "hello ", 6, 0, "o", &e) == 0,
	    "writes at offsets");
	tap_u64((uint64_t)file_pread_full(fd, in, 16, 0, "o", &e), 11,
	    "a read stops at the end");
	tap_ok(memcmp(in, "hello world", 11) == 0, "with all bytes");
	tap_u64((uint64_t)file_read_full(fd, in, 5, "o", &e), 5, "a part");
	tap_u64((uint64_t)file_read_full(fd, in, 16, "o", &e), 6, "the rest");
	tap_u64((uint64_t)file_read_full(fd, in, 16, "o", &e), 0, "no more");
	tap_ok(file_sync_fd(fd, "o", &e) == 0, "flushed");
	(void)close(fd);
	tap_ok(file_read_full(fd, in, 1, "o", &e) == -1 &&
		file_write_all(fd, in, 1, "o", &e) == -1 &&
		file_pread_full(fd, in, 1, 0, "o", &e) == -1 &&
		file_pwrite_all(fd, in, 1, 0, "o", &e) == -1 &&
		file_sync_fd(fd, "o", &e) == -1 &&
		file_sync_fs(fd, "o", &e) == -1 && e.sys_errno == EBADF,
	    "a closed descriptor fails: %s", e.text);
	(void)file_unlink_at(dir, "o", &e);
}

static void
check_paths(void)
{
	static const char *const safe[] = { "a", "a/b", ".a", "..a", "a..",
		"base/1/2.3", "a b", "\xc3\xa9", "..." };
	static const char *const unsafe[] = { "", "/", "/a", "a/", "a//b", ".",
		"..", "a/..", "../a", "a/../b", "./a", "a/.", "a\nb", "a\x7f",
		"a/\x01/b" };
	static const char *const parents[][2] = { { "a/b", "a" }, { "b", "." },
		{ "/b", "/" }, { "/a/b", "/a" }, { "a//b", "a" },
		{ "//b", "/" }, { "a/b/c", "a/b" } };
	AUTO_FREE char *a = file_join("a", "b");
	AUTO_FREE char *b = file_join("a/", "b");
	AUTO_FREE char *c = file_join("", "b");
	char longest[1025];
	size_t i;

	tap_str(a, "a/b", "join");
	tap_str(b, "a/b", "join with a slash");
	tap_str(c, "b", "join to nothing");
	for (i = 0; i < COUNT_OF(parents); i++) {
		AUTO_FREE char *parent = file_parent(parents[i][0]);

		tap_str(parent, parents[i][1], "parent of %s", parents[i][0]);
	}
	for (i = 0; i < COUNT_OF(safe); i++)
		tap_ok(file_path_is_safe(safe[i]), "safe: %s", safe[i]);
	for (i = 0; i < COUNT_OF(unsafe); i++)
		tap_ok(!file_path_is_safe(unsafe[i]), "unsafe path %zu", i);
	(void)memset(longest, 'p', sizeof(longest));
	longest[1023] = '\0';
	tap_ok(file_path_is_safe(longest), "1,023 bytes are safe");
	longest[1023] = 'p';
	longest[1024] = '\0';
	tap_ok(!file_path_is_safe(longest), "1,024 are not");
}

static void
check_lock(void)
{
	struct err e = ERR_INIT;
	int fd = file_lock("lock", false, false, &e), other;
	int ready[2], status = -1;
	pid_t pid;
	char byte;

	tap_ok(fd != -1, "locked");
	tap_ok(file_lock("lock", false, false, &e) == -1 &&
		e.kind == ERR_TRANSIENT,
	    "one holds it: %s", e.text);
	tap_ok(file_lock("lock", true, false, &e) == -1,
	    "nobody shares it either");
	if (pipe(ready) == -1)
		tap_bail("no pipe");
	if ((pid = fork()) == 0) {
		child_catch_stop_signals();
		(void)!write(ready[1], "", 1);
		other = file_lock("lock", false, true, &e);
		_exit(other == -1 && e.kind == ERR_CANCELED ? 0 : 1);
	}
	(void)!read(ready[0], &byte, 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	(void)usleep(150000); /* let it wait */
	(void)kill(pid, SIGTERM);
	(void)waitpid(pid, &status, 0);
	tap_ok(status == 0, "a wait for it can be stopped");
	if ((pid = fork()) == 0) {
		(void)close(fd);
		_exit(file_lock("lock", false, true, &e) == -1 ? 1 : 0);
	}
	(void)usleep(150000);
	(void)close(fd);
	(void)waitpid(pid, &status, 0);
	tap_ok(status == 0, "a wait for it ends when it is given up");
	fd = file_lock("lock", true, false, &e);
	other = file_lock("lock", true, false, &e);
	tap_ok(fd != -1 && other != -1, "two share it");
	(void)close(fd);
	(void)close(other);
	tap_ok(file_lock("no/lock", false, false, &e) == -1 &&
		e.kind == ERR_NOT_FOUND,
	    "%s", e.text);
}

static void
check_free_bytes(void)
{
	struct err e = ERR_INIT;
	uint64_t bytes = 0;

	tap_ok(file_free_bytes(".", &bytes, &e) == 0 && bytes > 0,
	    "there is space");
	tap_ok(file_free_bytes("none", &bytes, &e) == -1, "%s", e.text);
	tap_ok(
	    file_exists_at(dir, "lock/x", &e) == 0, "below a file is nothing");
}

int
main(void)
{
	dir = scratch_enter();
	check_publish();
	check_rename_once();
	check_folders();
	check_rmtree();
	check_many_names();
	check_slurp();
	check_offsets();
	check_paths();
	check_lock();
	check_free_bytes();
	return tap_done();
}
