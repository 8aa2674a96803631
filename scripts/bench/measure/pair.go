package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"time"
)

// row is what one pair took.
type row struct {
	scene     string
	target    int
	processes int
	rival     string
	ours      sample
	their     sample
	runs      int
	capped    bool // the time for one pair was up before all runs were made
}

// sample is what one run took, or the median of several in each of its fields.
type sample struct {
	wall, cpu time.Duration
	rss       int // KiB
}

// run runs both sides in turn, after one round that is not counted and fills the caches.
func (p pair) run(ctx context.Context, plan plan, t tools) (row, error) {
	var ours, their []sample
	began := time.Now()
	for warm := true; len(ours) < plan.runs; warm = false {
		if len(ours) > 0 && time.Since(began) > plan.patience {
			break
		}
		a, err := timed(ctx, t, p.ours)
		if err != nil {
			return row{}, err
		}
		b, err := timed(ctx, t, p.their)
		if err != nil {
			return row{}, err
		}
		// It is counted where it alone took a good part of the patience.
		if warm && time.Since(began) < plan.patience/10 {
			continue
		}
		ours, their = append(ours, a), append(their, b)
	}
	return row{
		rival: p.rival, ours: median(ours), their: median(their),
		runs: len(ours), capped: len(ours) < plan.runs,
	}, nil
}

// timed runs one command.
func timed(ctx context.Context, t tools, command []string) (sample, error) {
	out, err := exec.CommandContext(ctx, t.timed, command...).Output()
	if err != nil {
		return sample{}, fmt.Errorf("%v: %w", command, err)
	}
	var wall, cpu, rss, code int
	if _, err := fmt.Sscan(string(out), &wall, &cpu, &rss, &code); err != nil {
		return sample{}, fmt.Errorf("%v: %q: %w", command, out, err)
	}
	// nsinspect tells what it found by 0, 1 or 3; a rival that fails is no rival.
	if code == 2 || code > 3 {
		return sample{}, fmt.Errorf("%v ended with %d", command, code)
	}
	return sample{time.Duration(wall), time.Duration(cpu) * time.Microsecond, rss}, nil
}

func median(all []sample) sample {
	return sample{
		wall: middle(all, func(s sample) time.Duration { return s.wall }),
		cpu:  middle(all, func(s sample) time.Duration { return s.cpu }),
		rss:  middle(all, func(s sample) int { return s.rss }),
	}
}

func middle[T time.Duration | int](all []sample, of func(sample) T) T {
	values := make([]T, len(all))
	for i, s := range all {
		values[i] = of(s)
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
