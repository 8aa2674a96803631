package ipc

import (
	"bytes"
	"fmt"
	"math"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// ReadLimits reads the limits of the calling thread's IPC namespace from
// /proc/sys/kernel. The file function is that of [ReadSysV]. Limits that could not
// be read are 0 beside an error of the type [Errors].
func ReadLimits(file func(name string, limit int) ([]byte, error)) (report.IPCLimits, error) {
	var l report.IPCLimits
	err := Join(
		readNumbers(file, "shmmni", &l.ShmMNI),
		readNumbers(file, "shmmax", &l.ShmMax),
		readNumbers(file, "shmall", &l.ShmAll),
		readNumbers(file, "sem", &l.SemMSL, &l.SemMNS, &l.SemOPM, &l.SemMNI),
		readNumbers(file, "msgmni", &l.MsgMNI),
		readNumbers(file, "msgmax", &l.MsgMax),
		readNumbers(file, "msgmnb", &l.MsgMNB),
	)
	return l, err
}

// readNumbers fills all of the values or none.
func readNumbers[T int | uint64](file func(string, int) ([]byte, error), name string, values ...*T) error {
	name = "sys/kernel/" + name
	b, err := file(name, 4096)
	if err != nil {
		return unread(name, err)
	}
	fields := bytes.Fields(b)
	if len(fields) != len(values) {
		return fmt.Errorf("%s: %d numbers where there should be %d", name, len(fields), len(values))
	}
	most := uint64(math.MaxUint64)
	if T(0)-1 < 0 {
		most = math.MaxInt32
	}
	numbers := make([]T, len(values))
	for i, f := range fields {
		n, err := number(f, most)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		numbers[i] = T(n)
	}
	for i, n := range numbers {
		*values[i] = n
	}
	return nil
}
