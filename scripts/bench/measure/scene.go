package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// scene is one population and who is measured on it.
type scene struct {
	name   string
	target int // processes on the host, 0 where the number of them is not the point
	start  func(ctx context.Context) (*crowd, error)
	pairs  func(c *crowd) []pair
}

// pair is nsinspect's command line and a rival's, which are run in turn.
type pair struct {
	rival       string
	ours, their []string
}

// crowd is a running population.
type crowd struct {
	cmd       *exec.Cmd
	stdin     io.Closer
	processes int // on the host, counted when all were there
}

// crowdOf runs a program that says "ready" when its population is there and removes it when its input ends.
func crowdOf(ctx context.Context, cmd *exec.Cmd) (*crowd, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &crowd{cmd: cmd, stdin: stdin}
	// An interrupt of the whole bench lets the population clean up after itself.
	stop := context.AfterFunc(ctx, func() { stdin.Close() })
	defer stop()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready") {
		return nil, fmt.Errorf("population: %q, %w, %w", line, err, c.end())
	}
	c.processes, err = countProcesses()
	return c, err
}

func (c *crowd) end() error {
	c.stdin.Close()
	return c.cmd.Wait()
}

func countProcesses() (int, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return 0, err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	n := 0
	for _, name := range names {
		if name[0] >= '1' && name[0] <= '9' {
			n++
		}
	}
	return n, err
}

// scenes lists all populations of a plan.
func scenes(p plan, t tools) []scene {
	scan := []string{t.nsinspect, "scan"}
	rivals := func(*crowd) []pair {
		return []pair{
			{"floor", scan, []string{t.floor}},
			{"lsns -t ipc", scan, []string{t.lsns, "-t", "ipc"}},
			{"lsns", scan, []string{t.lsns}},
			{"ps -eo pid,ipcns,pidns,cgroup", scan, []string{t.ps, "-eo", "pid,ipcns,pidns,cgroup"}},
		}
	}
	population := func(args ...string) func(context.Context) (*crowd, error) {
		return func(ctx context.Context) (*crowd, error) {
			return crowdOf(ctx, exec.Command(t.population, args...))
		}
	}

	var all []scene
	for _, n := range p.processes {
		all = append(all, scene{
			name:   fmt.Sprintf("%d processes", n),
			target: n,
			start: func(ctx context.Context) (*crowd, error) {
				there, err := countProcesses()
				if err != nil {
					return nil, err
				}
				// The host's own are part of the population; at least one more, to have somebody to wait for.
				return population(strconv.Itoa(max(1, n-there)))(ctx)
			},
			pairs: rivals,
		})
	}
	all = append(all,
		scene{
			name: fmt.Sprintf("%d containers of %d processes, all in the host's namespaces", p.containers, perContainer),
			start: func(ctx context.Context) (*crowd, error) {
				dir, err := cgroupDirectory()
				if err != nil {
					return nil, err
				}
				return population(strconv.Itoa(p.containers*perContainer), "-c", dir, strconv.Itoa(perContainer))(ctx)
			},
			pairs: func(c *crowd) []pair { return rivals(c)[:1] },
		},
		scene{
			name:  fmt.Sprintf("%d IPC namespaces of one process", p.namespaces),
			start: population(strconv.Itoa(p.namespaces), "-i"),
			pairs: func(c *crowd) []pair { return rivals(c)[:2] },
		},
		scene{
			name: fmt.Sprintf("%d IPC objects in the baseline's namespace", p.objects),
			start: func(ctx context.Context) (*crowd, error) {
				self, err := os.Executable()
				if err != nil {
					return nil, err
				}
				cmd := exec.Command(self, "-objects", strconv.Itoa(p.objects))
				// In a namespace of their own they are in nobody's way, and gone with it.
				cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWIPC}
				return crowdOf(ctx, cmd)
			},
			pairs: func(c *crowd) []pair {
				holder := strconv.Itoa(c.cmd.Process.Pid)
				return []pair{{
					rival: "ipcs",
					ours:  []string{t.nsinspect, "scan", "--baseline", holder},
					their: []string{t.nsenter, "-i", "-t", holder, t.ipcs},
				}}
			},
		})
	return all
}

// cgroupDirectory returns where docker would make its cgroups: below a cgroup2 mount, alone or beside version 1.
func cgroupDirectory() (string, error) {
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids"} {
		if _, err := os.Stat(filepath.Join(mount, "cgroup.procs")); err == nil {
			return filepath.Join(mount, "docker"), nil
		}
	}
	return "", fmt.Errorf("no cgroup hierarchy in /sys/fs/cgroup")
}

// measure builds the population, runs all pairs, looks where the time goes and removes it again.
func (s scene) measure(ctx context.Context, p plan, t tools) (rows []row, where *profiled, err error) {
	c, err := s.start(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if endErr := c.end(); err == nil && endErr != nil {
			err = fmt.Errorf("population: %w", endErr)
		}
	}()
	for _, pair := range s.pairs(c) {
		r, err := pair.run(ctx, p, t)
		if err != nil {
			return nil, nil, err
		}
		r.scene, r.target, r.processes = s.name, s.target, c.processes
		rows = append(rows, r)
	}
	if t.perf != "" && (s.target == 100 || s.target == 10_000) {
		of := s.profiles(ctx, c.processes, t)
		where = &of
	}
	return rows, where, nil
}
