/*
 * Runs a command with its output thrown away and prints what it took: nanoseconds from fork to its end, microseconds of
 * CPU, KiB of its largest resident size, exit code.
 *
 * In C, because the largest resident size that wait4(2) tells begins with that of whoever called exec(2)
 * (exec_mmap(), fs/exec.c), and this program is smaller than all that it runs.
 *
 * usage: timed COMMAND [ARGUMENT]...
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec a, b;
	struct rusage use;
	int status;
	pid_t pid;

	if (argc < 2) {
		fprintf(stderr, "usage: timed COMMAND [ARGUMENT]...\n");
		return 2;
	}
	clock_gettime(CLOCK_MONOTONIC, &a);
	pid = vfork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &use) != pid) {
		perror("timed");
		return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%lld %lld %ld %d\n",
	       (long long)(b.tv_sec - a.tv_sec) * 1000000000 + (b.tv_nsec - a.tv_nsec),
	       (long long)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 + use.ru_utime.tv_usec + use.ru_stime.tv_usec,
	       use.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}
