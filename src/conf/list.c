#include "conf/list.h"

#include <ctype.h>
#include <string.h>

bool
list_next(const char **at, char *out, size_t bytes)
{
	const char *p = *at, *end;

	if (p == NULL || *p == '\0')
		return false;
	end = strchrnul(p, ',');
	/* "a," has two words, the second of them empty. */
	*at = *end == '\0' ? NULL : end + 1;
	if (*end == ',' && end[1] == '\0')
		*at = " ";
	while (p < end && isblank((unsigned char)*p))
		p++;
	while (end > p && isblank((unsigned char)end[-1]))
		end--;
	if ((size_t)(end - p) >= bytes)
		end = p;
	(void)memcpy(out, p, (size_t)(end - p));
	out[end - p] = '\0';
	return true;
}

size_t
list_count(const char *list)
{
	char word[1];
	size_t count = 0;

	while (list_next(&list, word, sizeof(word)))
		count++;
	return count;
}

bool
list_has(const char *list, const char *word)
{
	char one[256];

	while (list_next(&list, one, sizeof(one)))
		if (strcmp(one, word) == 0 && one[0] != '\0')
			return true;
	return false;
}
