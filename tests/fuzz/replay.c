/*
 * replay: a main() for a fuzz target that calls it once with every file of its
 * corpus, so that each find of the fuzzer stays a test with any compiler.
 *
 *	tests/fuzz/NAME [FILE...]
 *
 * Without files: those of $PGKURA_SRC/tests/fuzz/corpus/NAME, and no bytes.
 */

#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FILE_BYTES_MAX ((size_t)64 << 20)

static unsigned int checks;

static void
die(const char *what, const char *name)
{
	(void)printf("Bail out!  could not %s \"%s\"\n", what, name);
	exit(255);
}

/*
 * The target gets a copy of exactly len bytes: one more read is caught by ASan.
 * It passes by returning; what it finds wrong ends in abort().
 */
static void
replay(const char *label, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);

	if (copy == NULL)
		die("allocate memory for", label);
	(void)memcpy(copy, data, len);
	(void)LLVMFuzzerTestOneInput(copy, len);
	free(copy);
	(void)printf("ok %u - %s\n", ++checks, label);
	(void)fflush(stdout);
}

static void
replay_file(const char *path, const char *label)
{
	static uint8_t *data;
	FILE *f = fopen(path, "rb");
	size_t len;

	if (data == NULL && (data = malloc(FILE_BYTES_MAX)) == NULL)
		die("allocate memory for", path);
	if (f == NULL)
		die("open", path);
	len = fread(data, 1, FILE_BYTES_MAX, f);
	if (ferror(f) || fclose(f) != 0)
		die("read", path);
	replay(label, data, len);
}

static int
not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Each file of the corpus, in the order of names; a target may have none yet. */
static void
replay_corpus(const char *name)
{
	const char *top = getenv("PGKURA_SRC");
	char folder[PATH_MAX], path[2 * PATH_MAX];
	struct dirent **entries;
	int count, i;

	(void)snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s",
	    top == NULL ? "." : top, name);
	count = scandir(folder, &entries, not_hidden, alphasort);
	if (count == -1)
		return;
	for (i = 0; i < count; i++) {
		(void)snprintf(
		    path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		replay_file(path, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

int
main(int argc, char *argv[])
{
	const char *slash = strrchr(argv[0], '/');
	int i;

	for (i = 1; i < argc; i++)
		replay_file(argv[i], argv[i]);
	if (argc == 1) {
		replay("no bytes", (const uint8_t *)"", 0);
		replay_corpus(slash == NULL ? argv[0] : slash + 1);
	}
	(void)printf("1..%u\n", checks);
	return 0;
}
