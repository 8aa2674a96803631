// Namespaces makes many IPC namespaces of one kind of hiding place, runs a command beside them, and prints what it cost:
//
//	go run ./scripts/bench/namespaces -n 2000 -in fd bin/nsinspect ns -t ipc --deep -o /dev/null
//
// The kinds are process (each with one process in it), mnt (each also with a mount namespace), thread, fd, and mount. The
// namespaces are gone when it ends. It needs root.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The first thread is main's alone: it never ends, and its namespaces are those of the process.
func init() { runtime.LockOSThread() }

func main() {
	log.SetFlags(0)
	log.SetPrefix("namespaces: ")
	if len(os.Args) == 2 && os.Args[1] == "-sleep" {
		fmt.Println("ready")
		io.Copy(io.Discard, os.Stdin)
		return
	}
	n := flag.Int("n", 2000, "how many")
	in := flag.String("in", "process", "process, mnt, thread, fd or mount")
	runs := flag.Int("runs", 5, "how often the command is run; the least wall and CPU time are printed, and the most memory")
	flag.Parse()
	if flag.NArg() == 0 {
		log.Fatal("name a command")
	}
	make, ok := map[string]func(int) error{"process": processes(unix.CLONE_NEWIPC), "mnt": processes(unix.CLONE_NEWIPC | unix.CLONE_NEWNS),
		"thread": threads, "fd": descriptors, "mount": mounts}[*in]
	if !ok {
		log.Fatalf("%q: no such kind", *in)
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
	if err := make(*n); err != nil {
		log.Fatal(err)
	}
	if err := measure(fmt.Sprintf("%d x %s", *n, *in), *runs, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

// measure runs the command. An exit code of 1 or 3 is an answer of nsinspect's.
func measure(what string, runs int, args []string) error {
	var wall, cpu []time.Duration
	var rss int64
	for range runs {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stderr = os.Stderr
		start := time.Now()
		err := cmd.Run()
		wall = append(wall, time.Since(start))
		if code := cmd.ProcessState.ExitCode(); code != 0 && code != 1 && code != 3 {
			return fmt.Errorf("%v: %w", args, err)
		}
		cpu = append(cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		rss = max(rss, int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss))
	}
	slices.Sort(wall)
	slices.Sort(cpu)
	fmt.Printf("%-16s wall %v  cpu %v  rss %.1f MiB\n", what, wall[0].Round(100*time.Microsecond), cpu[0].Round(100*time.Microsecond), float64(rss)/1024)
	return nil
}

// children are kept: their pipes are closed, and they end, when nobody refers to them any more.
var children []*exec.Cmd

func processes(flags uintptr) func(n int) error {
	return func(n int) error {
		for range n {
			cmd := exec.Command("/proc/self/exe", "-sleep")
			children = append(children, cmd)
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
			if _, err := cmd.StdinPipe(); err != nil { // closed when this process ends
				return err
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				return err
			}
			if err := cmd.Start(); err != nil {
				return err
			}
			if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
				return err
			}
		}
		return nil
	}
}

// onThread runs f on a thread that then waits until the other function is called, and ends.
func onThread(f func() error) (end func(), err error) {
	ready, release := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWIPC)
		if err == nil {
			err = f()
		}
		ready <- err
		<-release
	}()
	return func() { close(release) }, <-ready
}

func threads(n int) error {
	for range n {
		if _, err := onThread(func() error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

func descriptors(n int) error {
	for range n {
		end, err := onThread(func() error {
			_, err := unix.Open("/proc/thread-self/ns/ipc", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			return err
		})
		if err != nil {
			return err
		}
		end()
	}
	return nil
}

// mounts binds each on a file of a tmpfs that only this process and those that it starts see.
func mounts(n int) error {
	dir := os.Getenv("NAMESPACES_DIR")
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "namespaces"); err != nil {
			return err
		}
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
		cmd.Env = append(os.Environ(), "NAMESPACES_DIR="+dir)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		err = cmd.Run()
		os.Remove(dir)
		if err != nil {
			return err
		}
		os.Exit(0)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		return err
	}
	for i := range n {
		point := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(point, nil, 0o600); err != nil {
			return err
		}
		end, err := onThread(func() error { return unix.Mount("/proc/thread-self/ns/ipc", point, "", unix.MS_BIND, "") })
		if err != nil {
			return err
		}
		end()
	}
	return nil
}
