#include <string.h>

#include "base/file.h"
#include "base/mem.h"

#define PATH_BYTES_MAX 1023

char *
file_join(const char *a, const char *b)
{
	size_t len = strlen(a);
	bool slash = len > 0 && a[len - 1] == '/';

	return mem_printf("%s%s%s", a, len == 0 || slash ? "" : "/", b);
}

char *
file_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return mem_strdup(".");
	while (slash > path && slash[-1] == '/')
		slash--;
	if (slash == path)
		return mem_strdup("/");
	return mem_strndup(path, (size_t)(slash - path));
}

static bool
part_is_safe(const char *part, size_t len)
{
	size_t i;

	if (len == 0 || (len == 1 && part[0] == '.') ||
	    (len == 2 && part[0] == '.' && part[1] == '.'))
		return false;
	for (i = 0; i < len; i++)
		if ((unsigned char)part[i] < 0x20 || part[i] == 0x7f)
			return false;
	return true;
}

bool
file_path_is_safe(const char *path)
{
	size_t len;

	if (strnlen(path, PATH_BYTES_MAX + 1) > PATH_BYTES_MAX)
		return false;
	for (;;) {
		len = strcspn(path, "/");
		if (!part_is_safe(path, len))
			return false;
		if (path[len] == '\0')
			return true;
		path += len + 1;
	}
}
