package ipc

import (
	"fmt"
	"os"
	"testing"
)

// The test binary is also the processes that the tests look at: with this
// variable set it plays a part instead of running tests.
const partVariable = "NSINSPECT_TEST_PART"

func TestMain(m *testing.M) {
	var err error
	switch part := os.Getenv(partVariable); part {
	case "":
		os.Exit(m.Run())
	case "attach":
		err = attachSegments()
	case "reach":
		err = serve()
	default:
		err = fmt.Errorf("no part %q", part)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
