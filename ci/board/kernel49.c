/*
 * Runs a program without the system calls that the boards' kernel, 4.9, does not have: they answer
 * ENOSYS, as there. Inherited by whatever the program starts.
 *
 * usage: kernel49 PROGRAM [ARGUMENT...]
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

/* arch/arm/tools/syscall.tbl: what came after 4.9. */
#define FIRST_AFTER_4_9 397 /* statx; 395 and 396, pkey_*, are in 4.9 */
#define ARM_PRIVATE 0x0f0000 /* __ARM_NR_BASE: set_tls and the like */

int main(int argc, char **argv)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, ARM_PRIVATE, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST_AFTER_4_9, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };

	if (argc < 2) {
		fprintf(stderr, "usage: kernel49 PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		perror("kernel49");
		return 1;
	}
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 1;
}
