#include "jobs/drill_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"

#if defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#endif

#define X32_BIT 0x40000000u /* another numbering of x86-64's calls */

#ifdef FILTER_ARCH

#define LOAD(member)                       \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, \
	    (uint32_t)offsetof(struct seccomp_data, member))
/* When equal, the next so many are passed over, else none. */
#define SKIP_IF(value, skipped) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (skipped), 0)
#define SAY(what)     BPF_STMT(BPF_RET | BPF_K, (what))
#define REFUSE(error) SAY(SECCOMP_RET_ERRNO | (error))

/* clang-format off */
static struct sock_filter filter[] = {
	LOAD(arch),
	SKIP_IF(FILTER_ARCH, 1),
	REFUSE(ENOSYS),			/* 32-bit calls */
	LOAD(nr),
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1),
	REFUSE(ENOSYS),
	SKIP_IF(SYS_io_uring_setup, 6),
	SKIP_IF(SYS_socket, 1),
	SAY(SECCOMP_RET_ALLOW),
	/* Little-endian: the family is in the first half. */
	LOAD(args[0]),
	SKIP_IF(AF_INET, 3),
	SKIP_IF(AF_INET6, 2),
	SKIP_IF(AF_NETLINK, 1),		/* the namespace's own interfaces */
	REFUSE(EAFNOSUPPORT),
	SAY(SECCOMP_RET_ALLOW),
};
/* clang-format on */

static int
set_filter(void)
{
	const struct sock_fprog program = { COUNT_OF(filter), filter };

	/* By prctl(), which services are seldom denied. */
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

#else

static int
set_filter(void)
{
	errno = ENOSYS;
	return -1;
}

#endif

static int
drop_capabilities(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	const struct __user_cap_data_struct none[2] = { 0 };

	return (int)syscall(SYS_capset, &header, none);
}

int
filter_enter(struct err *e)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    drop_capabilities() == -1 || set_filter() == -1) {
		(void)err_sys(e, "could not filter system calls");
		if (e != NULL)
			e->kind = ERR_REFUSED;
		return -1;
	}
	return 0;
}
