/*
 * The floor: only the system calls that the hot pass needs, one after the other,
 * with no parsing, no error handling and no memory. Nothing that reads the same files
 * of the same processes on one CPU can cost less.
 *
 * usage: floor [DIR]     prints the number of processes
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

struct entry { /* struct linux_dirent64 */
	unsigned long long ino;
	long long off;
	unsigned short len;
	unsigned char type;
	char name[];
};

static char list[1 << 16], link_[64], file[1 << 16];

int main(int argc, char **argv)
{
	int proc = open(argc > 1 ? argv[1] : "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long n, count = 0;

	if (proc < 0) {
		perror("floor");
		return 2;
	}
	while ((n = syscall(SYS_getdents64, proc, list, sizeof list)) > 0) {
		for (long at = 0; at < n; ) {
			struct entry *e = (struct entry *)(list + at);
			int dir, fd;

			at += e->len;
			if (e->name[0] < '1' || e->name[0] > '9')
				continue;
			dir = openat(proc, e->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (dir < 0)
				continue;
			readlinkat(dir, "ns/ipc", link_, sizeof link_);
			readlinkat(dir, "ns/pid", link_, sizeof link_);
			readlinkat(dir, "ns/mnt", link_, sizeof link_);
			fd = openat(dir, "cgroup", O_RDONLY | O_CLOEXEC);
			if (fd >= 0) {
				if (read(fd, file, sizeof file) < 0)
					file[0] = 0;
				close(fd);
			}
			close(dir);
			count++;
		}
	}
	printf("%ld\n", count);
	return 0;
}
