// Hotpass runs the hot pass alone, once or more often, so that it can be compared with
// the floor. It prints the number of processes.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

func main() {
	dir := flag.String("proc", "/proc", "the procfs to read")
	times := flag.Int("times", 1, "scans; with more than one, the duration of each is printed")
	flag.Parse()
	fs, err := proc.Open(*dir)
	if err != nil {
		log.Fatal(err)
	}
	for range *times {
		start := time.Now()
		s, err := fs.Scan(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		if *times > 1 {
			fmt.Printf("%.3f ms ", float64(time.Since(start).Microseconds())/1000)
		}
		fmt.Println(len(s.Records))
	}
}
