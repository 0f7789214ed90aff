#include "base/show.h"

#include <fcntl.h>

#include "base/clock.h"
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

int64_t
show_age_us(const json_t *j)
{
	int64_t now_us = clock_boot_us(), us;

	if (j == NULL)
		return INT64_MAX;
	if (json_need_i64(j, "boot_us", &us, NULL) == 0)
		return us <= now_us ? now_us - us : INT64_MAX;
	if (json_need_i64(j, "updated_us", &us, NULL) == -1)
		return INT64_MAX;
	now_us = clock_now_us();
	return us <= now_us ? now_us - us : 0;
}

int64_t
show_now_us(const json_t *j)
{
	int64_t age_us = show_age_us(j), us;

	if (age_us == INT64_MAX ||
	    json_need_i64(j, "updated_us", &us, NULL) == -1)
		return clock_now_us();
	return us + age_us;
}
