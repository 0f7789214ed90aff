#include <stdio.h>

#include "base/progress.h"
#include "base/size.h"

static void
put_left(struct buf *out, int64_t s)
{
	long long n = (long long)s;

	if (n < 60)
		buf_printf(out, ", %lld s left", n);
	else if (n < 3600)
		buf_printf(out, ", %lld min %lld s left", n / 60, n % 60);
	else
		buf_printf(
		    out, ", %lld h %lld min left", n / 3600, n % 3600 / 60);
}

void
progress_text(const struct progress_view *v, struct buf *out)
{
	char done[SIZE_TEXT_BYTES], total[SIZE_TEXT_BYTES];
	char rate[SIZE_TEXT_BYTES];

	buf_printf(out, "%s: %s", v->what, size_text(v->done, done));
	if (v->total != 0)
		buf_printf(out, " of %s (%u %%)", size_text(v->total, total),
		    v->done >= v->total ? 100U
					: (unsigned int)((double)v->done *
					      100.0 / (double)v->total));
	buf_printf(out, ", %s/s", size_text(v->rate, rate));
	if (v->eta_s >= 0)
		put_left(out, v->eta_s);
	if (v->note != NULL && v->note[0] != '\0')
		buf_printf(out, ", %s", v->note);
}
