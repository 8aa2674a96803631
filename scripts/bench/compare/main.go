// Compare runs commands in turn, again and again, and prints the median wall time, CPU time
// and largest resident size of each, and their ratio to the first command's.
//
//	compare [-n RUNS] COMMAND... (each one word of the shell's, split at spaces)
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

type run struct{ wall, cpu, rss float64 }

func main() {
	log.SetFlags(0)
	n := flag.Int("n", 15, "runs of each command")
	flag.Parse()
	if flag.NArg() == 0 || *n < 1 {
		flag.Usage()
		os.Exit(2)
	}
	runs := make([][]run, flag.NArg())
	for i := range *n + 1 {
		for j, line := range flag.Args() {
			words := strings.Fields(line)
			cmd := exec.Command(words[0], words[1:]...)
			start := time.Now()
			if err := cmd.Run(); err != nil {
				if _, ok := err.(*exec.ExitError); !ok {
					log.Fatalf("%s: %v", line, err)
				}
			}
			wall := time.Since(start)
			if i == 0 {
				continue // the first round fills caches
			}
			use := cmd.ProcessState.SysUsage().(*syscall.Rusage)
			cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			runs[j] = append(runs[j], run{wall.Seconds() * 1000, cpu.Seconds() * 1000, float64(use.Maxrss) / 1024})
		}
	}
	fmt.Printf("%-40s %10s %10s %10s %8s %8s\n", "COMMAND", "WALL ms", "CPU ms", "RSS MiB", "WALL x", "CPU x")
	var first run
	for j, line := range flag.Args() {
		m := run{
			median(runs[j], func(r run) float64 { return r.wall }),
			median(runs[j], func(r run) float64 { return r.cpu }),
			median(runs[j], func(r run) float64 { return r.rss }),
		}
		if j == 0 {
			first = m
		}
		fmt.Printf("%-40s %10.2f %10.2f %10.1f %8.3f %8.3f\n", line, m.wall, m.cpu, m.rss, m.wall/first.wall, m.cpu/first.cpu)
	}
}

func median(runs []run, of func(run) float64) float64 {
	v := make([]float64, len(runs))
	for i, r := range runs {
		v[i] = of(r)
	}
	slices.Sort(v)
	return v[len(v)/2]
}
