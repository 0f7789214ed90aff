#include "base/show.h"

#include <fcntl.h>

#include "base/file.h"

#define SHOW_BYTES_MAX ((size_t)4 << 20)

void
show_write(const char *path, const json_t *j)
{
	AUTO_BUF struct buf text = BUF_INIT;

	json_write(j, &text);
	buf_put_u8(&text, '\n');
	file_show(path, text.data, text.len);
}

json_t *
show_read(const char *path)
{
	AUTO_BUF struct buf text = BUF_INIT;

	if (file_slurp_at(AT_FDCWD, path, SHOW_BYTES_MAX, &text, NULL) == -1)
		return NULL;
	return json_parse(text.data, text.len, path, NULL);
}
