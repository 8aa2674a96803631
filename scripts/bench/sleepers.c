/*
 * Starts N children that sleep, says "ready" and waits until its standard input ends; then
 * it ends them. They end with it in any case.
 *
 * usage: sleepers N
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 0;
	pid_t parent = getpid(), *child;

	if (n < 1 || !(child = calloc(n, sizeof *child))) {
		fprintf(stderr, "usage: sleepers N\n");
		return 2;
	}
	for (int i = 0; i < n; i++) {
		child[i] = fork();
		if (child[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent)
				_exit(0);
			close(0);
			close(1);
			for (;;)
				pause();
		}
		if (child[i] < 0) {
			perror("sleepers: fork");
			n = i;
			break;
		}
	}
	printf("ready %d\n", n);
	fflush(stdout);
	for (char c; read(0, &c, 1) > 0; )
		;
	for (int i = 0; i < n; i++)
		kill(child[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	return 0;
}
