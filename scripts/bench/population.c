/*
 * Starts N children that sleep, says "ready N" and waits until its standard input ends; then it ends them. They end
 * with it in any case.
 *
 * usage: population N [-i] [-c DIR PER]
 *   -i          each child in an IPC namespace of its own
 *   -c DIR PER  PER children each in a new cgroup DIR/<64 hex digits>, which is removed at the end
 *
 * A child must not share memory pages that it writes to, or 30 000 of them are gigabytes: it touches nothing.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *dir;
static int per;

static void name(char *path, size_t size, int group, const char *file)
{
	unsigned id = (group + 1) * 2654435761u; /* odd: no two groups get the same */

	snprintf(path, size, "%s/%08x%056x%s", dir, id, id, file);
}

static int enter(int group)
{
	char path[512];
	int fd, n;

	name(path, sizeof path, group, "/cgroup.procs");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = write(fd, "0", 1);
	close(fd);
	return n == 1 ? 0 : -1;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 0, started = 0, failed = 0, ipc = 0, groups, up[2];
	pid_t parent = getpid(), *child = calloc(n > 0 ? n : 1, sizeof *child);
	char path[512], c;

	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "-i")) {
			ipc = 1;
		} else if (!strcmp(argv[i], "-c") && i + 2 < argc) {
			dir = argv[i + 1];
			per = atoi(argv[i + 2]);
			i += 2;
		} else {
			n = 0;
		}
	}
	if (n < 1 || !child || (dir && per < 1) || pipe2(up, O_CLOEXEC)) {
		fprintf(stderr, "usage: population N [-i] [-c DIR PER]\n");
		return 2;
	}
	groups = dir ? (n + per - 1) / per : 0;
	if (dir)
		mkdir(dir, 0755);
	for (int g = 0; g < groups; g++) {
		name(path, sizeof path, g, "");
		if (mkdir(path, 0755)) {
			perror(path);
			failed = 1;
			groups = g;
		}
	}
	for (; started < n && !failed; started++) {
		child[started] = fork();
		if (child[started] == 0) {
			c = '+';
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent)
				_exit(0);
			if ((dir && enter(started / per)) || (ipc && unshare(CLONE_NEWIPC)))
				c = '-';
			if (write(up[1], &c, 1) != 1)
				_exit(1);
			close(0);
			close(1);
			close(up[0]);
			close(up[1]);
			for (;;)
				pause();
		}
		if (child[started] < 0) {
			perror("population: fork");
			failed = 1;
			break;
		}
	}
	for (int i = 0; i < started; i++)
		if (read(up[0], &c, 1) != 1 || c != '+')
			failed = 1;
	if (!failed) {
		printf("ready %d\n", started);
		fflush(stdout);
		while (read(0, &c, 1) > 0)
			;
	}
	for (int i = 0; i < started; i++)
		kill(child[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	for (int g = 0; g < groups; g++) {
		name(path, sizeof path, g, "");
		rmdir(path);
	}
	if (dir)
		rmdir(dir);
	return failed;
}
