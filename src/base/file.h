#ifndef BASE_FILE_H
#define BASE_FILE_H

/*
 * file: files and folders that are durable, whole and where they should be.
 *
 * All descriptors are O_CLOEXEC.  Names in messages are quoted.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* ---- bytes through a descriptor; name is for messages only ---- */
int file_write_all(
    int fd, const void *data, size_t len, const char *name, struct err *e);
int file_pwrite_all(int fd, const void *data, size_t len, uint64_t offset,
    const char *name, struct err *e);
/* Bytes read: less than len only at end of file; -1 on error. */
ssize_t
file_read_full(int fd, void *data, size_t len, const char *name, struct err *e);
ssize_t file_pread_full(int fd, void *data, size_t len, uint64_t offset,
    const char *name, struct err *e);

/* ---- open; dirfd may be AT_FDCWD ---- */
/* As openat() with O_CLOEXEC; -1 with *e (ERR_NOT_FOUND for ENOENT). */
int file_open_at(
    int dirfd, const char *path, int flags, mode_t mode, struct err *e);
int file_open_dir(const char *path, struct err *e);
/* Appends the whole file, at most max bytes (else ERR_CORRUPT). */
int file_slurp_at(
    int dirfd, const char *path, size_t max, struct buf *out, struct err *e);
/* Replace the file, whole but not durable.  A courtesy to who reads it, so
 * nothing is reported. */
void file_show(const char *path, const void *data, size_t len);

/* ---- durable ---- */
int file_sync_fd(int fd, const char *name, struct err *e);
int file_sync_dir_at(int dirfd, const char *path, struct err *e);
/* syncfs() of the file system that holds fd. */
int file_sync_fs(int fd, const char *name, struct err *e);

enum file_publish {
	FILE_REPLACE,	/* an older file of that name gives way */
	FILE_WRITE_ONCE /* an older file of that name wins: ERR_CONFLICT */
};

/*
 * Make path (relative to dirfd) hold exactly the len bytes at data, durable
 * when this returns 0.  A crash at any moment leaves the old file, or none, or
 * the whole new one.  A temporary name beside it (".tmp." prefix) is used and
 * removed on failure.  FILE_WRITE_ONCE renames with RENAME_NOREPLACE (or link
 * and unlink where the file system has none).
 */
int file_publish_at(int dirfd, const char *path, const void *data, size_t len,
    mode_t mode, enum file_publish how, struct err *e);
/* Rename tmp to path in the same dirfd tree; never replaces; ERR_CONFLICT when
 * path is there.  Does not sync the folder. */
int file_rename_once_at(
    int dirfd, const char *tmp, const char *path, struct err *e);
/* file_rename_once_at() and the folder of path synced. */
int file_commit_at(int dirfd, const char *tmp, const char *path, struct err *e);

/* All missing folders of path with mode, each synced into its parent. */
int file_mkdirs_at(int dirfd, const char *path, mode_t mode, struct err *e);
/* Remove a file; 0 also when it was not there. */
int file_unlink_at(int dirfd, const char *path, struct err *e);
/* Remove a file or a tree below dirfd; symbolic links are removed, never
 * followed; 0 also when it was not there. */
int file_rmtree_at(int dirfd, const char *path, struct err *e);

/* 1 exists, 0 does not, -1 error. */
int file_exists_at(int dirfd, const char *path, struct err *e);

/*
 * Names of a folder without "." and "..", sorted, NULL-terminated; free with
 * file_names_free().  A folder that does not exist has no names.
 */
int file_list_at(
    int dirfd, const char *path, char ***names, size_t *count, struct err *e);
void file_names_free(char **names);

/* ---- paths ---- */
/* "a/b" from "a" and "b"; the caller frees. */
char *file_join(const char *a, const char *b);
/* The folder of path: "a" of "a/b", "." of "b", "/" of "/b"; the caller frees. */
char *file_parent(const char *path);
/*
 * True when path can be created below a folder without leaving it: relative,
 * not empty, no empty part, no ".", no "..", no control character, at most
 * 1,023 bytes.
 */
bool file_path_is_safe(const char *path);

/* Free bytes for unprivileged users on the file system of path. */
int file_free_bytes(const char *path, uint64_t *bytes, struct err *e);

/* An exclusive or shared flock on path (created 0600).  Returns the locked
 * descriptor, or -1: ERR_TRANSIENT when another holds it and wait is false,
 * ERR_CANCELED when a stop is requested during the wait. */
int file_lock(const char *path, bool shared, bool wait, struct err *e);

#endif /* !BASE_FILE_H */
